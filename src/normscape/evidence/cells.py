"""Numbers and verdicts as the cells of tables."""

from collections.abc import Iterable, Sequence

from normscape.evidence.claims import Kind, Verdict
from normscape.evidence.interval import Measured

PLAIN = 1e5

WHOSE = {"text": "the paper", "curves": "its curves", "ours": "ours"}


def number(value: float, digits: int = 4) -> str:
    """Return a number to the given number of significant digits; up to five before its point it has no exponent."""
    rounded = f"{value:.{digits}g}"
    return f"{float(rounded):.0f}" if "e+" in rounded and abs(float(rounded)) < PLAIN else rounded


def spread(measured: Measured, digits: int = 4) -> str:
    """Return the interval over seeds."""
    if len(measured.values) == 1:
        return "one seed"
    return f"{number(measured.low, digits)} to {number(measured.high, digits)}"


def value_and_spread(measured: Measured, digits: int = 4) -> str:
    """Return the median over seeds with its interval."""
    if not measured.values:
        return "no step measured in it"
    return f"{number(measured.value, digits)} ({spread(measured, digits)})"


def on_paper(measured: Measured, digits: int = 4) -> str:
    """Return the value on the paper's own curves, empty if they do not have it."""
    return "" if measured.paper is None or measured.paper != measured.paper else number(measured.paper, digits)


def on_paper_judged(verdict: Verdict) -> str:
    """Return the value on the paper's own curves, and the verdict on it where the claim does not hold of them."""
    judged = "" if verdict.on_paper in (None, Kind.HOLDS) else f" ({verdict.on_paper})"
    return on_paper(verdict.measured) + judged


def met(verdict: Verdict) -> str:
    """Return the verdict and how many seeds meet the threshold by themselves."""
    return f"**{verdict.words}** ({verdict.seeds_that_meet_it} of {len(verdict.measured.values)})"


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a table in Markdown, an empty line before it."""
    cells = [columns, ["---"] * len(columns), *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    return ["", *("| " + " | ".join(row) + " |" for row in cells)]
