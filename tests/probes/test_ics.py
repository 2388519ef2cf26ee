"""Internal covariate shift against a closed form and a brute-force twin, in float64."""

import pytest
import torch
from torch import nn

import zoo
from normscape.errors import UserError
from normscape.models import DLN, Layer, LayeredModel
from normscape.network import network_of
from normscape.norms import BatchNorm, Standard
from normscape.probes import InternalCovariateShift
from normscape.probes.ics import gradients_after_update
from normscape.seeds import seed_layer_noise
from normscape.view import forward_mode
from one_step import MODELS, NORMS, network_at, step, twin_of


def measured(layers, view):
    return {(row.quantity, row.layer): row.value for row in InternalCovariateShift(layers, every=1).measure(view)}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("norm", NORMS)
def test_the_first_layer_has_none(kind, norm, dtype):
    make, shape = MODELS[kind]
    rows = measured([1], step(make(norm), shape, dtype=dtype))
    assert rows["ics_l2", 1] == 0.0
    assert rows["ics_cosine", 1] == pytest.approx(1.0, abs=1e-15)
    assert rows["ics_gradient_norm", 1] > 0


def test_on_two_linear_layers_it_is_the_closed_form():
    """y = V U x, L = sum of squared errors: dL/dV = 2 (V U X' - Y') X U', with U before or after its update."""
    model = LayeredModel([Layer(nn.Linear(3, 3, bias=False), nn.Identity()) for _ in range(2)])
    targets = torch.randn(6, 3, dtype=torch.float64)
    view = step(model, (6, 3), loss_function=lambda outputs, _: (outputs - targets).square().sum(), lr=0.01)
    u, v = (view.parameters[f"layers.{i}.linear.weight"] for i in (1, 2))
    new_u = view.updated["layers.1.linear.weight"]

    def gradient(first):
        hidden = view.inputs @ first.T
        return 2 * (hidden @ v.T - targets).T @ hidden

    before, after = gradient(u), gradient(new_u)
    rows = measured([2], view)
    assert rows["ics_l2", 2] == pytest.approx(float((before - after).norm()), rel=1e-12)
    cosine = torch.nn.functional.cosine_similarity(before.flatten(), after.flatten(), dim=0)
    assert rows["ics_cosine", 2] == pytest.approx(float(cosine), rel=1e-12)
    assert rows["ics_l2", 2] > 0


def twin(view, layer):
    """Rebuild the whole network with the blocks before ``layer`` updated, and differentiate it."""

    def gradient(state):
        model = network_at(view, state)
        seed_layer_noise(view.seed, view.step)
        view.loss_function(model(view.inputs), view.targets).backward()
        return model.layers[str(layer)].linear.weight.grad

    mixed = {
        name: view.updated[name] if int(name.split(".")[1]) < layer else old for name, old in view.parameters.items()
    }
    return gradient(dict(view.parameters)), gradient(mixed)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("norm", NORMS)
def test_it_equals_a_brute_force_twin_at_every_layer(kind, norm):
    make, shape = MODELS[kind]
    view = step(make(norm), shape, lr=1.0)
    rows = measured("all", view)
    assert {layer for _, layer in rows} == set(range(1, len(view.network.layers) + 1))
    for layer in range(1, len(view.network.layers) + 1):
        before, after = twin(view, layer)
        scale = float(before.norm())
        assert rows["ics_l2", layer] == pytest.approx(float((before - after).norm()), rel=1e-8, abs=1e-12 * scale)
        cosine = torch.nn.functional.cosine_similarity(before.flatten(), after.flatten(), dim=0)
        assert rows["ics_cosine", layer] == pytest.approx(float(cosine), abs=1e-9)
        assert rows["ics_gradient_norm", layer] == pytest.approx(scale, rel=1e-10)


def test_state_that_norms_share_is_that_of_the_walk():
    """Of a pass through the updated layers, the old one that follows sees what these have written."""
    shared = {"depth": 0}
    model = LayeredModel([Layer(nn.Linear(5, 5), zoo.DepthNorm(5, shared), nn.Tanh()) for _ in range(3)])
    view = step(model, (8, 5), loss_function=lambda outputs, _: outputs.square().sum(), lr=0.5)
    for layer, walked in gradients_after_update(view, view.network.layers).items():
        earlier = {name: view.updated[name] for name, n in view.network.block.items() if n < layer.number}
        _, whole = view.loss_and_gradient_at({**view.parameters, **earlier}, layer.weights)
        torch.testing.assert_close(walked, whole[layer.weights[0]], rtol=1e-12, atol=1e-12)


def test_without_an_update_there_is_none():
    make, shape = MODELS["vgg"]
    view = step(make(BatchNorm), shape, lr=0.0)
    rows = measured("all", view)
    assert all(value == 0.0 for (quantity, _), value in rows.items() if quantity == "ics_l2")


def test_the_mistake_of_the_peers_would_show():
    """G' taken in evaluation mode differs from G even where nothing was updated; ours does not."""
    make, shape = MODELS["mlp"]
    view = step(make(BatchNorm), shape, lr=0.0)
    model = network_at(view, view.parameters)
    with forward_mode(model, training=False):
        view.loss_function(model(view.inputs), view.targets).backward()
    wrong = model.layers["1"].linear.weight.grad
    (right,) = gradients_after_update(view, view.network.find([1])).values()
    g = view.gradient["layers.1.linear.weight"]
    assert torch.equal(right, g)
    assert (wrong - g).norm() > 0.1 * g.norm()


def test_a_zero_gradient_has_no_angle():
    model = DLN(Standard, depth=2, features=10)
    view = step(model, (6, 10), loss_function=lambda outputs, _: 0.0 * outputs.sum())
    rows = measured([2], view)
    assert rows["ics_l2", 2] == 0.0
    assert torch.tensor(rows["ics_cosine", 2]).isnan()


def test_its_cost_is_one_shared_walk_and_a_suffix_per_layer():
    make, shape = MODELS["dln"]
    view = step(make(BatchNorm), shape)
    forwards = []
    for number, layer in twin_of(view).layers.items():
        layer.register_forward_pre_hook(lambda *_, number=number: forwards.append(int(number)))
    list(InternalCovariateShift([2, 4], every=1).measure(view))
    assert forwards == [1, 2, 3, 4, 2, 3, 4]  # updated 1; old 2 to 4 for layer 2; updated 2, 3; old 4 for layer 4


def test_a_layer_that_is_not_there_is_named():
    with pytest.raises(UserError, match="probe layer 9: the DLN has layers 1 to 4"):
        InternalCovariateShift([9], every=1).check(network_of(DLN(Standard, depth=4), None, numbered=True))
