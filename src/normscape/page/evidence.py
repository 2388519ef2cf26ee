"""What a page of results says: question and answers, every verdict, every figure with all that it is made from."""

import importlib
import importlib.util
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from markupsafe import Markup

from normscape.errors import UserError
from normscape.evidence.claims import Kind, Verdict
from normscape.evidence.figure import Family
from normscape.evidence.original import read_original
from normscape.evidence.results import (
    JudgedFigure,
    Results,
    at_largest_scale,
    configs_of,
    judged_figures,
    missing_in,
    run_entries,
    scales_in,
)
from normscape.page.charts import charts_of
from normscape.page.lines import Chart, packed
from normscape.page.look import Look
from normscape.page.pictures import Picture, embedded_file
from normscape.page.settings import Table, origin_tables, settings_tables
from normscape.page.words import inline, kind_class, markdown, reproduce_command
from normscape.reports.answers import answer_block
from normscape.reports.counts import PHRASES, listed, summary
from normscape.reports.verdicts import CLAIM_COLUMNS, HOW_TO_READ, claim_cells, explained


@dataclass(frozen=True)
class ShownVerdict:
    """A verdict as the rows of tables show it: its cells by column, and what it is filtered by."""

    cells: Mapping[str, Markup]
    kind: str
    main: bool


@dataclass(frozen=True)
class ShownFigure:
    """A figure of a family at a scale, with its charts."""

    family: str
    scale: str
    label: str
    title: str
    key: str
    picture: Picture | None
    same_as: "ShownFigure | None"
    """A figure before it on the page that has the same picture, which is then not shown again."""
    same_curves: bool
    """Whether that figure has the same curves too; these are then not shown again."""
    verdicts: Sequence[ShownVerdict]
    counts: Sequence[tuple[str, int, str]]
    explained: Markup
    more: Markup
    commands: Sequence[tuple[str, str]]
    settings: tuple[Table, Table]
    seeds: str
    charts: Sequence[Chart] = field(repr=False, default=())
    starts: Sequence[int] = (0, 1)


@dataclass(frozen=True)
class ShownScale:
    """The figures of a family at a scale, and how many claims hold."""

    family: str
    title: str
    scale: str
    summary: str
    missing: str
    figures: Sequence[ShownFigure]
    origins: tuple[Table, Table, Table]
    """Where the runs of all its figures come from: figures share most of them."""


@dataclass(frozen=True)
class Answered:
    """A family's question and the answers to it."""

    question: str
    answers: Markup


def shown_family(family: Family, results: Path, scales: Sequence[str] = ()) -> list[ShownScale]:
    """Return what there is of a family, the largest scale first: all but smoke, or those of ``scales``."""
    there = [*scales_in(results), *([results / "smoke"] if "smoke" in scales else [])]
    chosen = [folder for folder in there if not scales or folder.name in scales]
    found = []
    for folder in chosen:
        judged = judged_figures(family, folder)
        figures = [_figure(family, folder, each) for each in judged]
        told = summary(judged) if any(each.verdicts for each in judged) else ""
        missing = listed(missing_in(family, folder) or [""])
        found.append(ShownScale(family.name, family.title, folder.name, told, missing, figures, _origins(judged)))
    return found


def shown_once(scales: Sequence[ShownScale]) -> list[ShownScale]:
    """Return the figures of some scales, what is the same at the first alone: nets that no scale changes have that."""
    first: dict[str, ShownFigure] = {}
    shown = []
    for scale in scales:
        figures = []
        for figure in scale.figures:
            before = first.setdefault(figure.picture.address, figure) if figure.picture else figure
            figures.append(figure if before is figure else _referring(figure, before))
        shown.append(replace(scale, figures=figures))
    return shown


def _referring(figure: ShownFigure, before: ShownFigure) -> ShownFigure:
    """Return a figure that has the picture of one before it, and perhaps its curves, without them."""
    shown = replace(figure, picture=None, same_as=before)
    if packed(figure.charts) != packed(before.charts):
        return shown
    return replace(shown, charts=(), starts=(), same_curves=True)


def answered(family: Family, results: Path) -> Answered | None:
    """Return a family's question with the answers that the README has; None if it asks none, or has no results."""
    figures = at_largest_scale(family, results)
    if not figures or not asks(family):
        return None
    asked = importlib.import_module(f"{family.name}.answers")
    lines = answer_block(asked.ANSWERS, figures, f"#{family.name}")
    return Answered(asked.QUESTION, markdown(lines.splitlines()[1:-1]))


def asks(family: Family) -> bool:
    """Whether a family asks a question: ``experiments/<family>/answers.py`` has ``QUESTION`` and ``ANSWERS``."""
    return importlib.util.find_spec(f"{family.name}.answers") is not None


