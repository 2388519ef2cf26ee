"""Plateaus of a deep linear net: the least losses of maps of each rank, and where a loss is among them."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from normscape.config import compose_run
from normscape.data import gaussian_linear
from normscape.evidence.curves import indexed
from normscape.evidence.finished import FinishedRun
from normscape.evidence.marks import StepsToCount
from normscape.evidence.statistics import Ratio
from santurkar2018.plateaus import plateau_levels, plateau_rows


def test_a_level_is_the_least_loss_of_a_map_of_its_rank():
    """Of all maps U V' x of rank 2, found by alternating least squares, none is better and the best is as good."""
    data = gaussian_linear(seed=3, samples=50, features=4).train
    x, y = data.inputs.double(), data.targets.double()
    best = np.inf
    for seed in range(5):
        U = torch.randn(4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        for _ in range(200):
            z = torch.linalg.lstsq(x, y @ torch.linalg.pinv(U).T).solution
            U = torch.linalg.lstsq(x @ z, y).solution.T
        best = min(best, float((y - x @ z @ U.T).square().sum()))
    levels = plateau_levels(y)
    assert len(levels) == 4
    assert levels[0] == pytest.approx(float(y.square().sum()), rel=1e-12)
    assert levels[2] == pytest.approx(best, rel=1e-6)


def test_levels_are_a_thousand_times_the_singular_values_of_the_map():
    data = gaussian_linear(seed=0).train
    A = torch.linalg.lstsq(data.inputs.double(), data.targets.double()).solution
    energies = torch.linalg.svdvals(A).square()
    np.testing.assert_allclose(
        plateau_levels(data.targets)[:5] / 1000, [energies[r:].sum() for r in range(5)], rtol=0.15
    )


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_a_loss_is_on_the_nearest_plateau(reduction):
    config = compose_run(["run=dln_batch", "scale=laptop", f"loss.reduction={reduction}", "seed=2"])
    targets = gaussian_linear(seed=2).train.targets
    levels = plateau_levels(targets) / (1 if reduction == "sum" else targets.numel())
    losses = [levels[0], 1.01 * levels[3], 0.99 * levels[6], 1e-9 * levels[9], np.nan, np.inf]
    frame = pd.DataFrame({"step": range(6), "quantity": "train_loss", "layer": pd.NA, "value": losses})
    rows = plateau_rows(FinishedRun(config, SimpleNamespace(table=lambda: frame)))
    fitted = rows[rows["quantity"] == "directions_fitted"]["value"]
    np.testing.assert_array_equal(fitted, [0, 3, 6, 9, np.nan, np.nan])
    ratios = rows[rows["quantity"] == "loss_over_plateau"]["value"]
    np.testing.assert_allclose(ratios[:3], [1, 1.01, 0.99], rtol=1e-6)
    steps = StepsToCount("directions_fitted", count=3)
    (curves,) = indexed(rows).values()
    assert (steps.of(curves, "batch"), StepsToCount("directions_fitted", count=10).of(curves, "batch")) == (1, np.inf)
    assert np.isnan(steps.of(curves, "standard"))
    assert (
        Ratio(steps, "batch", "batch").words
        == "steps to 3 singular directions of the target fitted, BatchNorm / BatchNorm"
    )
