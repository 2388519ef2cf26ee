"""What the README says first: a family's questions, answered from the verdicts in a line each, and its main claims."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from normscape.evidence.cells import number, on_paper, spread
from normscape.evidence.claims import Kind, Verdict
from normscape.evidence.counts import summary
from normscape.evidence.interval import Measured
from normscape.evidence.report import headline_table
from normscape.evidence.results import JudgedFigure

ANSWER_MARKS = ("<!-- answer: by scripts/update_readme.py -->", "<!-- end of answer -->")
CLAIM_MARKS = ("<!-- claims: by scripts/update_readme.py -->", "<!-- end of claims -->")
MOST_ROWS = 8
WORDS = {Kind.HOLDS: "Yes", Kind.IN_PART: "In part", Kind.FAILS: "No", Kind.UNDECIDED: "Undecided"}


@dataclass(frozen=True)
class Asked:
    """A statistic that tells, by the name of a claim of a figure; the answer is yes where it is on the given side.

    ``saying`` puts it in plain words, with ``{}`` for its number, and is true whatever that is.
    """

    figure: int | str
    claim: str
    saying: str
    above: float | None = None
    below: float | None = None


@dataclass(frozen=True)
class Answer:
    """A question, and the statistics that tell."""

    question: str
    asked: tuple[Asked, ...]


def answer_block(answers: Sequence[Answer], figures: Sequence[JudgedFigure], folder: str) -> str:
    """Return the answers between their marks, one line each, with numbers, intervals and links to the figures.

    Parameters
    ----------
    answers
        The questions of a family.
    figures
        Its judged figures.
    folder
        The folder of results as links name it.
    """
    begin, end = ANSWER_MARKS
    return "\n".join([begin, *(f"- {_answered(answer, figures, folder)}" for answer in answers), end])


def _answered(answer: Answer, figures: Sequence[JudgedFigure], folder: str) -> str:
    told = []
    kinds = set()
    for asked in answer.asked:
        judged = next(figure for figure in figures if figure.figure.name == asked.figure)
        verdict = _asked(judged.verdict(asked.claim), asked)
        kinds.add(verdict.kind)
        link = f"[{judged.figure.label.lower()}]({folder}/{judged.figure.stem}.png)"
        told.append(_told(verdict.measured, asked.saying, link))
    word = WORDS[kinds.pop()] if len(kinds) == 1 else WORDS[Kind.IN_PART]
    return f"**{answer.question} {word}.** " + " ".join(told)


def _asked(verdict: Verdict, asked: Asked) -> Verdict:
    """Return the verdict on the question instead of the claim: the same numbers, another side."""
    return replace(verdict, claim=replace(verdict.claim, above=asked.above, below=asked.below))


def _told(measured: Measured, saying: str, link: str) -> str:
    """Return a statistic in plain words with its number, its interval, the paper's value and the figure."""
    n = len(measured.values)
    over = [f"{spread(measured, 3)} over {n} seeds" if n > 1 else "one seed"]
    over += [f"the paper: {on_paper(measured, 3)}"] if on_paper(measured, 3) else []
    return f"{saying.format(f'**{number(measured.value, 3)}**')} ({'; '.join([*over, link])})."


def claims_block(figures: Sequence[JudgedFigure], scale: Path) -> str:
    """Return how many claims hold, and the main ones, between their marks."""
    begin, end = CLAIM_MARKS
    table = headline_table(figures, digits=3)
    return "\n".join([begin, f"At `scale={scale.name}`: {summary(figures)} The main ones:", *table, end])
