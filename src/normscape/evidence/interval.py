"""A statistic over seeds: its value on each, their median, and an interval."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

BOOTSTRAP_FROM = 5
"""With this many seeds or more the interval is bootstrapped; with fewer it is the range, as resampling adds nothing."""


@dataclass(frozen=True)
class Measured:
    """A statistic, in words: its value on each seed, and its value on the paper's curves, None if there are none."""

    words: str
    values: tuple[float, ...]
    paper: float | None = None

    @cached_property
    def value(self) -> float:
        """The median over seeds."""
        return float(np.median(self.values))

    @cached_property
    def interval(self) -> tuple[float, float]:
        """The interval over seeds (see `interval`)."""
        return interval(self.values)

    @property
    def low(self) -> float:
        """The interval's lower end."""
        return self.interval[0]

    @property
    def high(self) -> float:
        """The interval's upper end."""
        return self.interval[1]

    def to_json(self) -> dict[str, Any]:
        """Return its numbers for a manifest; infinity and NaN as words, since JSON has no numbers for them."""
        return {
            "value": plain(self.value),
            "n": len(self.values),
            "spread": {"low": plain(self.low), "high": plain(self.high), "kind": interval_kind(self.values)},
            "values": [plain(value) for value in self.values],
            "paper_value": None if self.paper is None else plain(self.paper),
        }

    @classmethod
    def from_json(cls, words: str, numbers: Mapping[str, Any]) -> "Measured":
        """Return what `to_json` was called on, to its 6 digits; value and interval are those that were written."""
        paper = numbers["paper_value"]
        values = tuple(float(value) for value in numbers["values"])
        measured = cls(words, values, None if paper is None else float(paper))
        ends = float(numbers["spread"]["low"]), float(numbers["spread"]["high"])
        measured.__dict__.update(value=float(numbers["value"]), interval=ends)
        return measured


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the median over seeds, or the range where that has no meaning.

    The median, since most statistics are ratios over decades, whose mean one seed would decide. The range is taken for
    few seeds, equal values, and if a value is infinite; it is NaN if a value is.
    """
    if not _can_resample(values):
        return float(np.min(values)), float(np.max(values))
    from scipy import stats  # imported here: it takes a second, and few seeds do not need it

    draws = np.random.default_rng(0)
    result = stats.bootstrap((values,), np.median, confidence_level=0.95, method="percentile", rng=draws)
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def interval_kind(values: Sequence[float]) -> str:
    """Say what `interval` returns for these values."""
    return "95 % bootstrap interval of the median" if _can_resample(values) else "range over seeds"


def _can_resample(values: Sequence[float]) -> bool:
    return len(values) >= BOOTSTRAP_FROM and bool(np.isfinite(values).all()) and min(values) < max(values)


def plain(value: float) -> float | str:
    """Return a number that JSON can hold, rounded to 6 digits, or ``inf``, ``-inf``, ``nan`` as a word."""
    return float(f"{value:.6g}") if math.isfinite(value) else str(value)
