"""The theorems on networks in training, against networks with a BatchNorm layer put in by hand, in float64."""

import copy
import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.autograd.functional import hessian

from normscape.build import build
from normscape.config import compose_run
from normscape.errors import UserError
from normscape.loop import train
from normscape.models import MLP
from normscape.norms import BatchNorm, LayerNorm, NoisyBatchNorm, Standard, TorchBatchNorm
from normscape.probes import Theory
from normscape.probes.around_norm import Place, _change, gradients_around
from normscape.probes.shares import judged
from normscape.storage.records import Row, Snapshot
from one_step import MODELS, network_at, step

CASES = [(Standard, "inserted"), (BatchNorm, "own"), (TorchBatchNorm, "own"), (LayerNorm, "inserted")]
RESIDUALS = ("theorem_4_1_residual", "theorem_4_2_residual", "observation_4_3_residual")


def measured(view, **options):
    rows = [item for item in Theory(**options).measure(view) if isinstance(item, Row)]
    return {(row.quantity, row.layer): row.value for row in rows}


def at_layer(rows, layer):
    return {quantity: value for (quantity, number), value in rows.items() if number == layer}


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize(("norm", "place"), CASES)
def test_the_theorems_hold_to_rounding_of_a_step_in_float32(kind, norm, place):
    make, shape = MODELS[kind]
    rows = measured(step(make(norm), shape, dtype=torch.float32), batch_norm=place)
    found = [value for (quantity, _), value in rows.items() if quantity in RESIDUALS and value == value]
    assert len(found) > len(rows) / 20
    assert max(found) < 1e-9
    assert all(value == 1.0 for (quantity, _), value in rows.items() if quantity == "theorem_4_1_holds")


def with_norm_behind(view, number):
    """Return the step's network with a BatchNorm layer behind a weight layer, gamma and beta those of the batch."""
    model = network_at(view, view.parameters)
    layer, outputs = model.layers[str(number)], []
    handle = layer.linear.register_forward_hook(lambda module, inputs, output: outputs.append(output.detach()))
    model(view.inputs)
    handle.remove()
    norm = nn.BatchNorm1d(outputs[0].shape[1]).double()
    with torch.no_grad():
        norm.weight.copy_((outputs[0].var(0, correction=0) + norm.eps).sqrt())
        norm.bias.copy_(outputs[0].mean(0))
    changed = copy.deepcopy(model)
    changed.layers[str(number)].linear = nn.Sequential(changed.layers[str(number)].linear, nn.Identity(), norm)
    return model, changed, outputs[0]


def loss_of(view, model, module):
    """Return the loss as a function of what a module puts out, ``(N, F)``."""

    def loss(values):
        handle = module.register_forward_hook(lambda *_: values)
        try:
            return view.loss_function(model(view.inputs), view.targets)
        finally:
            handle.remove()

    return loss


def gradient(function, at):
    leaf = at.clone().requires_grad_()
    return torch.autograd.grad(function(leaf), leaf)[0]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_shares_are_those_of_a_network_that_is_built_with_the_layer(number):
    model = MLP(12, [5, 4], 10, Standard, activation="sigmoid")  # no kinks, where rounding chooses the derivative
    view = step(model, (6, 3, 2, 2))
    rows = at_layer(measured(view, units=16), number)
    plain, changed, y = with_norm_behind(view, number)
    without, through = (
        loss_of(view, plain, plain.layers[str(number)].linear),
        loss_of(view, changed, changed.layers[str(number)].linear[0]),
    )
    assert through(y).item() == pytest.approx(without(y).item(), rel=1e-12)
    g, h = gradient(without, y), gradient(through, y)
    kept = float(h.square().sum() / g.square().sum())
    assert 1 - rows["gradient_mean_share"] - rows["gradient_scale_share"] == pytest.approx(kept, rel=1e-9)
    assert kept < 0.99
    before, after = hessian(without, y), hessian(through, y)
    units = range(y.shape[1])
    form = sum(g[:, j] @ before[:, j, :, j] @ g[:, j] for j in units)
    formed = sum(h[:, j] @ after[:, j, :, j] @ h[:, j] for j in units)
    taken = rows["curvature_projection_share"] + rows["curvature_second_share"]
    if form > 0:
        assert taken == pytest.approx(1 - float(formed / form), rel=1e-6)
    else:  # sigmoids are not piecewise linear: of a form that is not positive there is no share
        assert (number, math.isnan(taken)) == (1, True)


def test_the_loss_of_piecewise_linear_maps_is_convex_in_every_layer_s_output():
    for kind in ("vgg", "mlp", "dln"):
        make, shape = MODELS[kind]
        rows = measured(step(make(Standard), shape))
        assert {value for (quantity, _), value in rows.items() if quantity == "theorem_4_2_curved"} == {1.0}


