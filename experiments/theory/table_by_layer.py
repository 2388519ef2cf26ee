"""The table: what the terms of theorems 4.1 and 4.2 take away, layer by layer, from the start of training on."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from normscape.drawing.panels import note
from normscape.drawing.style import STYLE
from normscape.evenly import evenly
from normscape.evidence.claims import Claim
from normscape.evidence.figure import Shown
from normscape.evidence.finished import FinishedRun
from normscape.evidence.table import gather, select
from theory.shared import CURVATURE, GRADIENT, NETS, SHARES

CLAIMS: list[Claim] = []
"""The claims are those of the figure beside it."""

TIMES = 5
"""How many steps have a column, evenly chosen."""

COLUMNS = {
    **{quantity: f"gradient: {label}" for quantity, label in GRADIENT.items()},
    **{quantity: f"curvature: {label}" for quantity, label in CURVATURE.items()},
}


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the shares of each layer at the steps that have a column."""
    return gather(_chosen(run.rows(*SHARES)) for run in runs)


def _chosen(rows: pd.DataFrame) -> pd.DataFrame:
    steps = np.unique(rows["step"])
    return rows[rows["step"].isin(steps[evenly(len(steps), TIMES)])]


def draw(shown: Shown) -> Figure:
    """Draw the table from its numbers: medians over seeds, in per cent."""
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        sizes = [select(shown.rows, net=net)["layer"].nunique() for net in NETS]
        figure = Figure(figsize=(12, 2.2 + 0.2 * sum(sizes)), layout="constrained")
        grid = figure.subplots(len(NETS), len(COLUMNS), squeeze=False, height_ratios=[n + 2 for n in sizes])
        for line, (net, name) in zip(grid, NETS.items(), strict=True):
            for axes, (quantity, label) in zip(line, COLUMNS.items(), strict=True):
                rows = select(shown.rows, net=net, quantity=quantity)
                _cells(axes, rows.pivot_table(index="layer", columns="step", values="value", aggfunc="median"))
                axes.set_title(f"{name}, {label}")
            line[0].set_ylabel("layer")
        text = "per cent taken beyond $\\gamma^2/\\sigma^2$ of $\\|g\\|^2$ and of $g^\\top H g$ by a BatchNorm layer "
        text += "inserted behind one layer of the standard network; columns: step; medians over seeds; below 0: added"
        note(figure, text)
        return figure


def _cells(axes: Axes, values: pd.DataFrame) -> None:
    """Draw numbers on a colour each: blue for what is taken, red for what is added, white at 0."""
    percent = 100 * values.to_numpy(float)
    if not percent.size:
        return
    axes.imshow(percent, cmap="RdBu", vmin=-100, vmax=100, aspect="auto")
    for (row, column), value in np.ndenumerate(percent):
        if np.isfinite(value):
            color = "white" if abs(value) > 65 else "black"
            axes.text(column, row, _number(value), ha="center", va="center", fontsize=6.5, color=color)
    axes.set_xticks(range(len(values.columns)), [f"{step:g}" for step in values.columns], fontsize=7)
    axes.set_yticks(range(len(values.index)), [str(layer) for layer in values.index], fontsize=6.5)
    axes.tick_params(length=0)


def _number(value: float) -> str:
    return f"{value:.1f}" if abs(value) < 9.95 else f"{value:.0f}"
