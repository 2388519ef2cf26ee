"""Claims of the paper as code: a statistic, what it must be for the claim to hold, and the verdict over seeds."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

BOOTSTRAP_FROM = 5
"""From so many seeds on the interval is a bootstrap's; below, the range over seeds, since resampling tells no more."""

Statistic = Callable[[pd.DataFrame], float]
"""From one seed's rows to a number; inf is allowed (never reached), NaN means not decidable."""


@dataclass(frozen=True)
class Claim:
    """One claim of the paper, or one finding on its plotted curves, as code.

    Attributes
    ----------
    name
        Short and unique within its figure; empty for a reason.
    statement
        The claim in words.
    statistic
        What is computed from one seed's rows, in words, with its unit.
    compute
        The same as code.
    above, below
        The claim holds where the statistic is above the one and below the other; None sets no bound.
    net
        ``vgg`` or ``dln`` if only the seeds with runs of that network are asked; they may be more or fewer.
    note
        Printed where the claim does not hold: how to read the evidence. It asserts nothing of the outcome.
    parts
        The statistic over parts of the run, or in other terms, by their words; judged by the same threshold, and
        reported where the claim does not hold throughout.
    reasons
        Statements that would explain why it does not, judged in the same way; reported with the parts.
    evidence
        Other statistics that bear on it, by their words; reported with the parts.
    """

    statement: str
    statistic: str
    compute: Statistic
    name: str = ""
    above: float | None = None
    below: float | None = None
    net: str = ""
    note: str = ""
    parts: Mapping[str, Statistic] = field(default_factory=dict)
    reasons: "Sequence[Claim]" = ()
    evidence: Mapping[str, Statistic] = field(default_factory=dict)

    @property
    def threshold(self) -> str:
        """What the statistic must be, in words."""
        if self.below is None:
            return f"above {self.above:g}"
        return f"below {self.below:g}" if self.above is None else f"between {self.above:g} and {self.below:g}"

    def verdict(self, low: float, high: float) -> str:
        """Judge an interval over seeds, whose ends may be infinite; NaN is undecided."""
        if (self.above is not None and high <= self.above) or (self.below is not None and low >= self.below):
            return "does not hold"
        if (self.above is None or low > self.above) and (self.below is None or high < self.below):
            return "holds"
        return "undecided"


@dataclass(frozen=True)
class Measured:
    """A statistic, in words: its value on each seed, their median and interval, and its value on the paper's curves."""

    statistic: str
    values: tuple[float, ...]
    value: float
    low: float
    high: float
    paper: float | None

    def to_json(self) -> dict[str, Any]:
        """Return it for a manifest; infinity and NaN as words, since JSON has no numbers for them."""
        return {
            "statistic": self.statistic,
            "value": plain(self.value),
            "n": len(self.values),
            "spread": {"low": plain(self.low), "high": plain(self.high), "kind": interval_kind(self.values)},
            "values": [plain(value) for value in self.values],
            "paper_value": None if self.paper is None else plain(self.paper),
        }


@dataclass(frozen=True)
class Verdict:
    """What became of a claim: its statistic, the paper's own curves judged, its parts, its reasons, the evidence."""

    claim: Claim
    measured: Measured
    paper_verdict: str | None
    parts: tuple[Measured, ...]
    reasons: "tuple[Verdict, ...]"
    evidence: tuple[Measured, ...]

    @property
    def verdict(self) -> str:
        """Whether the claim holds, does not hold or is undecided."""
        return self._of(self.measured)

    def _of(self, measured: Measured) -> str:
        return self.claim.verdict(measured.low, measured.high)

    def to_json(self) -> dict[str, Any]:
        """Return the verdict for a manifest."""
        return {
            "name": self.claim.name,
            "claim": self.claim.statement,
            **self.measured.to_json(),
            "threshold": self.claim.threshold,
            "verdict": self.verdict,
            "paper_verdict": self.paper_verdict,
            "seeds_that_meet_it": sum(self.claim.verdict(value, value) == "holds" for value in self.measured.values),
            "note": self.claim.note,
            "parts": [{**part.to_json(), "verdict": self._of(part)} for part in self.parts],
            "reasons": [reason.to_json() for reason in self.reasons],
            "evidence": [measured.to_json() for measured in self.evidence],
        }


def judge(claim: Claim, table: pd.DataFrame, original: pd.DataFrame | None = None) -> Verdict:
    """Judge a claim with all that bears on it, on each seed of ``table`` and, by the same code, on the paper's curves.

    The claim holds if the interval over seeds lies wholly where it should, does not hold if wholly outside, and is
    undecided otherwise, or if the statistic cannot be computed for some seed.
    """
    asked = table[table["run"].str.startswith(claim.net)] if claim.net else table
    measured = measure(claim.statistic, claim.compute, asked, original)
    theirs = measured.paper
    paper_verdict = None if theirs is None or math.isnan(theirs) else claim.verdict(theirs, theirs)
    parts, evidence = (
        tuple(measure(words, compute, asked, original) for words, compute in statistics.items())
        for statistics in (claim.parts, claim.evidence)
    )
    reasons = tuple(judge(reason, asked, original) for reason in claim.reasons)
    return Verdict(claim, measured, paper_verdict, parts, reasons, evidence)


def measure(statistic: str, compute: Statistic, table: pd.DataFrame, original: pd.DataFrame | None) -> Measured:
    """Compute a statistic on each seed of ``table`` and on the paper's own curves."""
    values = [compute(rows) for _, rows in table.groupby("seed")] or [math.nan]
    paper = None if original is None else compute(original)
    return Measured(statistic, tuple(values), float(np.median(values)), *interval(values), paper)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the median over seeds, or the range where that has no meaning.

    The median, since most statistics are ratios over decades, whose mean one seed would decide. The range is taken for
    few seeds, equal values, and if a value is infinite; it is NaN if a value is.
    """
    if not _can_resample(values):
        return float(np.min(values)), float(np.max(values))
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
