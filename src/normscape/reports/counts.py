"""How many claims hold: the paper's and ours apart, and what rests on the same statistic of the same runs once."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from normscape.evidence.claims import Kind, Verdict
from normscape.evidence.interval import coverage
from normscape.evidence.results import JudgedFigure
from normscape.evidence.statistics import Statistic

PHRASES = {
    Kind.HOLDS: ("holds", "hold"),
    Kind.IN_PART: ("holds in part", "hold in part"),
    Kind.MOSTLY_FAILS: ("mostly fails", "mostly fail"),
    Kind.FAILS: ("does not hold", "do not hold"),
    Kind.UNDECIDED: ("is undecided", "are undecided"),
    Kind.NOT_APPLICABLE: ("cannot be judged at this scale", "cannot be judged at this scale"),
}


@dataclass(frozen=True)
class Counted:
    """Claims that rest on the same statistic of the same runs, counted as one."""

    verdicts: tuple[Verdict, ...]

    @property
    def kind(self) -> Kind:
        """Their common verdict, or one between, if a weaker form of the claim holds more than a stricter one."""
        kinds = {verdict.kind for verdict in self.verdicts}
        if len(kinds) == 1:
            return kinds.pop()
        if kinds & {Kind.HOLDS, Kind.IN_PART}:
            return Kind.IN_PART
        return Kind.MOSTLY_FAILS if kinds == {Kind.MOSTLY_FAILS, Kind.FAILS} else Kind.UNDECIDED

    @property
    def from_text(self) -> bool:
        """Whether the paper's text makes one of them."""
        return any(verdict.claim.origin == "text" for verdict in self.verdicts)

    @property
    def fails_on_paper(self) -> bool:
        """Whether the paper's own curves fail one of those that its text makes."""
        return any(v.on_paper in (Kind.FAILS, Kind.MOSTLY_FAILS) and v.claim.origin == "text" for v in self.verdicts)


def counted(verdicts: Iterable[Verdict]) -> list[Counted]:
    """Return verdicts with those together that rest on the same statistic of the same runs."""
    groups: dict[tuple[Statistic, tuple[str, ...]], list[Verdict]] = {}
    for verdict in verdicts:
        groups.setdefault((verdict.claim.statistic, verdict.runs), []).append(verdict)
    return [Counted(tuple(group)) for group in groups.values()]


def summary(figures: Sequence[JudgedFigure]) -> str:
    """Return in a few sentences how many claims hold, whose they are, and on how many seeds."""
    verdicts = [verdict for figure in figures for verdict in figure.verdicts]
    groups = counted(verdicts)
    text, others = [g for g in groups if g.from_text], [g for g in groups if not g.from_text]
    seeds = sorted({len(verdict.measured.values) for verdict in verdicts})
    judged = f"judged on {'one seed' if seeds == [1] else listed([*map(str, seeds)], 'or') + ' seeds'}"
    whose = (
        "our own, or read off the paper's curves" if any(v.claim.origin == "curves" for v in verdicts) else "our own"
    )
    if not text:
        return f"Of {_many(len(others), 'finding')} ({whose}), {judged}, {_tally(others)}. {_chance(others)}"
    sentences = [f"Of the {_many(len(text), 'claim')} taken from the paper, {judged}, {_tally(text)}.", _chance(text)]
    if any(verdict.on_paper is not None for group in text for verdict in group.verdicts):
        failing = sum(group.fails_on_paper for group in text)
        sentences.append(f"{_many(failing, 'of them fails', 'of them fail')} on the paper's own curves.")
    if others:
        sentences.append(f"Of {_many(len(others), 'further finding')} ({whose}), {_tally(others)}.")
    return " ".join(sentences)


def _chance(groups: Sequence[Counted]) -> str:
    """Say how many claims chance alone is expected to decide wrongly: half of what each one's interval does not cover.

    All count whose statistic can be computed: what is undecided by these seeds might as well have been decided.
    """
    measured = [group.verdicts[0].measured for group in groups if group.kind is not Kind.NOT_APPLICABLE]
    sizes = [len(each.values) for each in measured if not math.isnan(each.low)]
    wrong = sum((1 - coverage(size)) / 2 for size in sizes)
    at_worst = f"chance alone would decide about {wrong:.{0 if wrong >= 10 else 1}f} of them wrongly"
    return f"If every true median were right at its threshold, {at_worst}."


def _tally(groups: Sequence[Counted]) -> str:
    """Return how many of each verdict: ``5 hold, 1 holds in part and 2 are undecided``."""
    counts = Counter(group.kind for group in groups)
    parts = [f"{counts[kind]} {PHRASES[kind][counts[kind] != 1]}" for kind in Kind if counts[kind]]
    return listed(parts or ["none"])


def _many(number: int, one: str, several: str | None = None) -> str:
    return f"{number} {one if number == 1 else several or one + 's'}"


def listed(words: Sequence[str], last: str = "and") -> str:
    """Return words as a list in a sentence: ``a, b and c``."""
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
