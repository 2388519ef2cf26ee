"""StepView's oracles: pure, in training mode, on the step's own batch, buffers and noise."""

import pytest
import torch
from torch import nn

from normscape.models import MLP
from normscape.norms import BatchNorm, NoisyBatchNorm, Standard
from normscape.seeds import kept_streams, seed_layer_noise
from normscape.view import forward_mode
from one_step import MODELS, NORMS, step


@pytest.fixture(params=MODELS, ids=str)
def kind(request):
    return MODELS[request.param]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("norm", NORMS)
def test_at_the_step_s_own_point_the_oracles_give_the_step_s_own_numbers_bit_for_bit(kind, norm, dtype):
    make, shape = kind
    view = step(make(norm), shape, dtype=dtype)
    loss, gradient = view.loss_and_gradient_at(view.parameters)
    assert torch.equal(loss, view.loss)
    assert torch.equal(view.loss_at(view.parameters), view.loss)
    assert gradient.keys() == view.gradient.keys()
    for name in gradient:
        assert torch.equal(gradient[name], view.gradient[name]), name


def test_the_gradient_is_the_step_s_own_even_if_the_optimiser_writes_into_it():
    """Torch's SGD does, working on many tensors at once with Nesterov momentum, as is its default on a GPU."""
    make, shape = MODELS["mlp"]
    model = make(BatchNorm)
    view = step(model, shape, weight_decay=0.0, momentum=0.9, nesterov=True, foreach=True)
    changed = [p.grad is None or not torch.equal(p.grad, view.gradient[n]) for n, p in model.named_parameters()]
    assert any(changed)
    _, gradient = view.loss_and_gradient_at(view.parameters)
    assert all(torch.equal(gradient[name], view.gradient[name]) for name in gradient)


def test_the_updated_point_is_the_optimiser_s_weight_decay_included():
    view = step(*[f(BatchNorm) if callable(f) else f for f in MODELS["mlp"]], lr=0.5, weight_decay=0.01)
    for name, before in view.parameters.items():
        expected = before - 0.5 * (view.gradient[name] + 0.01 * before)
        torch.testing.assert_close(view.updated[name], expected, rtol=0, atol=1e-12)


def test_the_view_keeps_its_numbers_when_training_goes_on():
    model = MLP(12, [5], 10, BatchNorm)
    view = step(model, (6, 3, 2, 2))
    before = view.loss_and_gradient_at(view.updated)
    kept = {name: p.clone() for name, p in view.updated.items()}
    for p in model.parameters():
        p.grad.zero_()
        p.data.add_(1.0)
    for b in model.buffers():
        b.add_(1.0)
    assert all(torch.equal(view.updated[name], kept[name]) for name in kept)
    assert view.gradient["layers.1.linear.weight"].abs().sum() > 0
    after = view.loss_and_gradient_at(view.updated)
    assert torch.equal(before[0], after[0])


def preactivation(view):
    layer = view.network.layers[0]
    return view.preactivations_at(view.parameters, [layer])[layer]


def test_noise_is_the_same_at_every_point_of_a_step_and_another_at_the_next():
    model = MLP(12, [5], 10, NoisyBatchNorm)
    view = step(model, (6, 3, 2, 2), at=3)
    first, second = (preactivation(view) for _ in range(2))
    assert torch.equal(first, second)
    later = step(MLP(12, [5], 10, NoisyBatchNorm), (6, 3, 2, 2), at=4)
    assert not torch.equal(first, preactivation(later))


def test_batch_statistics_are_used_whatever_mode_the_model_was_left_in():
    model = MLP(12, [5], 10, BatchNorm)
    view = step(model, (6, 3, 2, 2))
    model.eval()
    assert torch.equal(view.loss_at(view.parameters), view.loss)
    assert not any(module.training for module in model.modules())


def test_gradient_matches_finite_differences():
    view = step(MLP(12, [5], 10, BatchNorm), (6, 3, 2, 2))
    direction = {name: torch.randn_like(p) for name, p in view.parameters.items()}
    h = 1e-6
    up, down = (
        view.loss_at({name: p + sign * h * direction[name] for name, p in view.parameters.items()}) for sign in (1, -1)
    )
    slope = sum((view.gradient[name] * direction[name]).sum() for name in direction)
    torch.testing.assert_close((up - down) / (2 * h), slope, rtol=1e-6, atol=1e-8)


def test_a_parameter_that_the_loss_does_not_see_has_gradient_zero():
    model = MLP(12, [5], 10, Standard)
    model.layers["1"].unused = nn.Parameter(torch.ones(2))
    view = step(model, (6, 3, 2, 2))
    assert torch.equal(view.gradient["layers.1.unused"], torch.zeros(2, dtype=torch.float64))
    assert torch.equal(
        view.loss_and_gradient_at(view.parameters)[1]["layers.1.unused"], view.gradient["layers.1.unused"]
    )


def test_random_streams_give_the_step_s_noise_and_put_the_old_stream_back():
    torch.manual_seed(7)
    before = torch.get_rng_state()
    with kept_streams(torch.device("cpu")):
        seed_layer_noise(0, 3)
        inside = torch.rand(3)
    assert torch.equal(torch.get_rng_state(), before)
    seed_layer_noise(0, 3)
    assert torch.equal(torch.rand(3), inside)


def test_forward_mode_puts_every_submodule_back_also_after_an_error():
    model = MLP(12, [5], 10, BatchNorm)
    model.layers["1"].norm.eval()
    modes = [module.training for module in model.modules()]
    with pytest.raises(RuntimeError), forward_mode(model, training=False):
        model(torch.zeros(1, 1))
    assert [module.training for module in model.modules()] == modes
