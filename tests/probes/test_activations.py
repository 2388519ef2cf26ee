"""Activation distributions against a plain network with a hook, in float64."""

import numpy as np
import pytest
import torch

from normscape.errors import UserError
from normscape.network import network_of
from normscape.norms import BatchNorm, NoisyBatchNorm
from normscape.probes import Activations
from normscape.records import Row, Snapshot
from normscape.seeds import generator, seed_layer_noise
from one_step import MODELS, NORMS, network_at, step, twin_of


def measured(view, *layers):
    """Return the rows as ``{(quantity, layer): value}`` and the snapshots as ``{layer: values}``."""
    found = list(Activations(layers, every=1).measure(view))
    rows = {(item.quantity, item.layer): item.value for item in found if isinstance(item, Row)}
    return rows, {item.layer: item.values for item in found if isinstance(item, Snapshot)}


def unit_of(view, layer, features):
    """The unit that the run's seed says, whatever the step."""
    return int(torch.randint(features, (), generator=generator(view.seed, "probe", "activations", layer)))


def plain_values(view, layer):
    """Rebuild the network at W(t), in training mode and with the step's noise, and record what the norm gives."""
    model = network_at(view, view.parameters)
    caught = []
    model.layers[str(layer)].norm.register_forward_hook(lambda module, inputs, output: caught.append(output.detach()))
    seed_layer_noise(view.seed, view.step)
    with torch.no_grad():
        model(view.inputs)
    unit = unit_of(view, layer, caught[0].shape[1])
    return np.concatenate([sample[unit].flatten().numpy() for sample in caught[0]])


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("norm", NORMS)
def test_it_equals_a_plain_network_with_a_hook(kind, norm):
    make, shape = MODELS[kind]
    view = step(make(norm), shape)
    rows, snapshots = measured(view, 1, 3)
    for layer in (1, 3):
        values = plain_values(view, layer)
        mean = sum(values) / len(values)
        variance = sum((value - mean) ** 2 for value in values) / len(values)
        assert rows["activation_mean", layer] == pytest.approx(mean, rel=1e-9, abs=1e-12)
        assert rows["activation_variance", layer] == pytest.approx(variance, rel=1e-9)
        for i, level in enumerate(np.arange(0.005, 1, 0.01)):
            assert float(snapshots[layer][i]) == pytest.approx(np.quantile(values, level), rel=1e-9, abs=1e-12)
        for name, i in (("05", 4), ("25", 24), ("50", 49), ("75", 74), ("95", 94)):
            assert rows[f"activation_quantile_{name}", layer] == float(snapshots[layer][i])


def test_quantiles_are_of_what_one_can_count():
    """Of the values 0, 1, ..., 100 the quantile at level p is 100 p."""
    make, shape = MODELS["mlp"]
    view = step(make(BatchNorm), shape)
    values = torch.arange(101.0, dtype=torch.float64)[torch.randperm(101, generator=torch.Generator().manual_seed(0))]
    object.__setattr__(view, "preactivations_at", lambda parameters, layers: {layers[0]: values[:, None]})
    rows, snapshots = measured(view, 1)
    assert rows["activation_mean", 1] == 50
    assert rows["activation_variance", 1] == 850
    assert torch.allclose(snapshots[1], torch.arange(0.5, 100, 1, dtype=torch.float64))
    assert rows["activation_quantile_05", 1] == pytest.approx(4.5)
    assert rows["activation_quantile_95", 1] == pytest.approx(94.5)


def test_the_unit_is_drawn_once_per_run_and_layer_and_from_all():
    make, shape = MODELS["vgg"]
    views = [step(make(BatchNorm), shape, at=at) for at in (3, 4)]
    assert len({unit_of(view, 3, 1000) for view in views}) == 1
    assert len({unit_of(views[0], layer, 1000) for layer in range(1, 9)}) == 8


def test_noise_is_part_of_it_and_eval_mode_is_not():
    """After BatchNorm the mean over the batch is the shift, 0 at first; noise moves it, running statistics would."""
    make, shape = MODELS["mlp"]
    plain, _ = measured(step(make(BatchNorm), shape), 1)
    noisy, _ = measured(step(make(NoisyBatchNorm), shape), 1)
    assert abs(plain["activation_mean", 1]) < 1e-9
    assert abs(noisy["activation_mean", 1]) > 1e-3


def test_it_costs_one_forward_pass_for_any_number_of_layers():
    make, shape = MODELS["vgg"]
    view = step(make(BatchNorm), shape)
    passes = []
    twin_of(view).layers["1"].linear.register_forward_hook(lambda *_: passes.append(torch.is_grad_enabled()))
    measured(view, 1, 2, 3)
    assert passes == [False]


def test_a_layer_that_is_not_there_is_named():
    make, _ = MODELS["mlp"]
    with pytest.raises(UserError, match="probe layer 4: the MLP has layers 1 to 3"):
        Activations([1, 4], every=1).check(network_of(make(BatchNorm), None, numbered=True))
