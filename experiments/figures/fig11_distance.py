"""Fig. 11: how fast the gradient changes with the distance walked along it; one line per time of training."""

import math
from collections.abc import Sequence
from functools import partial

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator
from numpy.typing import NDArray

from figures.panels import first_seed, gather
from figures.statistics import RATES, compared, over_parts
from normscape.claims import Claim
from normscape.plots import STYLE, short_label
from normscape.tables import FinishedRun, select

SERIES = ("standard", "batch")
LINES = 30
DIFFERENCE = (r"$\|\nabla(W - s g) - g\|_2$", "the same, tensor norms summed")


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the rows that the figure and its claims are made from: lines of one seed, the largest step size of all."""
    parts = []
    for run in runs:
        rows = run.rows("gradient_difference")
        kept = rows["step_size"] == rows["step_size"].max()
        if run.config.seed == first_seed([other for other in runs if other.config.name == run.config.name]):
            kept |= rows["step"].isin(_evenly(np.unique(rows["step"])))
        parts.append(rows[kept])
    return gather(parts)


def _evenly(steps: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return at most `LINES` of the steps, evenly chosen."""
    places = np.linspace(0, len(steps) - 1, min(LINES, len(steps))).round().astype(int)
    chosen: NDArray[np.int64] = steps[np.unique(places)]
    return chosen


def _farthest(series: str, rate: float, rows: pd.DataFrame) -> float:
    mine = select(rows, series=series, lr=rate, quantity="gradient_difference")
    far = mine[mine["step_size"] == mine["step_size"].max()]
    return float(far["value"].fillna(math.inf).median()) if len(far) else math.nan


def _ratio(rate: float, rows: pd.DataFrame) -> float:
    return compared(lambda series: _farthest(series, rate, rows), "standard", "batch")


CLAIMS = [
    Claim(
        name=f"{net.lower()}_gradient_changes_slowly",
        statement=f"With BatchNorm the {net}'s gradient changes more slowly with distance",
        statistic="median over steps of the gradient difference at the largest step size, standard / BatchNorm",
        compute=partial(_ratio, rate),
        net=net.lower(),
        above=1.0,
        parts=over_parts(rate, partial(_ratio, rate)),
    )
    for net, rate in RATES.items()
]


def draw(rows: pd.DataFrame, original: pd.DataFrame | None) -> Figure:
    """Draw the figure from its table; ``original`` adds a second line of panels with the paper's own curves."""
    sources = [(rows, "")] if original is None else [(rows, ""), (original, "the paper: ")]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(12, 3.4 * len(sources)), layout="constrained")
        for line, (source, prefix) in enumerate(sources):
            for block, (net, rate) in enumerate(RATES.items()):
                mine = select(source, lr=rate, quantity="gradient_difference")
                mine = mine[mine["seed"] == mine["seed"].min()]
                first = None
                for place, series in enumerate(SERIES):
                    at = (len(sources), 4, 4 * line + 2 * block + place + 1)
                    axes = figure.add_subplot(*at, sharey=first)
                    first = first or axes
                    _lines(axes, select(mine, series=series))
                    axes.set_title(f"{prefix}{net}\n{short_label(series)}")
                    axes.set_ylabel(DIFFERENCE[line] if place == 0 else "")
        return figure


def _lines(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw a line per step, blue early to red late, with its colour scale."""
    last = max(float(rows["step"].max()), 1.0)
    scale = ScalarMappable(Normalize(0, last), "coolwarm")
    lines = rows.groupby("step").filter(lambda line: len(line) > 1)
    for step, line in lines.groupby("step"):
        line = line.sort_values("step_size")
        axes.plot(line["step_size"], line["value"], color=scale.to_rgba(float(step)), linewidth=0.7)  # type: ignore[arg-type]
    axes.set(xscale="log", yscale="log", xlabel="step size $s$")
    sizes = np.unique(rows["step_size"])
    if sizes[-1] / sizes[0] < 10:  # too few decades for the labels of a logarithmic axis
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
    axes.figure.colorbar(scale, ax=axes, label="step", location="bottom", aspect=30, pad=0.02, ticks=MaxNLocator(3))
