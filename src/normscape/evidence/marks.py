"""Marks of training: where a curve ends, and how many steps it takes to get somewhere."""

import math
from dataclasses import dataclass

import pandas as pd

from normscape.evidence.curves import Curve, Curves
from normscape.evidence.measures import Measure

NEIGHBOURS = 5
"""How many logged values are averaged where a curve is asked when it reaches a level."""


@dataclass(frozen=True)
class Final(Measure):
    """The mean of a curve's last ``points`` values; of its last one alone if the run ended before the others.

    A run that ended early has diverged: its state shortly before says nothing about its end. A loss that is
    no longer a number counts as infinite. Of a curve with fewer values it is NaN: it was logged too seldom.
    """

    points: int = 5
    percent: bool = False

    def of(self, curves: Curves, series: str) -> float:
        """Compute it."""
        curve = curves.curve(series, self.quantity, self.layer)
        if not len(curve):
            return math.nan
        early = ended_early(curve, self.quantity, curves)
        value = float(curve.values[-1 if early else -self.points :].mean())
        if math.isnan(value):
            return math.inf
        return value if early or len(curve) >= self.points else math.nan

    @property
    def factor(self) -> float:
        """From what `of` returns to the unit of the words."""
        return 100.0 if self.percent else 1.0

    @property
    def words(self) -> str:
        """What it is."""
        logged = {"train_accuracy": "mini-batches", "test_accuracy": "evaluations"}.get(self.quantity, "steps")
        when = "after the last step" if self.points == 1 else f"at the end (mean of {self.points} logged {logged})"
        return f"{self.name} {when}{', per cent' if self.percent else ''}"


@dataclass(frozen=True)
class StepsTo(Measure):
    """The first step at which the mean of five neighbouring logged values reaches ``level``; inf if it never does.

    NaN of a curve with fewer values, unless the run has diverged: it was logged too seldom to say.
    """

    quantity: str = "train_accuracy"
    level: float = math.nan

    def of(self, curves: Curves, series: str) -> float:
        """Compute it."""
        curve = curves.curve(series, self.quantity, self.layer)
        if len(curve) < NEIGHBOURS and not ended_early(curve, self.quantity, curves):
            return math.nan
        return steps_to_reach(curve.series(), self.level)

    @property
    def words(self) -> str:
        """What it is."""
        return f"steps to {100 * self.level:g} % {self.name} (mean of {NEIGHBOURS} logged mini-batches)"


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


def ended_early(curve: Curve, quantity: str, curves: Curves) -> bool:
    """Whether a run ended before others that have the quantity, as one that diverges does."""
    return bool(len(curve)) and bool(curve.steps[-1] < curves.last_of(quantity))


def steps_to_reach(curve: pd.Series, level: float, points: int = NEIGHBOURS) -> float:
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
