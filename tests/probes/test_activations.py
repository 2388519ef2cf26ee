"""Activation distributions against a plain network with a hook, in float64."""

import numpy as np
import pytest
import torch
from torch import nn

from normscape.errors import UserError
from normscape.models import MLP
from normscape.network import network_of
from normscape.norms import BatchNorm, NoisyBatchNorm, Standard
from normscape.probes import Activations
from normscape.probes.activations import UNIT_LEVELS, quantile_functions
from normscape.seeds import generator, seed_layer_noise
from normscape.storage.records import Row, Snapshot
from normscape.twin.replay import part_of
from one_step import MODELS, NORMS, network_at, step, twin_of


def measured(view, *layers, **options):
    """Return the rows as ``{(quantity, layer): value}`` and the snapshots as ``{(quantity, layer): values}``."""
    found = list(Activations(layers, every=1, **options).measure(view))
    rows = {(item.quantity, item.layer): item.value for item in found if isinstance(item, Row)}
    return rows, {(item.quantity, item.layer): item.values for item in found if isinstance(item, Snapshot)}


def unit_of(view, layer, features):
    """The unit that the run's seed says, whatever the step."""
    return int(torch.randint(features, (), generator=generator(view.seed, "probe", "activations", layer)))


def plain_units(view, layer, *batches):
    """Rebuild the network at W(t), in training mode and with the step's noise, and record what the norm gives.

    A list of each unit's values for each of the batches, which run one after another; the step's own if none is given.
    """
    model = network_at(view, view.parameters)
    caught = []
    model.layers[str(layer)].norm.register_forward_hook(lambda module, inputs, output: caught.append(output.detach()))
    seed_layer_noise(view.seed, view.step)
    with torch.no_grad():
        for batch in batches or [view.inputs]:
            model(batch)
    units = range(caught[0].shape[1])
    return [[np.concatenate([s[unit].flatten().numpy() for s in output]) for unit in units] for output in caught]


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("norm", NORMS)
def test_it_equals_a_plain_network_with_a_hook(kind, norm):
    make, shape = MODELS[kind]
    view = step(make(norm), shape)
    rows, snapshots = measured(view, 1, 3)
    for layer in (1, 3):
        (units,) = plain_units(view, layer)
        values = units[unit_of(view, layer, len(units))]
        mean = sum(values) / len(values)
        variance = sum((value - mean) ** 2 for value in values) / len(values)
        assert rows["activation_mean", layer] == pytest.approx(mean, rel=1e-9, abs=1e-12)
        assert rows["activation_variance", layer] == pytest.approx(variance, rel=1e-9)
        for i, level in enumerate(np.arange(0.005, 1, 0.01)):
            assert float(snapshots["activation_quantiles", layer][i]) == pytest.approx(
                np.quantile(values, level), rel=1e-9, abs=1e-12
            )
        for name, i in (("05", 4), ("25", 24), ("50", 49), ("75", 74), ("95", 94)):
            assert rows[f"activation_quantile_{name}", layer] == float(snapshots["activation_quantiles", layer][i])
        for at, values in enumerate(units):
            mean = sum(values) / len(values)
            variance = sum((value - mean) ** 2 for value in values) / len(values)
            assert snapshots["unit_moments", layer][at].tolist() == pytest.approx([mean, variance], rel=1e-9, abs=1e-12)
            quantiles = np.quantile(values, np.arange(0.025, 1, 0.05))
            assert snapshots["unit_quantiles", layer][at].tolist() == pytest.approx(quantiles, rel=1e-9, abs=1e-12)
        assert snapshots["unit_moments", layer].shape == (len(units), 2)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("norm", NORMS)
def test_the_noise_floor_is_what_a_plain_network_shows_between_halves_of_the_batch(kind, norm):
    make, shape = MODELS[kind]
    view = step(make(norm), shape)
    rows, snapshots = measured(view, 1, 3, noise_floor=True)
    for layer in (1, 3):
        (whole,) = plain_units(view, layer)
        halves = plain_units(view, layer, view.inputs[:3], view.inputs[3:])
        relative = []
        for at, (a, b) in enumerate(zip(*halves, strict=True)):
            distance = np.abs(np.subtract(*(np.quantile(half, np.arange(0.025, 1, 0.05)) for half in (a, b)))).mean()
            expected = [distance, abs(a.mean() - b.mean()), abs(a.var() - b.var())]
            assert snapshots["unit_noise", layer][at].tolist() == pytest.approx(expected, rel=1e-8, abs=1e-11)
            relative.append(distance / whole[at].std())
        assert rows["activation_noise", layer] == pytest.approx(np.median(relative), rel=1e-8)


def test_halves_have_statistics_and_noise_of_their_own():
    """BatchNorm's mean over each half is its shift, 0 at first, and over the halves of a whole batch it is not."""
    make, shape = MODELS["mlp"]
    _, plain = measured(step(make(BatchNorm), shape), 1, noise_floor=True)
    _, noisy = measured(step(make(NoisyBatchNorm), shape), 1, noise_floor=True)
    assert float(plain["unit_noise", 1][:, 1].max()) < 1e-9
    assert float(noisy["unit_noise", 1][:, 1].min()) > 1e-3  # the shift of the unit, drawn anew


