"""A figure from its table: drawn, judged, written."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from normscape.drawing.style import save_figure
from normscape.evidence.claims import judge
from normscape.evidence.curves import indexed
from normscape.evidence.figure import Shown
from normscape.evidence.original import read_original
from normscape.evidence.results import JudgedFigure, Results, configs_of


def publish(results: Results, manifest: Mapping[str, Any], original: Path, *, with_paper: bool) -> JudgedFigure:
    """Draw a figure and judge its claims from its table alone; write pictures and manifest.

    Parameters
    ----------
    results
        Where the figure's table is, and pictures and manifest go.
    manifest
        Where the table comes from.
    original
        The folder of the paper's own curves.
    with_paper
        Whether these are drawn behind ours; claims are compared with them in any case.

    Raises
    ------
    UserError
        If the table is not the one that its manifest describes.
    """
    figure = results.figure
    table = results.table(manifest)
    theirs = read_original(original, *figure.original)
    curves, their_curves = indexed(table), None if theirs is None else indexed(theirs)[0]
    verdicts = tuple(judge(claim, curves, their_curves, manifest["scale"]) for claim in figure.claims)
    drawing = figure.module.draw(Shown(table, theirs if with_paper else None, configs_of(manifest)))
    for picture in results.pictures:
        save_figure(drawing, picture)
    results.write(verdicts, manifest, with_paper=with_paper)
    return JudgedFigure(figure, verdicts, manifest)