def test_there_is_nothing_left_to_take_behind_a_layer_that_batch_norm_follows():
    """The network's own BatchNorm has taken both terms already; a layer without one has them."""
    make, shape = MODELS["mlp"]
    rows = measured(step(make(BatchNorm), shape))
    for number in (1, 2):
        assert abs(at_layer(rows, number)["gradient_mean_share"]) < 1e-20
        assert abs(at_layer(rows, number)["gradient_scale_share"]) < 1e-6
    assert at_layer(rows, 3)["gradient_mean_share"] > 1e-3


def test_around_the_network_s_own_layers_the_gain_is_gamma_over_sigma():
    make, shape = MODELS["mlp"]
    model = make(BatchNorm)
    with torch.no_grad():
        model.layers["2"].norm.weight.fill_(3.0)
    view = step(model, shape)
    rows = measured(view, batch_norm="own")
    model = network_at(view, view.parameters)
    outputs = model.layers["2"].linear(model.layers["1"](view.inputs))
    expected = (9.0 / (outputs.var(0, correction=0) + 1e-5)).quantile(0.5)
    assert at_layer(rows, 2)["batch_norm_gain"] == pytest.approx(expected.item(), rel=1e-9)
    assert {number for _, number in rows} == {1, 2}


def test_in_float32_the_curvature_is_the_same_to_float32_s_rounding():
    make, shape = MODELS["mlp"]
    view = step(make(Standard), shape, dtype=torch.float32)
    wide, narrow = measured(view), measured(view, curvature="float32")
    for number in (1, 2, 3):
        one, other = at_layer(wide, number), at_layer(narrow, number)
        assert one["curvature_projection_share"] == pytest.approx(other["curvature_projection_share"], rel=1e-3)
        assert one["gradient_mean_share"] == other["gradient_mean_share"]
        assert one["theorem_4_2_residual"] < 1e-10
    assert 1e-9 < max(at_layer(narrow, number)["theorem_4_2_residual"] for number in (1, 2, 3)) < 1e-3


def test_the_step_in_float64_is_the_same_step_with_more_digits():
    for kind, norm in (("vgg", BatchNorm), ("mlp", Standard), ("dln", BatchNorm)):
        make, shape = MODELS[kind]
        view = step(make(norm), shape, dtype=torch.float32)
        wide = view.in_float64()
        assert wide.loss.dtype == torch.float64
        assert float(wide.loss) == pytest.approx(float(view.loss), rel=1e-4)
        assert float(wide.loss) != float(view.loss)
        for name, p in view.parameters.items():
            assert torch.equal(wide.parameters[name], p.double())
        assert torch.equal(view.loss_at(view.parameters), view.loss)  # which still is in float32


def test_the_weights_are_those_of_the_drawn_units():
    make, shape = MODELS["vgg"]
    view = step(make(Standard), shape)
    probe = Theory(layers=[4], units=3)
    (snapshot,) = (item for item in probe.measure(view) if isinstance(item, Snapshot))
    weight = view.parameters["layers.4.linear.weight"].flatten(1)
    rows = [int((weight == row).all(1).nonzero()) for row in snapshot.values]
    assert rows == sorted(set(rows)) == probe._chosen(view, view.network.layers[3]).tolist()


def test_the_outline_announces_what_is_measured():
    for norm, place in ((Standard, "inserted"), (BatchNorm, "own")):
        make, shape = MODELS["mlp"]
        view, probe = step(make(norm), shape), Theory(batch_norm=place)
        announced, found = (
            {(type(item), item.quantity, item.layer) for item in items}
            for items in (probe.outline(view.network, 0.1), probe.measure(view))
        )
        assert announced == found


def test_it_costs_what_it_says():
    make, shape = MODELS["mlp"]
    passes, cross_entropy = [], nn.CrossEntropyLoss()

    def counted(outputs, targets):
        passes.append(outputs.dtype)
        return cross_entropy(outputs, targets)

    view = step(make(Standard), shape, loss_function=counted, dtype=torch.float32)
    passes.clear()
    list(Theory(curvature="float32").measure(view))
    layers = len(view.network.layers)
    assert passes.count(torch.float64) == 1 + 3 * layers
    assert passes.count(torch.float32) == 2 * layers


class OnceOnly(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, towards):
        return 1.0 * towards


class Once(Standard):
    def forward(self, x):
        return OnceOnly.apply(x)


class Doubled(torch.nn.BatchNorm1d):
    """One of torch's that does more than that."""

    def forward(self, x):
        return 2 * super().forward(x)


