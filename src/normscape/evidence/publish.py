"""A figure from its table: drawn, judged, written."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from normscape.drawing.style import rendered
from normscape.evidence.claims import judge
from normscape.evidence.curves import indexed
from normscape.evidence.figure import Shown
from normscape.evidence.original import read_original
from normscape.evidence.results import JudgedFigure, Results, configs_of
from normscape.evidence.table import parse_table, write_table
from normscape.files import replacing


def publish(
    results: Results, manifest: Mapping[str, Any], original: Path, *, with_paper: bool, text: bytes | None = None
) -> JudgedFigure:
    """Draw a figure and judge its claims from its table alone; write pictures, page, manifest and a new table.

    Nothing is written, and what was there stays, unless the figure can be drawn and judged.

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
    text
        The table as CSV, if it is a new one; None for the one that is in the results.

    Raises
    ------
    UserError
        If the table is not the one that its manifest describes.
    """
    figure = results.figure
    table = results.table(manifest) if text is None else parse_table(text)
    theirs = read_original(original, *figure.original)
    curves, their_curves = indexed(table), None if theirs is None else indexed(theirs)[0]
    verdicts = tuple(judge(claim, curves, their_curves, results.folder.name) for claim in figure.claims)
    shown = Shown(table, theirs if with_paper else None, configs_of(manifest))
    drawing = figure.module.draw(shown)
    page = figure.module.page(shown, verdicts) if hasattr(figure.module, "page") else None
    pictures = [(picture, rendered(drawing, picture.suffix)) for picture in results.pictures]
    if text is not None:
        write_table(text, results.folder, figure.stem)
    for picture, content in pictures:
        with replacing(picture) as file:
            file.write(content)
    if page is not None:
        with replacing(results.page) as file:
            file.write("\n".join([*page, ""]).encode())
    results.write(verdicts, manifest, with_paper=with_paper)
    return JudgedFigure(figure, verdicts, manifest)
