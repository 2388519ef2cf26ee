"""Marks of training: where a curve ends, and how many steps it takes to get somewhere."""

import math
from dataclasses import dataclass

import pandas as pd

from normscape.evidence.curves import Curves
from normscape.evidence.measures import Measure


@dataclass(frozen=True)
class Final(Measure):
    """The mean of a curve's last ``points`` values; of its last one alone if the run ended before the others.

    A run that ended early has diverged: its state shortly before says nothing about its end. A loss that is
    no longer a number counts as infinite.
    """

    points: int = 5
    percent: bool = False

    def of(self, curves: Curves, series: str) -> float:
        """Compute it."""
        curve = curves.curve(series, self.quantity, self.layer)
        if not len(curve):
            return math.nan
        ended_early = curve.steps[-1] < curves.last_of(self.quantity)
        value = float(curve.values[-1 if ended_early else -self.points :].mean())
        return math.inf if math.isnan(value) else value

    @property
    def factor(self) -> float:
        """From what `of` returns to the unit of the words."""
        return 100.0 if self.percent else 1.0

    @property
    def words(self) -> str:
        """What it is."""
        logged = "mini-batches" if "accuracy" in self.quantity else "steps"
        when = "after the last step" if self.points == 1 else f"at the end (mean of {self.points} logged {logged})"
        return f"{self.name} {when}{', per cent' if self.percent else ''}"


@dataclass(frozen=True)
class StepsTo(Measure):
    """The first step at which the mean of five neighbouring logged values reaches ``level``; inf if it never does."""

    quantity: str = "train_accuracy"
    level: float = math.nan

    def of(self, curves: Curves, series: str) -> float:
        """Compute it."""
        return steps_to_reach(curves.curve(series, self.quantity, self.layer).series(), self.level)

    @property
    def words(self) -> str:
        """What it is."""
        return f"steps to {100 * self.level:g} % {self.name} (mean of 5 logged mini-batches)"


@dataclass(frozen=True)
class StepsToCount(Measure):
    """The first step at which a count reaches ``count``; inf if it never does."""

    count: int = 1

    def of(self, curves: Curves, series: str) -> float:
        """Compute it."""
        curve = curves.curve(series, self.quantity, self.layer)
        if not len(curve):
            return math.nan
        reached = curve.steps[curve.values >= self.count]
        return float(reached[0]) if len(reached) else math.inf

    @property
    def words(self) -> str:
        """What it is."""
        return f"steps to {self.count} {self.name}"


def steps_to_reach(curve: pd.Series, level: float, points: int = 5) -> float:
    """Return the first step at which the mean of ``points`` neighbouring values of a curve reaches ``level``.

    Parameters
    ----------
    curve
        Values indexed by step, evenly spaced. The mean is centred, as for the marks read off the paper's curves.
    level
        In the unit of the values.

    Returns
    -------
    float
        The step, inf if the curve never gets there, NaN if there is no curve.
    """
    if curve.empty:
        return math.nan
    smooth = curve.sort_index().rolling(points, center=True).mean()
    reached = smooth.index[smooth >= level]
    return float(reached[0]) if len(reached) else math.inf
