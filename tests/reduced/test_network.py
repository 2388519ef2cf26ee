"""Stacked networks on reduced batches against each network itself on its samples, in float64."""

import copy

import pytest
import torch

from normscape.models import DLN
from normscape.models.layered import initialise
from normscape.norms import BatchNorm, LpNorm, Standard
from normscape.reduced.batch import ReducedBatch
from normscape.reduced.network import Seen, StackedNetwork
from normscape.reduced.sizes import size_of

NORMS = {
    "standard": Standard,
    "batch": BatchNorm,
    "l1": lambda n: LpNorm(n, 1),
    "l2": lambda n: LpNorm(n, 2),
    "l3": lambda n: LpNorm(n, 3),
    "linf": lambda n: LpNorm(n, "inf"),
}
LAYERS, FEATURES, SAMPLES = 4, 5, 40


def networks(norm, count=2):
    """Return networks in float64 with scales, shifts and buffers of their own."""
    made = []
    for seed in range(count):
        model = DLN(NORMS[norm], depth=LAYERS, features=FEATURES).double()
        initialise(model, seed)
        stream = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, tensor in (*model.named_parameters(), *model.named_buffers()):
                if "norm" in name:
                    tensor += 0.3 * torch.rand(tensor.shape, generator=stream, dtype=torch.float64)
        made.append(model)
    return made


def batches(count=2):
    stream = torch.Generator().manual_seed(7)
    draw = [torch.randn(SAMPLES, FEATURES, generator=stream, dtype=torch.float64) for _ in range(2 * count)]
    return [(0.5 + x, y) for x, y in zip(draw[::2], draw[1::2], strict=True)]


def itself(model, x, y):
    """Return a network's loss, gradients, pre-activations and buffers after a training step's forward pass."""
    seen = {}
    for number, layer in model.layers.items():
        layer.norm.register_forward_hook(lambda *arguments, number=number: seen.update({int(number): arguments[-1]}))
    loss = (model(x) - y).square().sum()
    names, parameters = zip(*model.named_parameters(), strict=True)
    gradients = dict(zip(names, torch.autograd.grad(loss, parameters), strict=True))
    return loss.detach(), gradients, seen, dict(model.named_buffers())


@pytest.mark.parametrize("norm", NORMS)
def test_losses_gradients_preactivations_and_buffers_are_the_networks_own(norm):
    models, data = networks(norm), batches()
    own = [itself(copy.deepcopy(model), *pair) for model, pair in zip(models, data, strict=True)]
    stack, batch = StackedNetwork(models), ReducedBatch.of(data)
    statistics, rows = {}, {}
    losses, gradient = stack.losses_and_gradients(stack.point, batch, Seen(statistics, rows))
    stack.follow(statistics, SAMPLES)
    for lane, (loss, gradients, seen, buffers) in enumerate(own):
        torch.testing.assert_close(losses[lane], loss)
        assert list(gradient.of(lane)) == list(gradients)  # the order in which random directions are drawn
        for name, expected in gradients.items():
            torch.testing.assert_close(gradient.of(lane)[name], expected, rtol=1e-9, atol=1e-9)
        for number, expected in seen.items():
            torch.testing.assert_close(batch.samples_of(rows[number])[lane].T, expected, rtol=1e-9, atol=1e-10)
        for name, expected in buffers.items():
            torch.testing.assert_close(dict(models[lane].named_buffers())[name], expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("norm", ["batch", "l1", "linf"])
def test_a_wrong_size_is_seen(norm):
    """The comparison above fails if what a normalisation divides by is off."""
    models, data = networks(norm), batches()
    loss = itself(copy.deepcopy(models[0]), *data[0])[0]
    stack = StackedNetwork(models)
    stack.size = size_of({"batch": LpNorm(1, 2), "l1": BatchNorm(1), "linf": LpNorm(1, 1)}[norm])
    losses, _ = stack.losses_and_gradients(stack.point, ReducedBatch.of(data))
    assert abs(losses[0] - loss) > 1e-3 * loss


def test_networks_are_views_into_the_stack():
    models, batch = networks("batch"), ReducedBatch.of(batches())
    before = [copy.deepcopy(model) for model in models]
    stack = StackedNetwork(models)
    _, gradient = stack.losses_and_gradients(stack.point, batch)
    stack.update(gradient, torch.tensor([0.1, 0.0], dtype=torch.float64))
    for name, p in models[0].named_parameters():
        expected = before[0].get_parameter(name) - 0.1 * gradient.of(0)[name]
        torch.testing.assert_close(p.detach(), expected.detach())
    for name, p in models[1].named_parameters():
        assert torch.equal(p, before[1].get_parameter(name))


def test_the_gradient_where_all_samples_are_zero_is_zero():
    """As in `LpNorm`: at x = 0 the gradient of abs(x) is taken as 0."""
    for p in (1, "inf"):
        rows = torch.zeros(1, 6, 3, dtype=torch.float64, requires_grad=True)
        x, y = batches(1)[0]
        size = size_of(LpNorm(3, p))
        size.moment(rows, ReducedBatch.of([(x, y)])).sum().backward()
        assert not rows.grad.any()