@pytest.mark.parametrize(
    ("options", "norm", "line"),
    [
        ({"batch_norm": "onw"}, Standard, "batch_norm=onw: expected inserted or own; did you mean 'own'"),
        ({"curvature": "half"}, Standard, "curvature=half: expected float64 or float32"),
        ({"units": 0}, Standard, "units=0: expected a whole number of at least 1"),
        ({"eps": 0.0}, Standard, "eps=0.0"),
        ({"layers": [1], "batch_norm": "own"}, LayerNorm, "layers.1.linear: no BatchNorm is behind it"),
        ({"layers": [1], "batch_norm": "own"}, NoisyBatchNorm, "layers.1.linear: no BatchNorm is behind it"),
        ({"layers": [1], "batch_norm": "own"}, Doubled, "layers.1.linear: no BatchNorm is behind it"),
        ({"layers": [1]}, Once, "layers.1.linear: the loss cannot be differentiated twice behind it"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(options, norm, line):
    make, shape = MODELS["mlp"]
    with pytest.raises(UserError) as caught:
        measured(step(make(norm), shape), **options)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_run_that_is_broken_off_and_goes_on_measures_the_same():
    config = compose_run(["run=mlp_batch", "scale=smoke", "tracker=none", "model.hidden=[8,8]", "probe=[theory]"])

    def rows(*pauses):
        components = build(replace(config, steps=4), torch.device("cpu"))
        probe = Theory(every=1, batch_norm="own")
        for pause in (*pauses, 4):
            plan = replace(components.plan, probes=[probe])
            train(plan, components.state, lambda step, rows, pause=pause: step < pause)
        return components.state.records

    whole, broken = rows(), rows(1, 3)
    assert whole.rows == broken.rows
    assert len({row.step for row in whole.rows if row.quantity == "gradient_mean_share"}) == 4
    for one, other in zip(whole.snapshots, broken.snapshots, strict=True):
        assert torch.equal(one.values, other.values)


def test_any_network_s_own_batch_norm_is_found_where_it_takes_a_layer_s_output():
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 10))
    rows = measured(step(model, (6, 3, 2, 2)), batch_norm="own")
    assert {number for _, number in rows} == {1}
    assert at_layer(rows, 1)["theorem_4_1_residual"] < 1e-12


def test_what_lies_on_a_kink_stays_there():
    """Without biases some outputs are exactly 0; BatchNorm's rounding would put them on one side or the other."""
    make, shape = MODELS["mlp"]
    view = step(make(Standard), shape)
    outputs = network_at(view, view.parameters)
    values = outputs.layers["2"].linear(outputs.layers["1"](view.inputs))
    assert (values == 0).any()
    assert at_layer(measured(view), 2)["theorem_4_1_residual"] < 1e-12


def test_a_layer_s_units_are_the_same_at_every_step():
    """Else lemma 4.5 would compare the weights of one unit with the optimum of another."""
    make, shape = MODELS["vgg"]
    view, probe = step(make(Standard), shape), Theory(layers=[4], units=3)
    chosen = [probe._chosen(replace(view, step=at), view.network.layers[3]).tolist() for at in (0, 3, 7, 100)]
    assert chosen == [chosen[0]] * 4
    assert len(chosen[0]) < view.network.layers[3].units


def test_a_residual_is_that_of_the_worst_unit():
    worst = SimpleNamespace(
        residual=torch.tensor([1e-12, 0.3, 1e-9, 5.0]),
        slack=torch.tensor([1.0, 2.0, 9.0, 0.0]),
        size=torch.tensor([1.0, 1.0, 1.0, 0.0]),
        holds_as_printed=torch.tensor([True, False, True, True]),
    )
    rows = judged("theorem", worst, torch.tensor([True, True, True, True]))
    assert {name: float(value) for name, value in rows.items()} == pytest.approx(
        {"theorem_residual": 0.3, "theorem_slack": 2.0, "theorem_holds": 2 / 3}
    )


@pytest.mark.parametrize("wrong", ["beta", "gamma"])
def test_an_inserted_layer_that_changes_something_is_noticed(wrong):
    """Also where the loss does not notice: a softmax is blind to what is added to all of its logits."""
    make, shape = MODELS["mlp"]
    view = step(make(Standard), shape)
    found = gradients_around(view, Place(view.network.layers[-1], eps=1e-5))
    assert found.change < 1e-9
    gamma, beta = found.gamma, found.beta
    changed = {"beta": (gamma, beta + 1), "gamma": (2 * gamma, beta)}[wrong]
    assert _change(view, found.place, *changed, view.loss) > 1e-2


@pytest.mark.parametrize("number", [1, 2, 3])
def test_units_are_aligned_whose_outputs_grow_along_the_gradient(number):
    view = step(MLP(12, [5, 4], 10, Standard), (6, 3, 2, 2))
    rows = at_layer(measured(view, units=16), number)
    plain, _, y = with_norm_behind(view, number)
    g = gradient(loss_of(view, plain, plain.layers[str(number)].linear), y)
    aligned = (g * (y - y.mean(0))).sum(0) > 0
    assert rows["theorem_4_2_aligned"] == pytest.approx(float(aligned[g.square().sum(0) > 0].double().mean()))
    assert 0 < rows["theorem_4_2_aligned"] < 1
