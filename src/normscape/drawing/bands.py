"""Bands, of two kinds that must not be mixed up: over seeds, and over step sizes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from normscape.drawing.style import COLORS, LABELS
from normscape.evidence.table import select


def median_over_seeds(axes: Axes, curves: pd.DataFrame, *, hold: bool = False, band: bool = True, **line: Any) -> None:
    """Draw the median over seeds as a line and, for more than one seed, their range as a plain band.

    Parameters
    ----------
    axes
        Where to draw.
    curves
        Columns ``seed``, ``step`` and ``value``.
    hold
        Keep the last value of a seed that ended early, i.e. diverged: right for an accuracy, since a network
        whose weights are no longer finite does not change.
    band
        Whether to draw the range.
    line
        Options of ``Axes.plot``.
    """
    wide = curves.pivot_table(index="step", columns="seed", values="value", dropna=False).sort_index()
    wide = wide.ffill() if hold else wide
    (drawn,) = axes.plot(wide.index, wide.median(axis=1), **line)
    if band and wide.shape[1] > 1:
        axes.fill_between(wide.index, wide.min(axis=1), wide.max(axis=1), color=drawn.get_color(), alpha=0.2, lw=0)


def widths_over_step_sizes(rows: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """Return the widths of a quantity's ranges, greatest minus least value over step sizes: one row a seed and step.

    NaN where both overflow float32.

    Parameters
    ----------
    rows
        Columns ``series``, ``lr``, ``seed``, ``step``, ``quantity``, ``edge`` and ``value``.
    quantity
        E.g. ``loss_landscape``.
    """
    where = ["series", "lr", "seed", "step"]
    low, high = (select(rows, quantity=quantity, edge=edge).set_index(where)["value"] for edge in ("min", "max"))
    with np.errstate(invalid="ignore"):  # inf - inf
        return (high - low).rename("value").reset_index().assign(quantity=quantity)


def running_medians(rows: pd.DataFrame, over: int) -> pd.DataFrame:
    """Return one quantity's rows with each value replaced by the median of so many around it, in its seed's curve.

    ``over`` is odd; at the ends of a curve there are fewer.
    """
    ordered = rows.sort_values("step")
    values = ordered.groupby(["series", "lr", "seed"])["value"]
    smooth = values.transform(lambda curve: curve.rolling(over, center=True, min_periods=1).median())
    return ordered.assign(value=smooth)


def range_over_step_sizes(axes: Axes, rows: pd.DataFrame, series: Sequence[str], quantity: str) -> None:
    """Draw each series' range from the least to the greatest value over step sizes, edged; medians over seeds.

    Parameters
    ----------
    axes
        Where to draw.
    rows
        Columns ``series``, ``quantity``, ``edge``, ``seed``, ``step`` and ``value``, of one learning rate.
    series
        Drawn in this order.
    quantity
        E.g. ``loss_landscape``.
    """
    shade = 0.3 if len(series) <= 2 else 0.06  # of many, edges tell more than shades on top of each other
    for name in series:
        low, high = (
            select(rows, series=name, quantity=quantity, edge=edge)
            .pivot_table(index="step", columns="seed", values="value", dropna=False)
            .median(axis=1)
            for edge in ("min", "max")
        )
        axes.fill_between(low.index, low, high, color=COLORS[name], alpha=shade, lw=0, label=LABELS[name])
        for edge in (low, high):
            axes.plot(edge.index, edge, color=COLORS[name], linewidth=0.6 if len(series) <= 2 else 0.9)
