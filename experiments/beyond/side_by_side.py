"""The picture and the table in which series are compared side by side."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from beyond.compared import COLUMNS, series_in
from normscape.drawing.forest import forest
from normscape.drawing.panels import accuracies, legend, note, seeds_in_words, step_sizes_in_words
from normscape.drawing.style import short_label
from normscape.evidence.cells import markdown_table, value_and_spread
from normscape.evidence.curves import indexed
from normscape.evidence.figure import Shown
from normscape.evidence.interval import Measured


def measured(rows: pd.DataFrame, series: Sequence[str]) -> list[Mapping[str, Measured]]:
    """Return each column of the comparison, over seeds, by series."""
    seeds = indexed(rows).values()
    return [
        {
            name: Measured(column.title, tuple(column.of(name).of(curves) for curves in seeds))
            for name in series
            if not (column.relative and name == "standard")
        }
        for column in COLUMNS
    ]


def draw_side_by_side(shown: Shown, order: Sequence[str]) -> Figure:
    """Draw training above and the comparison, a row per series, below."""
    series = series_in(shown.rows, order)
    cells = [
        {name: column.get(name, Measured("", (1.0,))) for name in series} for column in measured(shown.rows, series)
    ]
    figure = Figure(figsize=(15, 2.9 + 0.42 * (len(series) + 2)), layout="constrained")
    halves = figure.add_gridspec(2, 1, height_ratios=[2.9, 0.42 * (len(series) + 2)])
    upper, lower = figure.add_subfigure(halves[0]), figure.add_subfigure(halves[1])
    for place, quantity in enumerate(("train_accuracy", "test_accuracy"), start=1):
        axes = upper.add_subplot(1, 2, place)
        accuracies(axes, shown.rows, None, series, quantity)
    legend(axes, fontsize="x-small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes_of = [lower.add_subplot(1, len(COLUMNS), place) for place in range(1, len(COLUMNS) + 1)]
    relative = [column.relative for column in COLUMNS]
    forest(axes_of, cells, log=[column.log for column in COLUMNS], one=relative)
    for axes, column in zip(axes_of, COLUMNS, strict=True):
        axes.set_title(column.title, fontsize="small")
        axes.set_xlabel("of standard's" if column.relative else "", fontsize="small")
    meant = "of standard's: at equal training accuracy, below 1 is smoother (or shifts less)"
    dots = "large dots: medians over seeds, lines: their intervals, small dots: seeds"
    bands = f"bands: maximum minus minimum over {step_sizes_in_words(shown)}"
    note(figure, f"{meant}; {bands}; {dots}; {seeds_in_words(shown.rows)}")
    return figure


def table_of(rows: pd.DataFrame, order: Sequence[str]) -> list[str]:
    """Return the comparison as a table in Markdown."""
    series = series_in(rows, order)
    columns = measured(rows, series)
    titles = [f"{column.title_in_line}{' / standard' * column.relative}" for column in COLUMNS]
    lines = [
        [short_label(name), *(value_and_spread(column[name], 3) if name in column else "1" for column in columns)]
        for name in series
    ]
    table = markdown_table(["", *titles], lines)
    words = {
        "inf": "`inf`: a level never reached, or an overflow of float32.",
        "nan": "`nan`: of some seed, at least, never at equal training accuracy with the standard network.",
    }
    told = [said for word, said in words.items() if any(word in cell for _, *cells in lines for cell in cells)]
    return [*table, "", " ".join(told)] if told else table
