"""Measures: a number of one series' curve, and what it is called."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from normscape.evidence.curves import Curves, Floats
from normscape.evidence.words import quantity_name


@dataclass(frozen=True)
class Measure(ABC):
    """A number of one series' curve of ``quantity``, of ``layer`` where the quantity has layers."""

    quantity: str
    layer: int | None = None
    every_rate: ClassVar[bool] = False
    """Whether it is of a series' runs at all learning rates together, not of one run."""

    @abstractmethod
    def of(self, curves: Curves, series: str) -> float:
        """Compute it; NaN if the series has no such curve."""

    @property
    @abstractmethod
    def words(self) -> str:
        """What it is, with its unit."""

    @property
    def factor(self) -> float:
        """From what `of` returns to the unit of the words."""
        return 1.0

    @property
    def quantities(self) -> tuple[str, ...]:
        """The quantities that it needs."""
        return (self.quantity,)

    @property
    def name(self) -> str:
        """The quantity's name."""
        return quantity_name(self.quantity, self.layer)

    def values(self, curves: Curves, series: str) -> Floats:
        """Return the values of the curve."""
        return curves.curve(series, self.quantity, self.layer).values


@dataclass(frozen=True)
class Median(Measure):
    """The median over the steps at which the curve is defined (a zero gradient has no angle)."""

    def of(self, curves: Curves, series: str) -> float:
        """Compute it."""
        return median(defined(self.values(curves, series)))

    @property
    def words(self) -> str:
        """What it is."""
        return f"median over steps of {self.name}"


@dataclass(frozen=True)
class Count(Measure):
    """The number of steps at which the quantity was measured: what a median over them rests on."""

    def of(self, curves: Curves, series: str) -> float:
        """Compute it; of a range over step sizes, which has two edges, the steps count once."""
        found = [curves.all_of(series, self.quantity, self.layer, edge).steps for edge in ("", "min")]
        return float(len(np.unique(np.concatenate(found))))

    @property
    def words(self) -> str:
        """What it is."""
        return f"number of steps at which {self.name} was measured"


@dataclass(frozen=True)
class MedianSize(Measure):
    """The median over steps of the absolute value."""

    def of(self, curves: Curves, series: str) -> float:
        """Compute it."""
        return median(np.abs(defined(self.values(curves, series))))

    @property
    def words(self) -> str:
        """What it is."""
        return f"median over steps of |{self.name}|"


@dataclass(frozen=True)
class MedianTimesHalfRate(Measure):
    """The median over steps in units of 2 / lr, the curvature above which gradient descent diverges on a quadratic."""

    def of(self, curves: Curves, series: str) -> float:
        """Compute it."""
        curve = curves.curve(series, self.quantity, self.layer)
        return median(defined(curve.values)) * curve.lr / 2

    @property
    def words(self) -> str:
        """What it is."""
        return f"median over steps of {self.name}, in units of 2 / lr"


@dataclass(frozen=True)
class MedianQuotient(Measure):
    """The median over steps of ``quantity`` / ``divisor``."""

    divisor: str = ""

    def of(self, curves: Curves, series: str) -> float:
        """Compute it."""
        above, below = (curves.curve(series, quantity, self.layer).series() for quantity in self.quantities)
        return median(defined((above / below).to_numpy(np.float64)))

    @property
    def words(self) -> str:
        """What it is."""
        return f"median over steps of {quantity_name(self.quantity)} / {quantity_name(self.divisor, self.layer)}"

    @property
    def quantities(self) -> tuple[str, ...]:
        """The quantities that it needs."""
        return self.quantity, self.divisor


@dataclass(frozen=True)
class ShareBelow(Measure):
    """The share of the steps at which the absolute value is below ``bound``."""

    bound: float = math.nan

    def of(self, curves: Curves, series: str) -> float:
        """Compute it."""
        values = defined(self.values(curves, series))
        return float((np.abs(values) < self.bound).mean()) if len(values) else math.nan

    @property
    def words(self) -> str:
        """What it is."""
        return f"share of steps with |{self.name}| below {self.bound:g}"


