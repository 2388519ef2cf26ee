"""Parts of a run: shares of its steps, or until a network has fitted its training data."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from normscape.evidence.curves import Curves, Floats, Use
from normscape.evidence.marks import steps_to_reach
from normscape.evidence.words import network

FITTED = 0.99
"""The training accuracy (mean of 5 logged mini-batches) from which a network counts as fitted."""


class Part(Protocol):
    """A part of the run."""

    @property
    def words(self) -> str:
        """What it is called, as an adverbial: ``over the second half of the steps``."""

    def of(self, curves: Curves) -> Curves:
        """Return this part of the curves."""

    def uses(self, series: Iterable[str]) -> Iterator[Use]:
        """Yield the curves that tell where it begins and ends, for a statistic of some series."""


@dataclass(frozen=True)
class Share:
    """The steps from a share ``first`` of the run until before a share ``last``; to the very end if that is 1."""

    words: str
    first: float
    last: float

    def of(self, curves: Curves) -> Curves:
        """Return this part of the curves."""
        end = curves.last_step
        return curves.between(self.first * end, math.inf if self.last == 1 else self.last * end)

    def uses(self, series: Iterable[str]) -> Iterator[Use]:
        """Yield nothing: every run has steps."""
        return iter(())


ALL_STEPS = Share("over all steps", 0.0, 1.0)
EARLY = Share("over the first 10 % of the steps", 0.0, 0.1)
MIDDLE = Share("between 10 % and 50 % of the steps", 0.1, 0.5)
FIRST_HALF = Share("over the first half of the steps", 0.0, 0.5)
LATE = Share("over the second half of the steps", 0.5, 1.0)
THIRD_QUARTER = Share("over the third quarter of the steps", 0.5, 0.75)
LAST_QUARTER = Share("over the last quarter of the steps", 0.75, 1.0)


@dataclass(frozen=True)
class Fitting:
    """The steps until a series has fitted its training data (`FITTED`); ``after``: the steps from then on."""

    series: str
    after: bool = False

    @property
    def words(self) -> str:
        """What it is called."""
        return f"{'after' if self.after else 'before'} {network(self.series)} has fitted its training data"

    def of(self, curves: Curves) -> Curves:
        """Return this part of the curves."""
        reached = steps_to_reach(curves.curve(self.series, "train_accuracy").series(), FITTED)
        if math.isnan(reached):  # never trained: it has no parts
            return Curves({})
        return curves.between(reached, math.inf) if self.after else curves.between(-math.inf, reached)

    def uses(self, series: Iterable[str]) -> Iterator[Use]:
        """Yield the curve that tells when the series has fitted."""
        yield Use(self.series, "train_accuracy", None)


@dataclass(frozen=True)
class AtAccuracy:
    """The steps of each network at which its own training accuracy is from ``low`` to below ``high``: equal progress.

    The accuracy is the centred mean of 5 logged mini-batches, fewer at the ends of a run, between logged steps by
    linear interpolation. A network that never gets there has no such steps.
    """

    low: float
    high: float

    @property
    def words(self) -> str:
        """What it is called."""
        return f"at {100 * self.low:g} to {100 * self.high:g} % training accuracy"

    def of(self, curves: Curves) -> Curves:
        """Return this part of the curves."""

        def there(series: str, steps: Floats) -> NDArray[np.bool_]:
            logged = curves.curve(series, "train_accuracy").series()
            return _between(logged.rolling(5, center=True, min_periods=1).mean(), steps, self.low, self.high)

        return curves.where(there)

    def uses(self, series: Iterable[str]) -> Iterator[Use]:
        """Yield the training accuracy of each series."""
        yield from (Use(name, "train_accuracy", None) for name in series)


@dataclass(frozen=True)
class AtLoss:
    """The steps of each network at which its own training loss is from ``low`` to below ``high``.

    Between logged steps the loss is interpolated linearly.
    """

    low: float
    high: float

    @property
    def words(self) -> str:
        """What it is called."""
        return f"at a training loss of {self.low:g} to {self.high:g}"

    def of(self, curves: Curves) -> Curves:
        """Return this part of the curves."""

        def there(series: str, steps: Floats) -> NDArray[np.bool_]:
            return _between(curves.curve(series, "train_loss").series(), steps, self.low, self.high)

        return curves.where(there)

    def uses(self, series: Iterable[str]) -> Iterator[Use]:
        """Yield the training loss of each series."""
        yield from (Use(name, "train_loss", None) for name in series)


def _between(logged: pd.Series, steps: Floats, low: float, high: float) -> NDArray[np.bool_]:
    """Return at which steps a logged curve, interpolated linearly, is from ``low`` to below ``high``; none if empty."""
    if logged.empty:
        return np.zeros(len(steps), dtype=bool)
    values = np.interp(steps, logged.index.to_numpy(np.float64), logged.to_numpy(np.float64))
    reached: NDArray[np.bool_] = (low <= values) & (values < high)
    return reached


BINS = (AtAccuracy(0.5, 0.8), AtAccuracy(0.8, 0.9), AtAccuracy(0.9, 0.99))
"""Where networks that learn at different speeds are compared: from the middle of training until the data are fitted."""
