"""What the README says of results: a family's questions, answered in a line each, its scales, and its main claims."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from normscape.evidence.cells import markdown_table, number, on_paper, spread, value_and_spread
from normscape.evidence.claims import Kind, Verdict
from normscape.evidence.interval import Measured
from normscape.evidence.results import JudgedFigure
from normscape.evidence.words import display_name
from normscape.reports import fidelity
from normscape.reports.counts import listed, summary
from normscape.reports.verdicts import headlines

BEYOND_MARKS = ("<!-- beyond: by scripts/update_readme.py -->", "<!-- end of beyond -->")
ANSWER_MARKS = ("<!-- answer: by scripts/update_readme.py -->", "<!-- end of answer -->")
SCALE_MARKS = ("<!-- scales: by scripts/update_readme.py -->", "<!-- end of scales -->")
CLAIM_MARKS = ("<!-- claims: by scripts/update_readme.py -->", "<!-- end of claims -->")
MOST_ROWS = 12


@dataclass(frozen=True)
class Asked:
    """A claim's statistic that answers a question; "yes" where it lies on the given side.

    ``saying`` puts it in plain words, with ``{}`` for its number, and is true whatever that is.
    """

    figure: int | str
    claim: str
    saying: str
    above: float | None = None
    below: float | None = None


@dataclass(frozen=True)
class Answer:
    """A question and the statistics that answer it."""

    question: str
    asked: tuple[Asked, ...]


def answer_block(
    answers: Sequence[Answer],
    figures: Sequence[JudgedFigure],
    results: str,
    marks: tuple[str, str] = ANSWER_MARKS,
) -> str:
    """Return the answers between marks, one line each, with numbers, intervals and links to the figures.

    Parameters
    ----------
    answers
        The questions of a family.
    figures
        Its judged figures, of whatever scale, which is named.
    results
        The folder of the family's results as links name it.
    marks
        Where they begin and end in the README.
    """
    begin, end = marks
    return "\n".join([begin, *(f"- {_answered(answer, figures, results)}" for answer in answers), end])


def _answered(answer: Answer, figures: Sequence[JudgedFigure], results: str) -> str:
    kinds, sentences = [], []
    for asked in answer.asked:
        judged = next((figure for figure in figures if figure.figure.name == asked.figure), None)
        if judged is None:
            sentences.append(f"Figure {asked.figure} is not there yet.")
            continue
        verdict = judged.verdict(asked.claim)
        claim = replace(verdict.claim, above=asked.above, below=asked.below)  # the question's side, not the claim's
        scale = judged.manifest["scale"]
        link = f"[{judged.figure.label.lower()}]({results}/{scale}/{judged.figure.stem}.png) at `scale={scale}`"
        kinds.append(claim.of_interval(verdict.measured.low, verdict.measured.high))
        told = _told(verdict.measured) + _noise(verdict)
        sentences.append(f"{asked.saying.format(_bold(verdict.measured))} ({told}; {link}).")
    return f"**{answer.question} {_word(kinds).capitalize()}.** " + " ".join(sentences)


def _word(kinds: Sequence[Kind]) -> str:
    """Return the answer that several statistics give together."""
    told = set(kinds)
    if not told:
        return "not judged yet"
    if len(told) == 1:
        return {Kind.HOLDS: "yes", Kind.FAILS: "no"}.get(kinds[0], "undecided")
    return "in part" if Kind.HOLDS in told else "not shown"


def _noise(verdict: Verdict) -> str:
    """Return which of two networks are compared within their noise."""
    compared = zip(verdict.claim.resolved, verdict.resolved, strict=True)
    within = [display_name(next(statistic.uses()).series) for statistic, each in compared if each in verdict.in_noise]
    return f"; within the noise floor: {listed(within)}" if within else ""


def _bold(measured: Measured) -> str:
    return f"**{number(measured.value, 3)}**"


def _told(measured: Measured) -> str:
    """Return a statistic's interval, and the paper's value where it has one."""
    n = len(measured.values)
    over = [f"{spread(measured, 3)} over {n} seeds" if n > 1 else "one seed"]
    return "; ".join([*over, *([f"the paper: {on_paper(measured, 3)}"] if on_paper(measured, 3) else [])])


def scales_block(
    scales: Sequence[tuple[Path, Sequence[JudgedFigure], Sequence[fidelity.Compared]]], results: str
) -> str:
    """Return, for each scale a line, which figures it has and how near they are to the paper's curves, between marks.

    Parameters
    ----------
    scales
        Of each scale the folder, its judged figures, and its numbers beside the paper's.
    results
        The folder of the family's results as links name it.
    """
    begin, end = SCALE_MARKS
    lines, most = [], max(len(figures) for _, figures, _ in scales)
    for folder, figures, compared in scales:
        names = _runs_of([judged.figure.name for judged in figures])
        there = f"figures {listed(names)}" if len(figures) > 1 else f"figure {names[0]}"
        which = "all figures" if len(figures) == most else there
        lines.append(f"- `scale={folder.name}`: {which}. [{fidelity.summary(compared)}]({results}/FIDELITY.md)")
    return "\n".join([begin, *lines, end])


def _runs_of(names: Sequence[int | str]) -> list[str]:
    """Return the names of figures, three and more consecutive numbers as ``1 to 3``."""
    found: list[list[int | str]] = []
    for name in names:
        last = found[-1][-1] if found else None
        if isinstance(name, int) and isinstance(last, int) and name == last + 1:
            found[-1].append(name)
        else:
            found.append([name])
    return [told for run in found for told in ([f"{run[0]} to {run[-1]}"] if len(run) > 2 else map(str, run))]


def claims_block(scales: Sequence[tuple[Path, Sequence[JudgedFigure], Sequence[str]]]) -> str:
    """Return how many claims hold at each scale, and the main ones at all of them, between their marks.

    Parameters
    ----------
    scales
        Of each scale the folder, its judged figures, and what a sentence calls those that are not there yet.
    """
    begin, end = CLAIM_MARKS
    lines: list[str] = []
    rows: dict[tuple[str, str], list[str]] = {}
    for place, (folder, figures, missing) in enumerate(scales):
        lacks = f" Not there yet: {listed(missing)}." if missing else ""
        lines.append(f"- At `scale={folder.name}`: {summary(figures)}{lacks}")
        for verdict, label in headlines(figures):
            claim, measured = verdict.claim, verdict.measured
            unjudged = [claim.statement, claim.statistic.words, on_paper(measured, 3), claim.threshold]
            row = rows.setdefault((label, claim.statement), [label, *unjudged, *[""] * len(scales)])
            row[len(unjudged) + 1 + place] = f"{value_and_spread(measured, 3)}: **{verdict.words}**"
    names = [f"ours, `{folder.name}`" for folder, _, _ in scales]
    table = markdown_table(["", "claim", "statistic", "paper", "must be", *names], rows.values())
    return "\n".join([begin, *lines, "", "The main ones:", *table, end])
