"""Statistics of curves as objects: what is computed and how it is called are one, so they cannot drift apart.

A `Measure` takes a number from one series' curve, e.g. its median over steps. A `Statistic` takes a number from the
curves of one seed: a measure `Of` one series, the `Ratio` or `Difference` of a measure between two series, over all
steps or `AtEqualAccuracy`, any of them `During` a part of the run, and the `Change` from one part to another. Each says
in ``words`` what it is.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from normscape.evidence.curves import Curves, Use
from normscape.evidence.measures import Count, Measure
from normscape.evidence.parts import BINS, AtAccuracy, AtLoss, Part
from normscape.evidence.words import display_name, quantity_name


class Statistic(ABC):
    """A number of the curves of one seed. NaN where it cannot be told, inf where something never happens."""

    @abstractmethod
    def of(self, curves: Curves) -> float:
        """Compute it."""

    @property
    @abstractmethod
    def words(self) -> str:
        """What it is, with its unit, as part of a sentence."""

    @property
    def not_of_all(self) -> bool:
        """Whether some seeds may not have it, who are then left out: a network may never reach an accuracy."""
        return False

    @property
    def part(self) -> str:
        """Its name as a part of another statistic."""
        return f"for another statistic ({self.words})"

    def measured_steps(self, curves: Curves) -> dict[str, tuple[int, ...]]:
        """Return at how many steps each series was measured, bin by bin, where networks are compared in bins."""
        return {}

    @abstractmethod
    def uses(self) -> Iterator[Use]:
        """Yield the curves that it needs."""


@dataclass(frozen=True)
class Of(Statistic):
    """A measure of one series."""

    measure: Measure
    series: str

    def of(self, curves: Curves) -> float:
        """Compute it."""
        return self.measure.factor * self.measure.of(curves, self.series)

    @property
    def words(self) -> str:
        """What it is."""
        return f"{self.measure.words}, {display_name(self.series)}"

    def uses(self) -> Iterator[Use]:
        """Yield the curves that it needs."""
        measure = self.measure
        yield from (Use(self.series, name, measure.layer, measure.every_rate) for name in measure.quantities)


@dataclass(frozen=True)
class Comparison(Statistic):
    """A measure of one series, compared with that of another."""

    measure: Measure
    series: str
    other: str

    def uses(self) -> Iterator[Use]:
        """Yield the curves that it needs."""
        yield from (*Of(self.measure, self.series).uses(), *Of(self.measure, self.other).uses())


@dataclass(frozen=True)
class Ratio(Comparison):
    """A measure of one series over that of another."""

    def of(self, curves: Curves) -> float:
        """Compute it."""
        return ratio_of(self.measure.of(curves, self.series), self.measure.of(curves, self.other))

    @property
    def words(self) -> str:
        """What it is."""
        plain = self.measure.words.replace(", per cent", "")
        return f"{plain}, {display_name(self.series)} / {display_name(self.other)}"


@dataclass(frozen=True)
class Difference(Comparison):
    """A measure of one series minus that of another."""

    def of(self, curves: Curves) -> float:
        """Compute it."""
        return self.measure.factor * (self.measure.of(curves, self.series) - self.measure.of(curves, self.other))

    @property
    def words(self) -> str:
        """What it is."""
        points = self.measure.words.replace(", per cent", ", percentage points")
        return f"{points}, {display_name(self.series)} - {display_name(self.other)}"


@dataclass(frozen=True)
class ShareLarger(Statistic):
    """The share of the steps at which a quantity is larger in one series than in another."""

    quantity: str
    larger: str
    smaller: str

    def of(self, curves: Curves) -> float:
        """Compute it, over the steps at which both are defined."""
        one, other = (curves.curve(series, self.quantity).series() for series in (self.larger, self.smaller))
        both = pd.concat([one, other], axis=1, join="inner").dropna()
        return float((both.iloc[:, 0] > both.iloc[:, 1]).mean()) if len(both) else math.nan

    @property
    def words(self) -> str:
        """What it is."""
        name, larger, smaller = quantity_name(self.quantity), display_name(self.larger), display_name(self.smaller)
        return f"share of the steps at which {name} is larger in {larger} than in {smaller}"

    def uses(self) -> Iterator[Use]:
        """Yield the curves that it needs."""
        yield from (Use(series, self.quantity, None) for series in (self.larger, self.smaller))


@dataclass(frozen=True)
class During(Statistic):
    """A statistic of a part of the run."""

    statistic: Statistic
    within: Part

    def of(self, curves: Curves) -> float:
        """Compute it."""
        return self.statistic.of(self.within.of(curves))

    @property
    def words(self) -> str:
        """What it is."""
        return f"{self.statistic.words}, {self.within.words}"

    @property
    def not_of_all(self) -> bool:
        """Whether the part of the run is one that a network may never reach."""
        return isinstance(self.within, AtAccuracy)

    @property
    def part(self) -> str:
        """What it is, said of the statistic over the whole run."""
        return self.within.words

    def uses(self) -> Iterator[Use]:
        """Yield the curves that it needs."""
        needed = list(self.statistic.uses())
        yield from (*needed, *self.within.uses({use.series for use in needed}))


@dataclass(frozen=True)
class Change(Statistic):
    """A statistic of one part of the run over the same of another part."""

    statistic: Statistic
    above: Part
    below: Part

    def of(self, curves: Curves) -> float:
        """Compute it."""
        return ratio_of(*(self.statistic.of(part.of(curves)) for part in (self.above, self.below)))

    @property
    def words(self) -> str:
        """What it is."""
        return f"{self.statistic.words}, {self.above.words} / {self.below.words}"

    def uses(self) -> Iterator[Use]:
        """Yield the curves that it needs."""
        needed = list(self.statistic.uses())
        series = {use.series for use in needed}
        yield from (*needed, *self.above.uses(series), *self.below.uses(series))


@dataclass(frozen=True)
class AtEqualAccuracy(Statistic):
    """A ratio or difference of two networks at equal training accuracy, averaged over `BINS`.

    Each network counts at its own steps in a bin. Ratios are averaged geometrically, differences arithmetically, over
    the bins that both networks reach. NaN if they are never at equal progress in a bin, as where one diverges.
    """

    statistic: Comparison

    def of(self, curves: Curves) -> float:
        """Compute it."""
        values = [each.of(curves) for each in self.bins]
        return _mean(values, geometric=not isinstance(self.statistic, Difference))

    @property
    def bins(self) -> list[Statistic]:
        """The statistic in each bin."""
        return [During(self.statistic, part) for part in BINS]

    def measured_steps(self, curves: Curves) -> dict[str, tuple[int, ...]]:
        """Return at how many steps each of the two was measured, bin by bin."""
        compared = self.statistic
        counted = Count(compared.measure.quantity, compared.measure.layer)
        parts = [part.of(curves) for part in BINS]
        return {
            series: tuple(int(counted.of(part, series)) for part in parts)
            for series in (compared.series, compared.other)
        }

    @property
    def words(self) -> str:
        """What it is."""
        spans = ", ".join(f"{100 * part.low:g}-{100 * part.high:g}" for part in BINS)
        over = f"mean over those of {spans} % that both reach"
        return f"{self.statistic.words}, at equal training accuracy ({over})"

    def uses(self) -> Iterator[Use]:
        """Yield the curves that it needs."""
        yield from self.bins[0].uses()


@dataclass(frozen=True)
class AtEqualLoss(Statistic):
    """A ratio of two networks at equal training loss: its geometric mean over the octaves of the loss that both pass.

    Each network counts at its own steps in an octave. NaN if they pass none together.
    """

    statistic: Ratio

    def of(self, curves: Curves) -> float:
        """Compute it."""
        compared = (self.statistic.series, self.statistic.other)
        losses = np.concatenate([curves.curve(series, "train_loss").values for series in compared])
        losses = losses[np.isfinite(losses) & (losses > 0)]
        octaves = np.unique(np.floor(np.log2(losses)))
        values = [During(self.statistic, AtLoss(2.0**n, 2.0 ** (n + 1))).of(curves) for n in octaves]
        return _mean(values, geometric=True)

    @property
    def words(self) -> str:
        """What it is."""
        return f"{self.statistic.words}, at equal training loss (mean over the octaves of the loss that both pass)"

    def uses(self) -> Iterator[Use]:
        """Yield the curves that it needs."""
        needed = list(self.statistic.uses())
        yield from (*needed, *AtLoss(1, 2).uses({use.series for use in needed}))


def _mean(values: Sequence[float], *, geometric: bool) -> float:
    """Return the mean of the values that are numbers, infinity among them; NaN if there is none."""
    told = np.array([value for value in values if not math.isnan(value)])
    if not len(told) or not geometric:
        return float(told.mean()) if len(told) else math.nan
    with np.errstate(divide="ignore", invalid="ignore"):  # 0 and infinity
        return float(np.exp(np.log(told).mean()))


def ratio_of(above: float, below: float) -> float:
    """Return above / below; inf and 0 where one is infinite, NaN where both are or both are 0."""
    if math.isinf(above) and math.isinf(below):
        return math.nan
    if below == 0:
        return math.inf if above > 0 else math.nan
    return above / below
