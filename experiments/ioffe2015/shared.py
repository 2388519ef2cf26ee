"""What several figures share: the networks on CIFAR-10, their names and colours, and marks of whole runs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from normscape.drawing.bands import median_over_seeds
from normscape.drawing.panels import plain_log_ticks, step_axis
from normscape.evidence.curves import Curves
from normscape.evidence.finished import FinishedRun
from normscape.evidence.measures import Measure
from normscape.evidence.table import select

BASELINE = "baseline"
NETWORKS = {
    "baseline": ("#D55E00", "-", "Baseline"),
    "BN-baseline": ("#0072B2", "-", "BN-Baseline"),
    "BN-x5": ("#009E73", "-", "BN-x5"),
    "BN-x30": ("#CC79A7", "-", "BN-x30"),
    "BN-x5-sigmoid": ("#009E73", "--", "BN-x5-Sigmoid"),
    "sigmoid": ("#D55E00", "--", "Baseline with sigmoids"),
    "whitening": ("#E69F00", "-", "Whitening in place of BN"),
}
"""Colour, line and name of each series; sigmoids are dashed."""


@dataclass(frozen=True)
class Mark(Measure):
    """The one value that a run has of a quantity."""

    percent: bool = False

    def of(self, curves: Curves, series: str) -> float:
        """Compute it."""
        values = self.values(curves, series)
        return float(values[-1]) if len(values) else math.nan

    @property
    def factor(self) -> float:
        """From what `of` returns to the unit of the words."""
        return 100.0 if self.percent else 1.0

    @property
    def words(self) -> str:
        """What it is."""
        return f"{self.name}{', per cent' if self.percent else ''}"


def marks(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return how each run compares with the baseline of its seed.

    Rows ``best_accuracy``, the largest test accuracy, and ``steps_to_best_of_baseline``, the first step at which the
    test accuracy is at least the baseline's largest; infinite if it never is.
    """
    accuracies = {(run.config.series, run.config.seed): run.rows("test_accuracy") for run in runs}
    rows = []
    for (_, seed), accuracy in accuracies.items():
        values, steps = accuracy["value"].to_numpy(float), accuracy["step"].to_numpy(float)
        goal = accuracies[BASELINE, seed]["value"].max()
        reached = steps[values >= goal]
        found = {"best_accuracy": values.max(), "steps_to_best_of_baseline": reached.min(initial=math.inf)}
        last = accuracy.iloc[[int(np.argmax(steps))]]
        rows += [last.assign(quantity=name, value=value) for name, value in found.items()]
    return pd.concat(rows, ignore_index=True)


def accuracy_curves(axes: Axes, rows: pd.DataFrame, series: Sequence[str], quantity: str, **which: Any) -> None:
    """Draw an accuracy of some networks over steps, in per cent."""
    for name in series:
        color, line, label = NETWORKS[name]
        mine = select(rows, series=name, quantity=quantity, **which)
        if len(mine):
            median_over_seeds(axes, mine, hold=True, color=color, linestyle=line, label=label)
    step_axis(axes, rows)
    axes.set(ylim=(0, 1))
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))


def over_steps(axes: Axes, rows: pd.DataFrame) -> None:
    """Let the axes span the steps of rows, and their values, logarithmically with plain numbers if that can be."""
    scale = log_if_positive(rows["value"])
    step_axis(axes, rows)
    axes.set(yscale=scale)
    if scale == "log":
        plain_log_ticks(axes.yaxis, rows["value"])


def log_if_positive(values: pd.Series) -> str:
    """Return the scale of an axis: logarithmic if there is a positive finite value to show, else linear."""
    found = values.to_numpy(float)
    return "log" if bool((np.isfinite(found) & (found > 0)).any()) else "linear"
