from pathlib import Path

import pytest
import torch

from normscape.build import build
from normscape.config import compose_run
from normscape.data import gaussian_linear
from normscape.errors import UserError
from normscape.evidence.original import read_original
from normscape.evidence.table import curve
from normscape.loop import train

PAPER = read_original(Path(__file__).parents[2] / "results" / "santurkar2018" / "original", "fig05_b")
STEPS = (50, 100, 150, 200)


def test_targets_are_a_full_linear_map_of_gaussian_inputs():
    data = gaussian_linear(0)
    x, y = data.train.inputs, data.train.targets
    assert x.shape == y.shape == (1000, 10)
    assert x.dtype == y.dtype == torch.float32
    assert data.test is None
    A = torch.linalg.lstsq(x.double(), y.double()).solution.T
    assert (y.double() - x.double() @ A.T).abs().max() < 1e-6
    assert torch.linalg.matrix_rank(y.double()) == torch.linalg.matrix_rank(A) == 10
    assert A.min() > -1e-6
    assert A.max() < 1 + 1e-6
    assert abs(A.mean() - 0.5) < 0.1
    assert abs(x.mean()) < 0.05
    assert abs(x.std() - 1) < 0.05
    assert torch.equal(data.network_inputs(x), x)


def test_it_is_a_function_of_the_seed():
    first, again, other = gaussian_linear(0), gaussian_linear(0), gaussian_linear(1)
    assert torch.equal(first.train.inputs, again.train.inputs)
    assert torch.equal(first.train.targets, again.train.targets)
    assert first.checksum == again.checksum != other.checksum


def test_entries_of_the_map_may_be_normal():
    A = torch.linalg.lstsq(*(getattr(gaussian_linear(0, entries="normal").train, n) for n in ("inputs", "targets")))
    assert abs(A.solution.mean()) < 0.3
    assert abs(A.solution.std() - 1) < 0.25


def test_the_loss_of_no_answer_is_what_the_paper_plots_at_step_0():
    """3.47e4: a standard net, which starts near zero (`results/santurkar2018/original/fig05_b.csv`)."""
    losses = {
        entries: [float(gaussian_linear(seed, entries=entries).train.targets.square().sum()) for seed in range(10)]
        for entries in ("uniform", "normal")
    }
    assert min(losses["uniform"]) < 34676 < max(losses["uniform"])
    assert min(losses["normal"]) > 2 * 34676


def test_target_scale_scales_the_targets_only():
    one, three = gaussian_linear(0), gaussian_linear(0, target_scale=3.0)
    assert torch.equal(one.train.inputs, three.train.inputs)
    assert torch.allclose(3 * one.train.targets, three.train.targets, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("option", ["samples", "features", "target_scale"])
def test_options_must_be_positive(option):
    with pytest.raises(UserError, match=f"{option}=0: "):
        gaussian_linear(0, **{option: 0})


def test_unknown_entries_are_named_with_a_suggestion():
    with pytest.raises(UserError, match=r"entries=norma: no such distribution.*normal"):
        gaussian_linear(0, entries="norma")


def losses(series, *settings):
    """Return the training losses of ten seeds at `STEPS`, one row per step."""
    rows = []
    for seed in range(10):
        config = compose_run(
            [f"run=dln_{series}", f"seed={seed}", "probe=[]", "tracker=none", "steps=201", "log_every=50", *settings]
        )
        components = build(config, torch.device("cpu"))
        train(components.plan, components.state, lambda step, rows: True)
        found = {row.step: row.value for row in components.state.records.rows if row.quantity == "train_loss"}
        rows.append([found[step] for step in STEPS])
    return list(zip(*rows, strict=True))


def misses(series, *settings):
    """Return the steps at which the loss that the paper plots lies outside the range of ten seeds."""
    theirs = curve(PAPER, series=series, lr=1e-6, quantity="train_loss")
    found = zip(STEPS, losses(series, *settings), strict=True)
    return [step for step, ours in found if not min(ours) <= theirs[step] <= max(ours)]


@pytest.mark.parametrize("series", ["standard", "batch"])
def test_the_losses_that_the_paper_plots_are_those_of_uniform_entries(series):
    assert misses(series) == []


def test_the_losses_that_the_paper_plots_are_not_those_of_centred_entries():
    assert misses("batch", "data.entries=normal", "+data.target_scale=0.59") == [*STEPS]
