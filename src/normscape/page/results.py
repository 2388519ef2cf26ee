"""The page of results."""

from collections.abc import Sequence
from pathlib import Path

from normscape.errors import UserError, suggest
from normscape.evidence.claims import Kind
from normscape.evidence.figure import Family
from normscape.evidence.results import scales_in
from normscape.page.document import rendered
from normscape.page.evidence import ShownScale, answered, asks, how_to_read, require_some, shown_family, shown_once
from normscape.page.lines import DIGITS, packed, points_each
from normscape.page.words import kind_class

TITLE = "How does batch normalisation help optimisation?"
LEAD = (
    "The networks of the paper trained again, their loss landscape measured while they train, and every claim judged "
    "with a number. Thresholds are fixed in code before results are seen; a claim that fails here is shown as failing."
)


def results_page(families: Sequence[Family], results: Path, scales: Sequence[str] = ()) -> bytes:
    """Return the page of some families' results, at all scales that exist (but smoke) or at those asked for.

    Raises
    ------
    UserError
        If there are no results, or some are damaged.
    """
    known = ["smoke", *sorted({found.name for family in families for found in scales_in(results / family.name)})]
    for scale in scales:
        if scale not in known:
            raise UserError(f"--scale {scale}: no results at it in {results}{suggest(scale, known)}")
    families = sorted(families, key=lambda family: not asks(family))  # those that answer a question come first
    shown = [scale for family in families for scale in shown_family(family, results / family.name, scales)]
    found = shown_once(shown)
    require_some(found, results)
    figures = [figure for scale in found for figure in scale.figures]
    points = points_each(chart for figure in figures for chart in figure.charts)
    there = {scale.family for scale in found}
    told = [family for family in families if family.name in there]
    return rendered(
        "evidence.html",
        ("charts.js", "evidence.js"),
        title=TITLE,
        lead=LEAD,
        made_by="make report",
        source=f"{results.name}/",
        scales=found,
        several_scales=len({scale.scale for scale in found}) > 1,
        answers=[answer for family in told if (answer := answered(family, results / family.name))],
        kinds=[(kind_class(kind), str(kind)) for kind in Kind],
        filters=_filters(found),
        reading=how_to_read(told),
        packed={figure.key: packed(figure.charts, points, figure.starts) for figure in figures},
        points=points,
        digits=DIGITS,
    )


def _filters(scales: Sequence[ShownScale]) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Return what claims can be filtered by: the attribute of a row, a label, and values with their words."""
    figures = [figure for scale in scales for figure in scale.figures if figure.verdicts]
    verdicts = [verdict for figure in figures for verdict in figure.verdicts]
    kinds = {verdict.kind for verdict in verdicts}
    several = len({figure.family for figure in figures}) > 1
    called = {
        f"{each.family}: {each.label}": f"{each.family}: {each.label}" if several else each.label for each in figures
    }
    return [
        ("family", "paper", [(name, name) for name in dict.fromkeys(each.family for each in figures)]),
        ("scale", "scale", [(name, name) for name in dict.fromkeys(each.scale for each in figures)]),
        ("figure", "figure", list(called.items())),
        ("verdict", "verdict", [(kind_class(kind), str(kind)) for kind in Kind if kind_class(kind) in kinds]),
        ("whose", "whose", [(name, name) for name in dict.fromkeys(str(each.cells["whose"]) for each in verdicts)]),
    ]
