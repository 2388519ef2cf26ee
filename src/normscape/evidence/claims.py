"""Claims as code: a statistic, what it must be for the claim to hold, and the verdict over seeds."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal

from normscape.evidence.curves import Curves
from normscape.evidence.interval import ENOUGH, Measured, coverage, rounded
from normscape.evidence.statistics import Statistic

Origin = Literal["text", "curves", "ours"]
"""Who makes a claim: the paper's text; nobody, but the paper's plotted curves show it; this project."""


class Kind(StrEnum):
    """All possible verdicts."""

    HOLDS = "holds"
    IN_PART = "holds in part"
    MOSTLY_FAILS = "mostly fails"
    FAILS = "does not hold"
    UNDECIDED = "undecided"
    NOT_APPLICABLE = "not applicable at this scale"


@dataclass(frozen=True)
class Claim:
    """One claim of the paper, or one finding on its plotted curves, as code.

    Attributes
    ----------
    name
        Short and unique within its figure; results are kept under it. Empty for a reason.
    statement
        The claim in words.
    statistic
        What is computed of one seed's curves.
    above, below
        The claim holds where the statistic is above the one and below the other; None sets no bound.
    origin
        Who makes it.
    about
        Facts of the runs that are meant, where the figure has others too: ``{"net": "vgg", "lr": 0.1}``. Only the
        seeds that have such runs are asked.
    scales
        The only scales at which it can be judged, where it needs the paper's own setup; empty for any.
    note
        Printed where the claim does not hold: how to read the evidence. It says nothing about the outcome.
    construction
        What of it holds by construction, whatever training does; printed whatever the verdict.
    parts
        The statistic over parts of the run, or in other terms; judged by the same threshold.
    reasons
        Statements that would explain why it does not hold, judged in the same way.
    evidence
        Other statistics that bear on it.
    given
        Of a reason: the verdicts on the whole or on parts of what it explains without which it explains nothing. That
        a network calms down late, say, is no reason where a claim fails before that.
    resolved
        What is compared, in units of its noise floor, of each network by itself. Where none is above 1, noise is
        compared with noise, and the claim is undecided.
    """

    statement: str
    statistic: Statistic
    name: str = ""
    above: float | None = None
    below: float | None = None
    origin: Origin = "text"
    about: Mapping[str, Any] = field(default_factory=dict)
    scales: tuple[str, ...] = ()
    note: str = ""
    construction: str = ""
    parts: Sequence[Statistic] = ()
    reasons: "Sequence[Claim]" = ()
    evidence: Sequence[Statistic] = ()
    given: Sequence[tuple[Statistic, Kind]] = ()
    resolved: Sequence[Statistic] = ()

    @property
    def threshold(self) -> str:
        """What the statistic must be, in words."""
        if self.below == math.inf:
            return "finite"
        if self.below is None:
            return f"above {self.above:g}"
        return f"below {self.below:g}" if self.above is None else f"between {self.above:g} and {self.below:g}"

    def of_interval(self, low: float, high: float) -> Kind:
        """Judge an interval over seeds, whose ends may be infinite; NaN is undecided."""
        if (self.above is not None and high <= self.above) or (self.below is not None and low >= self.below):
            return Kind.FAILS
        if (self.above is None or low > self.above) and (self.below is None or high < self.below):
            return Kind.HOLDS
        return Kind.UNDECIDED

    def of_value(self, value: float) -> Kind:
        """Judge one number."""
        return self.of_interval(value, value)


@dataclass(frozen=True)
class Verdict:
    """The outcome of a claim: its statistic, its parts, its reasons, the evidence, and which runs they are of.

    ``applicable`` is false where the claim cannot be judged at the scale of the runs. ``resolved`` is what is compared
    in units of its noise floor; ``bins`` says of each series at how many steps it was measured in each bin of accuracy,
    of the seed with the fewest.
    """

    claim: Claim
    measured: Measured
    parts: tuple[Measured, ...] = ()
    reasons: "tuple[Verdict, ...]" = ()
    evidence: tuple[Measured, ...] = ()
    runs: tuple[str, ...] = ()
    applicable: bool = True
    resolved: tuple[Measured, ...] = ()
    bins: Mapping[str, Sequence[int]] = field(default_factory=dict)

    @cached_property
    def kind(self) -> Kind:
        """The verdict.

        A claim holds if it holds on the whole and in every part; on the whole but not in every part, it holds in part.
        It does not hold if it fails on the whole and holds in no part; if it holds in some part, it mostly fails. What
        the seeds disagree about on the whole, what cannot be computed, and what is noise is undecided.
        """
        if not self.applicable:
            return Kind.NOT_APPLICABLE
        if self.resolved and len(self.in_noise) == len(self.resolved):
            return Kind.UNDECIDED
        return _together(self.of(self.measured), map(self.of, self.telling_parts))

    @property
    def words(self) -> str:
        """The verdict in words; with too few seeds for an interval of 95 %, it says on how many seeds it rests."""
        n = len(self.measured.values)
        if self.kind in (Kind.UNDECIDED, Kind.NOT_APPLICABLE) or coverage(n) >= ENOUGH:
            return str(self.kind)
        if n == 1:
            return f"{self.kind} on one seed"
        return f"{self.kind} on {f'all {n}' if self.kind in (Kind.HOLDS, Kind.FAILS) else n} seeds"

    @property
    def shown_parts(self) -> tuple[Measured, ...]:
        """The parts that differ from the whole: a network that never fits has no separate time before it does."""
        return tuple(part for part in self.parts if part.values != self.measured.values)

    @property
    def telling_parts(self) -> tuple[Measured, ...]:
        """The parts that count for the verdict: those of all seeds; a part that some never reach is only shown."""
        return tuple(part for part in self.shown_parts if self.of_all(part))

    def of_all(self, part: Measured) -> bool:
        """Whether a part is of all seeds."""
        return len(part.values) == len(self.measured.values)

    def explained_by(self, reason: "Verdict") -> bool:
        """Whether one of its reasons holds, and what that is given for is so."""
        found = dict(zip(self.claim.parts, self.parts, strict=True)) | {self.claim.statistic: self.measured}
        given = all(self.of(found[statistic]) is kind for statistic, kind in reason.claim.given)
        return given and reason.kind is Kind.HOLDS

    @property
    def in_noise(self) -> tuple[Measured, ...]:
        """What of `resolved` is no larger than its noise floor."""
        return tuple(each for each in self.resolved if rounded(each.high) <= 1)

    @property
    def on_paper(self) -> Kind | None:
        """The verdict on the paper's own curves, by the same rule; None if they cannot tell."""
        whole, *parts = (self._of_paper(each) for each in (self.measured, *self.parts))
        if whole is None:
            return None
        return _together(whole, (part for part in parts if part is not None))

    def _of_paper(self, measured: Measured) -> Kind | None:
        value = measured.paper
        return None if value is None or math.isnan(value) else self.claim.of_value(rounded(value))

    @property
    def seeds_that_meet_it(self) -> int:
        """How many seeds meet the threshold by themselves."""
        return sum(self.claim.of_value(rounded(value)) is Kind.HOLDS for value in self.measured.values)

    def of(self, measured: Measured) -> Kind:
        """Judge a number of the claim's kind by the claim's threshold, to the digits that manifests keep."""
        return self.claim.of_interval(rounded(measured.low), rounded(measured.high))

    def to_json(self) -> dict[str, Any]:
        """Return its numbers for a manifest; the words stay in code, and are joined again by `from_json`."""
        return {
            "verdict": str(self.kind),
            **self.measured.to_json(),
            "paper_verdict": self.on_paper and str(self.on_paper),
            "seeds_that_meet_it": self.seeds_that_meet_it,
            "runs": list(self.runs),
            "parts": [{**part.to_json(), "verdict": str(self.of(part))} for part in self.parts],
            "reasons": [reason.to_json() for reason in self.reasons],
            "evidence": [measured.to_json() for measured in self.evidence],
            "resolved": [measured.to_json() for measured in self.resolved],
            "bins": {series: [*counts] for series, counts in self.bins.items()},
        }

    @classmethod
    def from_json(cls, claim: Claim, numbers: Mapping[str, Any]) -> "Verdict":
        """Return the verdict that ``numbers`` were made from.

        Raises
        ------
        ValueError
            If the claim has another form now, or judges the numbers in another way.
        """
        verdict = cls(
            claim,
            Measured.from_json(claim.statistic.words, numbers),
            tuple(Measured.from_json(s.part, n) for s, n in zip(claim.parts, numbers["parts"], strict=True)),
            tuple(cls.from_json(r, n) for r, n in zip(claim.reasons, numbers["reasons"], strict=True)),
            tuple(Measured.from_json(s.words, n) for s, n in zip(claim.evidence, numbers["evidence"], strict=True)),
            tuple(numbers["runs"]),
            numbers["verdict"] != Kind.NOT_APPLICABLE,
            tuple(Measured.from_json(s.words, n) for s, n in zip(claim.resolved, numbers["resolved"], strict=True)),
            numbers["bins"],
        )
        if str(verdict.kind) != numbers["verdict"]:
            raise ValueError(f"{claim.name or claim.statement}: {numbers['verdict']} there, {verdict.kind} by the code")
        return verdict


