"""The figures of the theory: claims, numbers over layers, the lemma from a run's weights, the search on small nets."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from normscape.config import compose_run
from normscape.evidence.figure import Family
from normscape.evidence.finished import FinishedRun
from normscape.evidence.preflight import planned, require_evidence
from normscape.evidence.table import COLUMNS
from normscape.theory import lemma_4_5, projected_ascent
from theory.lemma import lemma_rows
from theory.search_of_maxima import _searched
from theory.shared import over_layers
from theory.small_net import AtInput, SmallNet

FAMILY = Family.of("theory", Path(__file__).parents[2])


@pytest.mark.parametrize("name", FAMILY.known)
def test_every_figure_says_what_it_is_called(name):
    figure = FAMILY.figure(name)
    assert figure.label == figure.called


@pytest.mark.parametrize("name", ["shares", "table", "checks"])
def test_its_runs_will_measure_what_it_needs(name):
    figure = FAMILY.figure(name)
    configs = {run: compose_run([f"run={run}", "scale=smoke", "device=cpu"]) for run in figure.runs}
    require_evidence(figure, configs, {run: planned(config) for run, config in configs.items()})


def test_over_layers_is_one_number_a_step():
    rows = pd.DataFrame(
        {"step": [0, 0, 0, 5, 5, 5], "layer": [1, 2, 3] * 2, "value": [1.0, 2.0, 9.0, 4.0, np.nan, 6.0]}
    ).assign(quantity="q", run="r", net="n", series="s", lr=0.1, augment=False, scale="x", seed=0)
    found = over_layers(rows.reindex(columns=COLUMNS), {"q": "median"})
    assert list(found["value"]) == [2.0, 5.0]
    assert found["layer"].isna().all()
    assert set(found["quantity"]) == {"q_over_layers"}
    assert list(over_layers(rows.reindex(columns=COLUMNS), {"q": "max"})["value"]) == [9.0, 6.0]


def run_with(weights, seed=0):
    """Return a run of which nothing is known but the weights ``(T, units, d)`` of two layers."""
    arrays = {f"unit_weights/layer{number:02d}": w for number, w in enumerate(weights, start=1)}
    arrays |= {f"{name}/steps": np.arange(len(weights[0])) * 10 for name in list(arrays)}
    config = compose_run(["run=theory/mlp_standard", "scale=smoke", f"seed={seed}"])
    return FinishedRun(config, SimpleNamespace(arrays=lambda: arrays))


def test_the_lemma_is_evaluated_from_the_weights_of_a_run_and_those_of_another():
    stream = np.random.default_rng(0)
    one, other = ([stream.normal(size=(3, 4, 5)).astype(np.float32) for _ in range(2)] for _ in range(2))
    rows = lemma_rows([run_with(one), run_with(other, seed=1)])
    mine = rows[rows["seed"] == 0].pivot(index="step", columns="quantity", values="value")
    assert list(mine.index) == [0, 10]
    for time, step in enumerate(mine.index):
        inner = np.concatenate([(w[time] * w[-1]).sum(1) for w in one])
        across = np.concatenate([(w[time] * end[-1]).sum(1) for w, end in zip(one, other, strict=True)])
        assert mine.loc[step, "lemma_4_5_positive"] == (inner > 0).mean()
        assert mine.loc[step, "lemma_4_5_positive_other"] == (across > 0).mean()
        assert mine.loc[step, "lemma_4_5_residual"] < 1e-12
    alone = lemma_rows([run_with(one)])
    assert "lemma_4_5_positive_other" not in set(alone["quantity"])


def test_projected_ascent_finds_the_largest_eigenvalue_of_a_quadratic_and_stays_in_the_ball():
    matrix = torch.diag(torch.tensor([1.0, 3.0, 2.0], dtype=torch.float64))
    start = torch.ones(3, dtype=torch.float64)
    walk = list(projected_ascent(lambda x: x @ matrix @ x, start, radius=2.0, steps=100))
    values = [value for _, value in walk]
    assert values == sorted(values)
    assert values[-1] == pytest.approx(12.0, rel=1e-3)
    assert all(float(x.norm()) <= 2.0 * (1 + 1e-12) for x, _ in walk)
    flat = list(projected_ascent(lambda x: 0 * x.sum(), start, radius=2.0, steps=100))
    assert len(flat) == 1  # no direction to walk in


def test_at_the_first_input_the_small_nets_agree_and_the_statements_hold():
    plain, norm = (SmallNet(0, norm=norm) for norm in (False, True))
    x = norm.first
    assert torch.allclose(plain.loss(plain.weights @ x.T), norm.loss(norm.weights @ x.T), rtol=1e-12)
    at = AtInput(norm, x)
    slope, bend = at.theorem_4_4(1.0), at.theorem_c_1(1.0)
    assert slope.left.item() == pytest.approx(norm.gradient_square(x).item(), rel=1e-10)
    assert slope.conditions["bound"].all()
    assert bend.left.item() == pytest.approx(norm.curvature(x).item(), rel=1e-9)
    assert bend.residual.max() < 1e-10


def test_the_curvature_is_that_of_the_dense_hessian():
    net = SmallNet(1, norm=True)
    row = net.weights[0]

    def loss(w):
        return net.loss(torch.cat([w[None], net.weights[1:]]) @ net.first.T)

    along = torch.autograd.functional.jacobian(loss, row)
    dense = torch.autograd.functional.hessian(loss, row)
    assert net.curvature(net.first).item() == pytest.approx(float(along @ dense @ along), rel=1e-9)


def test_with_constant_gamma_the_gradient_has_no_bound_but_that_of_eps():
    """So the maximum of theorem 4.4 over the ball says little: ``sigma`` is not that of a typical input."""
    norm, plain = SmallNet(0, norm=True), SmallNet(0, norm=False)
    tame, wild = (norm.gradient_square(norm.shrunk(share)).item() for share in (1.0, 1e-3))
    assert wild > 1e4 * tame
    assert plain.gradient_square(plain.shrunk(1e-3)).item() < 1e2 * plain.gradient_square(plain.first).item()
    assert float(norm.shrunk(1e-3).norm()) <= norm.radius


def test_the_search_never_loses_what_it_has_found(monkeypatch):
    import theory.search_of_maxima as module

    monkeypatch.setattr(module, "STEPS", 6)
    net = SmallNet(0, norm=False)
    curve, (best, value) = _searched(net, net.gradient_square)
    assert curve == sorted(curve)
    assert curve[-1] == value == pytest.approx(net.gradient_square(best).item(), rel=1e-12)
    assert curve[0] >= net.gradient_square(net.first).item() * (1 - 1e-12)


def test_the_lemma_says_nothing_wrong_of_weights_that_did_not_move():
    same = torch.ones(2, 3, dtype=torch.float64)
    assert torch.equal(lemma_4_5(same, same).left, torch.zeros(2, dtype=torch.float64))