@dataclass(frozen=True)
class Largest(Measure):
    """The maximum over steps; NaN if a value is, which may have been larger."""

    def of(self, curves: Curves, series: str) -> float:
        """Compute it."""
        values = self.values(curves, series)
        return float(values.max()) if len(values) else math.nan

    @property
    def words(self) -> str:
        """What it is."""
        return f"maximum over steps of {self.name}"


@dataclass(frozen=True)
class UpperDecile(Measure):
    """The 90 % quantile over steps: large values, without the single largest, which grows with the number of steps."""

    def of(self, curves: Curves, series: str) -> float:
        """Compute it; NaN if a value is."""
        values = self.values(curves, series)
        if not len(values) or np.isnan(values).any():
            return math.nan
        return float(np.quantile(values, 0.9, method="inverted_cdf"))  # a value itself, as next to it may be infinity

    @property
    def words(self) -> str:
        """What it is."""
        return f"90 % quantile over steps of {self.name}"


@dataclass(frozen=True)
class Mean(Measure):
    """The mean over steps; NaN if a value is."""

    def of(self, curves: Curves, series: str) -> float:
        """Compute it."""
        values = self.values(curves, series)
        return float(values.mean()) if len(values) else math.nan

    @property
    def words(self) -> str:
        """What it is."""
        return f"mean over steps of {self.name}"


@dataclass(frozen=True)
class MeanOfFloor(Measure):
    """The mean over steps in units of the mean of ``floor``, what the quantity is when nothing but noise moves."""

    floor: str = ""

    def of(self, curves: Curves, series: str) -> float:
        """Compute it; NaN if a value is, or if the floor was not measured."""
        moved, floor = (Mean(quantity, self.layer).of(curves, series) for quantity in self.quantities)
        return moved / floor if floor else math.nan

    @property
    def words(self) -> str:
        """What it is."""
        return f"mean over steps of {self.name}, in units of the mean of its noise floor"

    @property
    def quantities(self) -> tuple[str, ...]:
        """The quantities that it needs."""
        return self.quantity, self.floor


@dataclass(frozen=True)
class MedianWidth(Measure):
    """The median over steps of a range's width: greatest minus least value over the step sizes.

    What overflows float32 counts as infinitely wide.
    """

    def of(self, curves: Curves, series: str) -> float:
        """Compute it."""
        low, high = (curves.curve(series, self.quantity, self.layer, edge) for edge in ("min", "max"))
        if np.array_equal(low.steps, high.steps):
            with np.errstate(invalid="ignore"):  # inf - inf
                widths = high.values - low.values
        else:
            widths = (high.series() - low.series()).to_numpy(np.float64)
        return median(np.where(np.isnan(widths), math.inf, widths)) if len(low) else math.nan

    @property
    def words(self) -> str:
        """What it is."""
        return f"median over steps of the spread (maximum minus minimum over step sizes) of {self.name}"


@dataclass(frozen=True)
class MedianAtStepSize(Measure):
    """The median over steps at the step size ``place``: 0 is the smallest, 3 the fourth smallest, -1 the largest.

    What overflows float32 counts as infinite.
    """

    place: int = -1

    def of(self, curves: Curves, series: str) -> float:
        """Compute it."""
        curve = curves.all_of(series, self.quantity, self.layer)
        if not len(curve):
            return math.nan
        sizes = np.unique(curve.step_sizes)
        if not -len(sizes) <= self.place < len(sizes):
            return math.nan
        there = curve.values[curve.step_sizes == sizes[self.place]]
        return median(np.where(np.isnan(there), math.inf, there))

    @property
    def words(self) -> str:
        """What it is."""
        which = {-1: "largest", 0: "smallest", 1: "second smallest", 2: "third smallest", 3: "fourth smallest"}
        return f"median over steps of {self.name} at the {which[self.place]} step size"


def defined(values: Floats) -> Floats:
    """Return the values that are numbers; infinity is one."""
    return values[~np.isnan(values)]


def median(values: Floats) -> float:
    """Return the median, NaN if there is no value."""
    with np.errstate(invalid="ignore"):
        return float(np.median(values)) if len(values) else math.nan