def test_samples_contribute_to_the_noise_floor_as_one_over_the_root_of_their_number():
    """So between whole mini-batches it is sqrt(2) times less than between halves."""
    floors = []
    for count in (64, 1024):
        view = step(MLP(12, [200], 10, Standard), (count, 3, 2, 2))
        floors.append(measured(view, 1, units=200, noise_floor=True)[0]["activation_noise", 1])
    assert floors[0] / floors[1] == pytest.approx(4, rel=0.3)


def test_arguments_are_halved_with_the_batch_and_what_has_no_samples_is_not():
    mask, weight = torch.arange(6), torch.ones(4)
    kept = part_of([mask, {"weight": weight, "n": 6}, (mask[:, None], torch.tensor(3.0))], slice(3, 6), 6)
    assert kept[0].tolist() == [3, 4, 5]
    assert kept[1]["weight"] is weight
    assert kept[1]["n"] == 6
    assert kept[2][0].tolist() == [[3], [4], [5]]
    assert kept[2][1].item() == 3.0


def test_what_cannot_be_halved_is_refused_in_one_line():
    make, _ = MODELS["mlp"]
    with pytest.raises(UserError, match="noise_floor: the mini-batch has 3 samples; expected 4 or more to halve"):
        measured(step(make(Standard), (3, 3, 2, 2)), 1, noise_floor=True)
    stubborn = FixedSize(make(Standard))
    with pytest.raises(UserError, match=r"noise_floor: .*only batches of 6.*noise_floor=False leaves it out"):
        measured(step(stubborn, (6, 3, 2, 2)), "model.layers.1.linear", noise_floor=True)
    assert measured(step(stubborn, (6, 3, 2, 2)), "model.layers.1.linear")[0]


class FixedSize(nn.Module):
    """A network for batches of six."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        if len(x) != 6:
            raise RuntimeError("only batches of 6")
        return self.model(x)


def test_of_a_large_layer_some_units_are_drawn_once():
    model = MLP(12, [40], 10, BatchNorm)
    views = [step(model, (6, 3, 2, 2), at=at) for at in (3, 4)]
    (all_units,), (few, later) = plain_units(views[0], 1), (measured(view, 1, units=5)[1] for view in views)
    means = [float(values.mean()) for values in all_units]
    variances = [float(values.var()) for values in all_units]
    drawn = torch.randperm(40, generator=generator(0, "probe", "activations", "units", 1))[:5].sort().values.tolist()
    assert few["unit_moments", 1][:, 1].tolist() == pytest.approx([variances[unit] for unit in drawn], rel=1e-9)
    assert few["unit_moments", 1][:, 0].tolist() == pytest.approx([means[unit] for unit in drawn], abs=1e-9)
    assert later["unit_quantiles", 1].shape == (5, 20)
    assert measured(views[0], 1)[1]["unit_quantiles", 1].shape == (40, 20)


@pytest.mark.parametrize("units", [0, -1, 2.5, True])
def test_bad_numbers_of_units_are_named(units):
    with pytest.raises(UserError, match=f"probe units={units}: expected a whole number of at least 1"):
        Activations(units=units)


def test_quantiles_are_of_what_one_can_count():
    """Of the values 0, 1, ..., 100 the quantile at level p is 100 p."""
    make, shape = MODELS["mlp"]
    view = step(make(BatchNorm), shape)
    values = torch.arange(101.0, dtype=torch.float64)[torch.randperm(101, generator=torch.Generator().manual_seed(0))]
    object.__setattr__(view, "preactivations_at", lambda parameters, layers: {layers[0]: values[:, None].expand(-1, 5)})
    rows, snapshots = measured(view, 1)
    assert rows["activation_mean", 1] == 50
    assert rows["activation_variance", 1] == 850
    assert torch.allclose(snapshots["activation_quantiles", 1], torch.arange(0.5, 100, 1, dtype=torch.float64))
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
    measured(view, 1, 2, 3, noise_floor=True)
    assert passes == [False] * 4


def test_a_layer_that_is_not_there_is_named():
    make, _ = MODELS["mlp"]
    with pytest.raises(UserError, match="probe layer 4: the MLP has layers 1 to 3"):
        Activations([1, 4], every=1).check(network_of(make(BatchNorm), None, numbered=True))


@pytest.mark.parametrize("seed", range(8))
def test_quantiles_are_torch_s(seed):
    """To the bit in float64; in float32 torch's versions differ in how they round a rank."""
    x = torch.randn(1 + seed, 2 + 37 * seed, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    x = x.relu() if seed % 3 == 0 else x
    x[0, 0] = float("nan") if seed % 4 == 1 else x[0, 0]
    for values in (x, x.float()):
        expected = torch.quantile(values, UNIT_LEVELS.to(values), dim=1).T
        found = quantile_functions(values, UNIT_LEVELS)
        assert found.dtype == values.dtype
        torch.testing.assert_close(
            found, expected, rtol=0, atol=0 if values.dtype == torch.float64 else 1e-5, equal_nan=True
        )
