"""The page of a folder of runs: how each ended, its curves, its settings and where it comes from."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from normscape.errors import UserError
from normscape.evidence.words import quantity_name
from normscape.gather import LABELS, UNREADABLE, left_out, runs_in, tidy, unreadable
from normscape.page.document import rendered
from normscape.page.lines import DIGITS, Chart, Line, packed, points_each
from normscape.page.look import DASHES, logarithmic
from normscape.page.pictures import Picture, embedded
from normscape.page.settings import origin_tables, settings_tables
from normscape.page.training import training_picture
from normscape.page.words import shown
from normscape.runs import RunDirectory
from normscape.storage.files import read_json
from normscape.storage.records import OWN

PALETTE = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#332288",
    "#117733",
    "#882255",
    "#666666",
)
"""Colours of runs, in their order; the next ten have the next kind of dashes."""

FIRST = ("test_accuracy", "train_accuracy", "train_loss")


@dataclass(frozen=True)
class ShownRun:
    """A run that can be read; ``rows`` is None until it has ended."""

    name: str
    color: str
    dash: str
    status: str
    config: Mapping[str, Any]
    origin: Mapping[str, Any]
    rows: pd.DataFrame | None


@dataclass(frozen=True)
class Cell:
    """A cell of the table of runs, and what it is sorted by."""

    text: str
    value: str


def runs_page(folder: Path) -> tuple[bytes, list[str]]:
    """Return the page of the runs in a folder, and a line on each that it has no curves of.

    Raises
    ------
    UserError
        If there is no run that can be read.
    """
    read, damaged = _read(runs_in(folder))
    if not read:
        raise UserError(f"{folder}: no run in it can be read; {'; '.join(damaged)}")
    paths = list(read)
    names = _names(paths)
    runs = [_run(place, names[path], *read[path]) for place, path in enumerate(paths)]
    waiting = [f"{run.name}: {run.status}, no curves until it ends" for run in runs if run.rows is None]
    notes = [*waiting, *damaged, *filter(None, [left_out(folder)])]
    charts = _charts(runs)
    points = points_each(charts)
    columns, cells = _table(tidy(paths).assign(status=[run.status.split(" at ")[0] for run in runs]))
    page = rendered(
        "sweep.html",
        ("charts.js", "sweep.js"),
        title=f"Runs in {folder.name or folder.resolve().name}",
        made_by="scripts/report.py --runs",
        source=folder.name or folder.resolve().name,
        runs=runs,
        columns=columns,
        cells=cells,
        statuses=sorted({run.status.split(" at ")[0] for run in runs}),
        notes=notes,
        picture=_picture(runs),
        settings=settings_tables({run.name: _without(run.config, "name", "seed") for run in runs}),
        origins=origin_tables((run.name, int(run.config.get("seed", 0)), run.origin) for run in runs),
        packed=packed(charts, points),
        points=points,
        digits=DIGITS,
    )
    return page, notes


def _read(paths: Sequence[Path]) -> tuple[dict[Path, tuple[Any, ...]], list[str]]:
    """Return the files of the runs that can be read, and a line on each that cannot."""
    read: dict[Path, tuple[Any, ...]] = {}
    damaged = []
    for path in paths:
        directory = RunDirectory(path)
        try:
            tidy([path])
            rows = directory.table() if directory.summary else None
            origin = {**(read_json(path / "provenance.json") or {}), **directory.status, **(directory.summary or {})}
            read[path] = read_json(path / "config.json"), origin, rows
        except UNREADABLE as error:
            damaged.append(unreadable(path, error))
    return read, damaged


def _names(paths: Sequence[Path]) -> dict[Path, str]:
    """Return what each run is called: its directory, without the identity where that is not needed."""
    short = {path: path.name.rpartition("-")[0] or path.name for path in paths}
    taken = list(short.values())
    return {path: name if taken.count(name) == 1 else path.name for path, name in short.items()}


def _run(place: int, name: str, config: Any, origin: Any, rows: pd.DataFrame | None) -> ShownRun:
    status = str(origin.get("status", "unknown"))
    if rows is None and origin.get("step"):
        status = f"{status} at step {origin['step']}"
    color, dash = PALETTE[place % len(PALETTE)], DASHES[place // len(PALETTE) % len(DASHES)]
    return ShownRun(name, color, dash, status, config, origin, rows)


def _without(config: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in keys}


def _table(table: pd.DataFrame) -> tuple[list[str], list[list[Cell]]]:
    """Return the columns that tell something, and the cells of each run."""
    several = len(table) > 1
    told = []
    for column in table.columns.drop(["run", "name", "diverged"]):
        values = table[column]
        if values.isna().all() or (column in LABELS and column != "seed" and several and values.nunique() < 2):
            continue
        told.append(str(column))
    ends = ("status", "step", "diverged_at", *(f"{quantity}_{end}" for quantity in FIRST for end in ("final", "best")))
    told.sort(key=lambda column: ends.index(column) if column in ends else len(ends))
    return told, [[_cell(row[column]) for column in told] for _, row in table[told].iterrows()]


def _cell(value: Any) -> Cell:
    if isinstance(value, bool | np.bool_):
        return Cell(str(bool(value)).lower(), str(bool(value)).lower())
    number = isinstance(value, int | float | np.integer | np.floating)
    if not number:
        return Cell(shown(value), shown(value))
    plain = float(value)
    if not math.isfinite(plain):
        return Cell(*["" if math.isnan(plain) else str(plain)] * 2)
    text = f"{int(plain):,}" if plain == int(plain) and abs(plain) >= 1 else f"{plain:.4g}"
    return Cell(text, repr(plain))


def _charts(runs: Sequence[ShownRun]) -> list[Chart]:
    """Return a chart for each quantity and layer, with a line for each run that has it."""
    lines: dict[tuple[str, str], list[Line]] = {}
    for run in runs:
        for about, line in _lines(run):
            lines.setdefault(about, []).append(line)
    first = [*FIRST, *OWN]
    charts = []
    for quantity, layer in sorted(lines, key=lambda at: first.index(at[0]) if at[0] in first else len(first)):
        words = quantity_name(quantity) + (f" in layer {layer}" if layer else "")
        if "{place}" in words or layer.isdigit():
            words = quantity_name(quantity, int(layer) if layer.isdigit() else None)
        drawn = tuple(lines[quantity, layer])
        group = f"layer {layer}" if layer else "whole network"
        percent = quantity.endswith("accuracy")
        log = logarithmic(drawn, quantity)
        charts.append(Chart(words[:1].upper() + words[1:], drawn, group, percent=percent, y_log=log))
    return charts


def _lines(run: ShownRun) -> Iterator[tuple[tuple[str, str], Line]]:
    """Yield a run's curves: over steps, or, where there are step sizes, its range over them."""
    if run.rows is None:
        return
    groups: Any = run.rows.groupby(["quantity", "layer"], sort=False, dropna=False)
    for (quantity, layer), rows in groups:
        about = str(quantity), "" if pd.isna(layer) else str(layer)
        at_step = rows.groupby("step", sort=True)["value"]
        style: dict[str, Any] = {"name": run.name, "color": run.color, "dash": run.dash}
        if rows["step_size"].notna().any():
            low, high = at_step.min(), at_step.max()
            yield about, Line(**style, x=low.index.to_numpy(float), low=low.to_numpy(float), high=high.to_numpy(float))
        else:
            value = at_step.last()
            yield about, Line(**style, x=value.index.to_numpy(float), y=value.to_numpy(float))


def _picture(runs: Sequence[ShownRun]) -> Picture | None:
    """Return a picture of how the runs trained, for a reader without JavaScript; None if none has ended."""
    curves = {
        quantity: [line for run in runs for (about, layer), line in _lines(run) if (about, layer) == (quantity, "")]
        for quantity in FIRST
    }
    there = {quantity: lines for quantity, lines in curves.items() if lines}
    if not there:
        return None
    return embedded(training_picture(there), "How the runs trained: " + ", ".join(map(quantity_name, there)), "runs")
