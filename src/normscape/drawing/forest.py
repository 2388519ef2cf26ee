"""A table as a picture: a row per series, a column per statistic, in each cell seeds, their median and interval."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from normscape.drawing.panels import plain_log_ticks
from normscape.drawing.style import COLORS, short_label
from normscape.evidence.cells import number
from normscape.evidence.interval import Measured


def forest(
    columns: Sequence[Axes], cells: Sequence[Mapping[str, Measured]], *, log: Sequence[bool], one: Sequence[bool]
) -> None:
    """Draw statistics of several series side by side.

    Parameters
    ----------
    columns
        Where to draw, one axes for each statistic.
    cells
        Of each statistic, its values by series, in the order of the rows; the first is the top one.
    log
        Whether the axis of a statistic is logarithmic.
    one
        Whether 1 is marked: the statistic is relative to another series.
    """
    for place, (axes, column) in enumerate(zip(columns, cells, strict=True)):
        rows = {series: len(column) - row for row, series in enumerate(column, start=1)}
        for series, measured in column.items():
            _cell(axes, measured, rows[series], COLORS[series])
        if one[place]:
            axes.axvline(1.0, color="0.5", linewidth=0.8, zorder=0)
        positive = [value for measured in column.values() for value in measured.values if 0 < value < np.inf]
        if log[place] and positive:
            axes.set_xscale("log")
            plain_log_ticks(axes.xaxis, positive, fine=3)
        axes.set_ylim(-0.6, len(column) - 0.4)
        axes.set_yticks([*rows.values()], [short_label(series) for series in rows] if place == 0 else [])
        axes.tick_params(axis="y", length=0)
        axes.margins(x=0.12)


def _cell(axes: Axes, measured: Measured, row: int, color: str) -> None:
    """Draw one cell: seeds as small dots, the interval as a line, the median as a large dot with its number above."""
    if np.isfinite([measured.low, measured.high]).all():
        axes.plot([measured.low, measured.high], [row, row], color=color, linewidth=1.5)
    finite = [value for value in measured.values if np.isfinite(value)]
    axes.plot(finite, [row] * len(finite), ".", color=color, markersize=4)
    if np.isfinite(measured.value):
        axes.plot(measured.value, row, "o", color=color, markersize=6)
        axes.annotate(
            number(measured.value, 3),
            (measured.value, row),
            (0, 4),
            textcoords="offset points",
            ha="center",
            fontsize="x-small",
        )
        return
    never = "never" if np.isinf(measured.value) else "undefined"
    where: Any = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
    axes.annotate(never, (0.98, row), (0, 4), **where, ha="right", fontsize="x-small")
