"""Fig. 11: how fast the gradient changes with the distance walked along it; one line per measured step."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator
from numpy.typing import NDArray

from normscape.drawing.panels import note
from normscape.drawing.style import STYLE, short_label
from normscape.evidence.claims import Claim
from normscape.evidence.figure import Shown
from normscape.evidence.finished import FinishedRun, first_seed
from normscape.evidence.measures import MedianAtLargestStepSize
from normscape.evidence.statistics import Ratio
from normscape.evidence.table import gather, select
from santurkar2018.shared import NETS, over_parts

SERIES = ("standard", "batch")
LINES = 30
QUANTITY = ("gradient_difference", "gradient_difference_tensor_sum")
"""Ours, and what the paper seems to have plotted."""
DIFFERENCE = (r"$\|\nabla J(W - s g) - g\|_2$", "the same, norms of tensors summed")
FARTHEST = Ratio(MedianAtLargestStepSize("gradient_difference"), "standard", "batch")


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the rows of the figure and its claims: lines from one seed, the largest step size from all seeds."""
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


CLAIMS = [
    Claim(
        name=f"{net}_gradient_changes_slowly",
        statement=f"With BatchNorm the {label}'s gradient changes more slowly with distance",
        statistic=FARTHEST,
        about={"net": net},
        above=1.0,
        parts=over_parts(FARTHEST),
    )
    for net, label in NETS.items()
]


def draw(shown: Shown) -> Figure:
    """Draw the figure from its table, with a second line of panels of the paper's own curves where they are given."""
    sources = [(shown.rows, "")]
    if shown.original is not None:
        sources.append((shown.original, "the paper: "))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(12, 3.5 * len(sources)), layout="constrained")
        for line, (source, prefix) in enumerate(sources):
            for block, (net, label) in enumerate(NETS.items()):
                mine = select(source, net=net, quantity=QUANTITY[line])
                mine = mine[mine["seed"] == mine["seed"].min()]
                first = None
                for place, series in enumerate(SERIES):
                    at = (len(sources), 4, 4 * line + 2 * block + place + 1)
                    axes = figure.add_subplot(*at, sharey=first)
                    first = first or axes
                    _lines(axes, select(mine, series=series))
                    axes.set_title(f"{prefix}{label}\n{short_label(series)}")
                    axes.set_ylabel(DIFFERENCE[line] if place == 0 else "")
        note(figure, f"first seed; one line per measured step, at most {LINES} of them, evenly spaced")
        return figure


def _lines(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw a line per step, dark early to bright late, with its colour scale."""
    last = max(float(rows["step"].max()), 1.0)
    scale = ScalarMappable(Normalize(0, last), "viridis")
    lines = rows.groupby("step").filter(lambda line: len(line) > 1)
    for step, line in lines.groupby("step"):
        line = line.sort_values("step_size")
        axes.plot(line["step_size"], line["value"], color=scale.to_rgba(float(step)), linewidth=0.7)  # type: ignore[arg-type]
    positive = bool((np.isfinite(rows["value"]) & (rows["value"] > 0)).any())
    axes.set(xscale="log", yscale="log" if positive else "linear", xlabel="step size $s$")
    sizes = np.unique(rows["step_size"])
    if sizes[-1] / sizes[0] < 10:  # too few decades for the labels of a logarithmic axis
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
    axes.figure.colorbar(scale, ax=axes, label="step", location="bottom", aspect=30, pad=0.02, ticks=MaxNLocator(3))
