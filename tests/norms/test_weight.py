"""Weight normalisation against its formula and gradients, and what the probes measure of it."""

import pytest
import torch
from torch import nn

from normscape.build import build
from normscape.components import build_component
from normscape.config import compose_run
from normscape.errors import UserError
from normscape.loop import train
from normscape.models import MLP, VGG, glorot_
from normscape.models.layered import Layer
from normscape.network import network_of
from normscape.norms import Standard, WeightNorm


def layer():
    torch.manual_seed(0)
    made = Layer(nn.Conv2d(3, 4, 3, padding=1), WeightNorm(4)).double()
    with torch.no_grad():
        for p in made.parameters():
            p.copy_(torch.randn_like(p))
    g, v = made.linear.parametrizations.weight.parameters()
    return made, g, v


X = torch.randn(5, 3, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def weight_of(g, v):
    return torch.stack(
        [length * direction / direction.norm() for length, direction in zip(g.flatten(), v, strict=True)]
    )


def test_equals_its_formula():
    made, g, v = layer()
    expected = nn.functional.conv2d(X, weight_of(g, v), made.linear.bias, padding=1)
    torch.testing.assert_close(made(X), expected, rtol=1e-12, atol=1e-12)
    with torch.no_grad():
        v.mul_(torch.tensor([0.1, 2.0, 3.0, 10.0]).view(4, 1, 1, 1))  # the length of v does not matter
        torch.testing.assert_close(made(X), expected, rtol=1e-12, atol=1e-12)
        g[1] *= 2
        assert (made(X) - expected).abs().max() > 0.1


def test_gradients_are_those_of_the_paper():
    """Salimans & Kingma 2016, equation 3."""
    made, g, v = layer()
    weight = weight_of(g, v).detach().requires_grad_()
    loss = lambda y: y.pow(3).sum()  # noqa: E731
    (towards,) = torch.autograd.grad(loss(nn.functional.conv2d(X, weight, made.linear.bias, padding=1)), weight)
    of_g, of_v = torch.autograd.grad(loss(made(X)), [g, v])
    for unit in range(4):
        direction, length = v[unit] / v[unit].norm(), g[unit, 0, 0, 0] / v[unit].norm()
        along = (towards[unit] * direction).sum()
        torch.testing.assert_close(of_g[unit, 0, 0, 0], along, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(of_v[unit], length * (towards[unit] - along * direction), rtol=1e-9, atol=1e-9)
        assert (of_v[unit] - length * towards[unit]).norm() > 0.01 * of_v[unit].norm()  # without the projection


def _asymmetry(linear):
    """Return how far the Hessian of a loss of a layer's weight parameters is from symmetric, relative to its size."""
    torch.manual_seed(0)
    linear = linear.double()
    g, v = linear.parametrizations.weight.parameters()
    c = torch.randn(4, 3, dtype=torch.float64)

    def loss(flat):
        names = [f"parametrizations.weight.original{k}" for k in (0, 1)]
        point = dict(zip(names, (flat[:4].view(4, 1), flat[4:].view(4, 3)), strict=True))
        return torch.func.functional_call(linear, point, (c,)).sigmoid().pow(2).sum()

    hessian = torch.autograd.functional.hessian(loss, torch.cat([g.detach().flatten(), v.detach().flatten()]))
    return float((hessian - hessian.T).abs().max() / hessian.abs().max())


def test_its_second_derivative_is_right_unlike_torch_s():
    ours, theirs = nn.Linear(3, 4), nn.utils.parametrizations.weight_norm(nn.Linear(3, 4))
    WeightNorm(4).reparametrise(ours)
    assert _asymmetry(ours) < 1e-12
    assert _asymmetry(theirs) > 1e-3  # once this fails, torch has mended it: LengthAndDirection can go


@pytest.mark.parametrize("make", [lambda norm: VGG(norm, width=1 / 64), lambda norm: MLP(12, [7, 5], 3, norm)])
def test_starts_as_the_standard_network_with_the_norms_of_its_weights(make):
    standard, normed = make(Standard), make(WeightNorm)
    for model in (standard, normed):
        glorot_(model, seed=3)
    for number, one in standard.layers.items():
        other = normed.layers[number].linear
        torch.testing.assert_close(other.weight, one.linear.weight, rtol=1e-6, atol=1e-7)
    g, v = normed.layers["1"].linear.parametrizations.weight.parameters()
    torch.testing.assert_close(g.flatten(), standard.layers["1"].linear.weight.flatten(1).norm(dim=1))
    assert torch.equal(v, standard.layers["1"].linear.weight)
    assert isinstance(normed.layers[number].norm, nn.Identity)  # none on the last layer, as of every norm


def test_what_makes_a_weight_is_in_the_layer_s_block_and_its_shift_is_that_of_both():
    model = MLP(12, [7, 5], 3, WeightNorm)
    network = network_of(model, lambda: None, numbered=True)
    assert network.chain
    own = [f"layers.2.linear.parametrizations.weight.original{k}" for k in (0, 1)]
    assert list(network.layers[1].weights) == own
    assert {network.block[name] for name in own} == {2}
    assert network.layers[2].weights == ("layers.3.linear.weight",)


def test_is_measured_like_any_other_norm():
    settings = ["scale=smoke", "tracker=none", "run=mlp_standard", "norm=weight", "steps=2", "device=cpu"]
    made = build(compose_run([*settings, "measure.ics_layers=all", "measure.every=1"]), torch.device("cpu"))
    train(made.plan, made.state, lambda step, rows: True)
    shifts = [row.value for row in made.state.records.rows if row.quantity == "ics_l2" and row.layer == 1]
    assert shifts == [0.0, 0.0]
    assert all(row.value > 0 for row in made.state.records.rows if row.quantity == "effective_beta")


def test_where_it_would_do_nothing_it_is_refused():
    with pytest.raises(UserError, match="WeightNorm changes the weight of a layer, so only vgg, mlp and dln take it"):
        WeightNorm(3)(torch.ones(2, 3))
    model = build_component("model", compose_run(["scale=smoke", "model=resnet18"]).model, norm=WeightNorm)
    with pytest.raises(UserError, match="with norm=standard"):
        model(torch.ones(2, 3, 32, 32))