def judge(claim: Claim, seeds: Mapping[int, Curves], original: Curves | None = None, scale: str = "") -> Verdict:
    """Judge a claim over seeds, on the runs that it is about.

    Parameters
    ----------
    claim
        What is judged, with its parts, reasons and evidence.
    seeds
        The curves of each seed (`normscape.evidence.curves.indexed`).
    original
        The paper's own curves, if there are any.
    scale
        Of the runs.
    """
    mine = [curves for curves in (each.about(claim.about) for each in seeds.values()) if curves.of]
    theirs = None if original is None else original.about(claim.about)

    def measured(statistic: Statistic, words: str) -> Measured:
        values = tuple(statistic.of(curves) for curves in mine)
        if statistic.not_of_all:
            values = tuple(value for value in values if not math.isnan(value))
        else:
            values = values or (math.nan,)
        return Measured(words, values, None if theirs is None else statistic.of(theirs))

    series = {use.series for use in claim.statistic.uses()}
    runs = {curve.run for curves in mine for key, curve in curves.of.items() if key.series in series}
    return Verdict(
        claim,
        measured(claim.statistic, claim.statistic.words),
        tuple(measured(part, part.part) for part in claim.parts),
        tuple(judge(reason, dict(enumerate(mine)), theirs) for reason in claim.reasons),
        tuple(measured(statistic, statistic.words) for statistic in claim.evidence),
        tuple(sorted(runs)),
        not claim.scales or scale in claim.scales,
        tuple(measured(statistic, statistic.words) for statistic in claim.resolved),
        _fewest([claim.statistic.measured_steps(curves) for curves in mine]),
    )


def _together(whole: Kind, parts: Iterable[Kind]) -> Kind:
    """Return the verdict on the whole and in its parts together."""
    kinds = {*parts}
    if whole is Kind.HOLDS:
        return Kind.HOLDS if kinds <= {Kind.HOLDS} else Kind.IN_PART
    if whole is Kind.FAILS:
        return Kind.MOSTLY_FAILS if Kind.HOLDS in kinds else Kind.FAILS
    return whole


def _fewest(seeds: Sequence[Mapping[str, Sequence[int]]]) -> dict[str, tuple[int, ...]]:
    """Return the least of each count over seeds."""
    series = dict.fromkeys(name for counts in seeds for name in counts)
    return {name: tuple(map(min, zip(*(counts[name] for counts in seeds), strict=True))) for name in series}