def how_to_read(families: Sequence[Family]) -> Markup:
    """Return how verdicts are to be read, with each family's notes."""
    notes = [line for family in families if family.notes for line in ("", f"### {family.title}", "", *family.notes)]
    return markdown([*HOW_TO_READ.splitlines()[2:], *notes], heading=1)


def require_some(scales: Sequence[ShownScale], results: Path) -> None:
    """Raise `UserError` if there is no figure."""
    if not any(scale.figures for scale in scales):
        raise UserError(f"{results}: no figure in it; expected results, e.g. of make reproduce-fig1")


def _figure(family: Family, folder: Path, judged: JudgedFigure) -> ShownFigure:
    figure, manifest = judged.figure, judged.manifest
    results = Results(folder, figure)
    table = results.table(results.manifest())
    charts = charts_of(table, read_original(family.original, *figure.original), Look.of(figure.module))
    words = f"{figure.label} as reproduced at scale {folder.name}: {figure.title}"
    again, redrawn = (
        reproduce_command(family.name, figure.name, manifest, folder.name, redraw=redraw) for redraw in (False, True)
    )
    page = results.page.read_text().splitlines() if results.page.exists() else []
    return ShownFigure(
        family=family.name,
        scale=folder.name,
        label=figure.label,
        title=figure.title,
        key=f"{family.name}/{folder.name}/{figure.stem}.png",
        picture=embedded_file(results.pictures[0], words),
        same_as=None,
        same_curves=False,
        verdicts=[_verdict(verdict, figure.headline) for verdict in judged.verdicts],
        counts=_counts(judged.verdicts),
        explained=markdown(explained(judged), heading=5),
        more=markdown(page, heading=5),
        commands=[("train, draw and judge", again), ("redraw from its table", redrawn)],
        settings=settings_tables(configs_of(manifest)),
        seeds=_seeds(manifest),
        charts=charts,
        starts=_starts(judged, charts),
    )


def _origins(judged: Sequence[JudgedFigure]) -> tuple[Table, Table, Table]:
    """Return where the runs of some figures come from, each once, with the figures that show it."""
    entries = [(each.figure.label, entry) for each in judged for entry in run_entries(each.manifest)]
    runs, commands, machines = origin_tables(entry for _, entry in entries)
    shown_in: dict[tuple[str, ...], list[str]] = {}
    for (label, _), row in zip(entries, runs.rows, strict=True):
        shown_in.setdefault(tuple(row), []).append(label)
    rows = [[*row, ", ".join(labels)] for row, labels in shown_in.items()]
    return Table([*runs.columns, "shown in"], rows), commands, machines


def _verdict(verdict: Verdict, headline: Sequence[str]) -> ShownVerdict:
    names = [name.replace(" ", "_") for name in CLAIM_COLUMNS]
    cells = dict(zip(names, map(inline, claim_cells(verdict)), strict=True))
    return ShownVerdict(cells, kind_class(verdict.kind), verdict.claim.name in headline)


def _counts(verdicts: Sequence[Verdict]) -> list[tuple[str, int, str]]:
    """Return each kind of verdict with how many there are, and both in words."""
    counts = Counter(each.kind for each in verdicts)
    return [(kind_class(k), counts[k], f"{counts[k]} {PHRASES[k][counts[k] != 1]}") for k in Kind if counts[k]]


def _starts(judged: JudgedFigure, charts: Sequence[Chart]) -> list[int]:
    """Return which two charts are shown first: what the main claims are about, then the others, then the first."""
    main = [verdict.claim for verdict in judged.verdicts if verdict.claim.name in judged.figure.headline]
    claims = [*main, *(verdict.claim for verdict in judged.verdicts)]
    uses = [(claim.about.get("net"), use) for claim in claims for use in claim.statistic.uses()]
    wanted = [
        place
        for net, use in uses
        for place, chart in enumerate(charts)
        if chart.about[1:] == (use.quantity, use.layer or 0) and net in (None, chart.about[0])
    ]
    return sorted(list(dict.fromkeys([*wanted, *range(len(charts))]))[:2])


def _seeds(manifest: Mapping[str, Any]) -> str:
    """Say which seeds the runs are of, those that have the same together; nothing if there is no run."""
    runs: dict[tuple[str, ...], list[str]] = {}
    for name, run in manifest["runs"].items():
        runs.setdefault(tuple(run["seeds"]), []).append(name)
    told = {f"seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)}": names for seeds, names in runs.items()}
    return "; ".join(words if len(told) == 1 else f"{words} of {', '.join(names)}" for words, names in told.items())
