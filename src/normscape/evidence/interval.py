"""A statistic over seeds: its value on each, their median, and an interval."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

ENOUGH = 0.95
"""The coverage that an interval needs, for a verdict to be more than what all seeds agree on."""


@dataclass(frozen=True)
class Measured:
    """A statistic, in words: its value on each seed, and its value on the paper's curves, None if there are none.

    A part of a run that no seed reaches has no values.
    """

    words: str
    values: tuple[float, ...]
    paper: float | None = None

    @cached_property
    def value(self) -> float:
        """The median over seeds."""
        return float(np.median(self.values)) if self.values else math.nan

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
            "spread": {"low": plain(self.low), "high": plain(self.high), "coverage": plain(coverage(len(self.values)))},
            "values": [plain(value) for value in self.values],
            "paper_value": None if self.paper is None else plain(self.paper),
        }

    @classmethod
    def from_json(cls, words: str, numbers: Mapping[str, Any]) -> "Measured":
        """Return what `to_json` was called on, to its 6 digits; ValueError if the numbers do not belong together."""
        paper = numbers["paper_value"]
        values = tuple(float(value) for value in numbers["values"])
        measured = cls(words, values, None if paper is None else float(paper))
        kept = [float(numbers["value"]), *(float(numbers["spread"][end]) for end in ("low", "high"))]
        computed = [measured.value, measured.low, measured.high]
        if not np.allclose(kept, computed, rtol=1e-5, atol=1e-12, equal_nan=True):
            raise ValueError(f"{kept} are not median and interval of {[*values]}")
        measured.__dict__.update(value=kept[0], interval=(kept[1], kept[2]))
        return measured


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return an interval of the median over seeds: its k-th smallest and k-th largest value (order statistics).

    k is the largest for which the interval covers the true median with 95 % probability or more, whatever the
    distribution; with fewer than 6 seeds there is none, and the range is returned, which covers less (`coverage`).
    The median, since most statistics are ratios over decades, whose mean one seed would decide. NaN if a value is.
    """
    if not values or any(math.isnan(value) for value in values):
        return math.nan, math.nan
    ordered, rank = sorted(values), _rank(len(values))
    return float(ordered[rank - 1]), float(ordered[-rank])


def coverage(n: int) -> float:
    """Return the probability with which `interval` of n seeds covers the true median."""
    return _covered(_rank(n), n) if n else 0.0


def _rank(n: int) -> int:
    return max((k for k in range(1, n // 2 + 1) if _covered(k, n) >= ENOUGH), default=1)


def _covered(rank: int, n: int) -> float:
    """Return 1 - 2 P(Binomial(n, 1/2) < rank): neither end lies on the wrong side of the median."""
    return 1.0 - 2.0 * sum(math.comb(n, fewer) for fewer in range(rank)) / 2.0**n


def rounded(value: float) -> float:
    """Return a number to the 6 digits that manifests keep, so that it is judged there as it is here."""
    return float(plain(value))


def plain(value: float) -> float | str:
    """Return a number that JSON can hold, rounded to 6 digits, or ``inf``, ``-inf``, ``nan`` as a word."""
    return float(f"{value:.6g}") if math.isfinite(value) else str(value)
