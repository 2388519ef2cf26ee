"""How runs ended against one of their settings: a curve per normalisation, a point per run."""

from collections.abc import Iterator

import pandas as pd
from matplotlib.figure import Figure

from normscape.drawing.style import COLORS, LABELS
from normscape.errors import UserError, suggest

WORDS = {"optimizer.lr": "learning rate", "test_accuracy_final": "final test accuracy"}
"""What an axis says; another column goes by its name."""

CYCLE = ("#332288", "#117733", "#882255", "#999933", "#44AA99", "#AA4499")
"""Colours of series that have none of their own: those of Paul Tol's muted palette that differ from the known ones."""


def draw_against(table: pd.DataFrame, against: str, value: str) -> Figure:
    """Draw a column of a table of runs (`normscape.gather.gather`) against a setting, a curve for each net and series.

    Points are runs, curves go through the medians over seeds; runs that diverged are crosses at the lower edge.

    Raises
    ------
    UserError
        If the table has no such column of numbers, or the setting is the same in all runs.
    """
    for column in (against, value):
        if column not in table or not pd.api.types.is_numeric_dtype(table[column]):
            known = [str(name) for name in table if pd.api.types.is_numeric_dtype(table[name])]
            raise UserError(f"{column}: no such numbers that differ between these runs{suggest(column, known)}")
    figure = Figure(figsize=(4.6, 3.2), layout="constrained")
    axes = figure.add_subplot()
    diverged = table["diverged"].astype(bool)
    several = table["net"].nunique() > 1
    unknown = iter(CYCLE * len(table))
    for (net, series), runs in _groups(table[~diverged].dropna(subset=[value])):
        color = COLORS[series] if series in COLORS and not several else next(unknown)
        seeds = runs["seed"].nunique()
        name = LABELS.get(series, series)
        label = f"{f'{net}: ' if several else ''}{name}, {seeds} seed{'s' if seeds > 1 else ''}"
        middle = runs.groupby(against)[value].median()
        axes.plot(middle.index, middle, color=color, label=label)
        axes.plot(runs[against], runs[value], ".", color=color)
    if diverged.any():
        edge = axes.get_ylim()[0] if axes.lines else 0.0
        for (net, series), runs in _groups(table[diverged]):
            color = COLORS[series] if series in COLORS and not several else "#222222"
            label = f"diverged: {f'{net}, ' if several else ''}{series}"
            axes.plot(runs[against], [edge] * len(runs), "x", color=color, label=label, clip_on=False)
        axes.set_ylim(bottom=edge)
    if (table[against] > 0).all():
        axes.set_xscale("log")
    axes.set(xlabel=WORDS.get(against, against), ylabel=WORDS.get(value, value.replace("_", " ")))
    axes.legend(fontsize="small")
    return figure


def _groups(table: pd.DataFrame) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    for (net, series), runs in table.groupby(["net", "series"]):
        yield (str(net), str(series)), runs
