"""Over which learning rates a network trains: measures of a series' runs at all of its rates together."""

import math
from dataclasses import dataclass
from typing import ClassVar

from normscape.evidence.comparing import CHANCE
from normscape.evidence.curves import Curves
from normscape.evidence.marks import Final
from normscape.evidence.measures import Measure

SHARE = 0.8
"""A rate is usable if a network gets to this share of what any of the compared networks reaches at its best rate."""


def final_accuracies(curves: Curves, series: str, quantity: str) -> dict[float, float]:
    """Return by rate, in increasing order, where a series ends: the mean of its last 5 logged mini-batches.

    A run that diverged counts as chance, since its weights are no longer numbers.
    """
    rates = sorted({key.lr for key in curves.of if (key.series, key.quantity) == (series, quantity)})
    found = {}
    for rate in rates:
        runs = curves.about({"lr": rate})
        ended = runs.curve(series, quantity)
        early = len(ended) and ended.steps[-1] < curves.last_of(quantity)
        found[rate] = CHANCE if early else Final(quantity, points=5).of(runs, series)
    return found


@dataclass(frozen=True)
class OverRates(Measure):
    """A measure of the rates at which a series trains; a wider range at one end only shows where the grid ends."""

    every_rate: ClassVar[bool] = True

    def usable(self, curves: Curves, series: str) -> list[float]:
        """Return the usable rates of the grid."""
        return [rate for rate, is_usable in self._judged(curves, series).items() if is_usable]

    def neighbouring(self, curves: Curves, series: str) -> list[float]:
        """Return the longest run of neighbouring usable rates of the grid; the first, if there are several."""
        longest: list[float] = []
        current: list[float] = []
        for rate, is_usable in self._judged(curves, series).items():
            current = [*current, rate] if is_usable else []
            longest = max(longest, current, key=len)
        return longest

    def _judged(self, curves: Curves, series: str) -> dict[float, bool]:
        """Return by rate, in increasing order, whether it is usable."""
        names = {key.series for key in curves.of if key.quantity == self.quantity}
        best = max(value for name in names for value in final_accuracies(curves, name, self.quantity).values())
        return {rate: v >= SHARE * best for rate, v in final_accuracies(curves, series, self.quantity).items()}

    def bounds(self, curves: Curves, series: str) -> tuple[float, float]:
        """Return the lowest and the highest of `neighbouring`; NaN if there is none."""
        rates = self.neighbouring(curves, series)
        return (rates[0], rates[-1]) if rates else (math.nan, math.nan)

    @property
    def meaning(self) -> str:
        """When a rate is usable, in words."""
        return f"usable: at least {100 * SHARE:g} % of the best training accuracy of any network at any rate"


class UsableRange(OverRates):
    """How many neighbouring rates of the grid are usable: steps of 1, 3, 10 are about equally far apart."""

    def of(self, curves: Curves, series: str) -> float:
        """Compute it."""
        return float(len(self.neighbouring(curves, series)))

    @property
    def words(self) -> str:
        """What it is."""
        return f"number of neighbouring usable learning rates of the grid ({self.meaning})"


class HighestRate(OverRates):
    """The highest usable rate; 0 if none is."""

    def of(self, curves: Curves, series: str) -> float:
        """Compute it."""
        return max(self.usable(curves, series), default=0.0)

    @property
    def words(self) -> str:
        """What it is."""
        return f"highest usable learning rate of the grid ({self.meaning})"
