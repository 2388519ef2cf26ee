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

from normscape.drawing.panels import note
from normscape.drawing.style import STYLE, short_label
from normscape.evenly import evenly
from normscape.evidence.claims import Claim
from normscape.evidence.comparing import NETS, at_equal_accuracy, parts_of_run
from normscape.evidence.figure import Shown
from normscape.evidence.finished import FinishedRun
from normscape.evidence.measures import MedianAtStepSize
from normscape.evidence.statistics import Ratio
from normscape.evidence.table import gather, select

SERIES = ("standard", "batch")
LINES = 30
EUCLIDEAN, SUMMED = "gradient_difference", "gradient_difference_tensor_sum"
STEP_SIZES = {"vgg": 4, "dln": 5}
"""How many step sizes the paper plots."""


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the rows that the figure and its claims are made from."""
    return gather(rows for run in runs for rows in (run.training_rows(), run.rows(EUCLIDEAN, SUMMED)))


def _changes_slowly(net: str) -> Claim:
    """Return the claim at the largest distance; the other ones are parts of it."""

    def at(place: int, quantity: str = SUMMED) -> Ratio:
        return Ratio(MedianAtStepSize(quantity, place=place), "standard", "batch")

    nearer = [at_equal_accuracy(net, at(place)) for place in range(STEP_SIZES[net] - 1)]
    return Claim(
        name=f"{net}_gradient_changes_slowly",
        statement=f"With BatchNorm the {NETS[net]}'s gradient changes more slowly with distance",
        statistic=at_equal_accuracy(net, at(-1)),
        about={"net": net},
        above=1.0,
        parts=[*nearer, *parts_of_run(net, at(-1)), at_equal_accuracy(net, at(-1, EUCLIDEAN))],
    )


CLAIMS = [_changes_slowly(net) for net in ("vgg", "dln")]


def draw(shown: Shown) -> Figure:
    """Draw the figure from its table, with a second line of panels of the paper's own curves where they are given."""
    sources = [(shown.rows, "")]
    if shown.original is not None:
        sources.append((shown.original, "the paper: "))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(12, 3.5 * len(sources)), layout="constrained")
        for line, (source, prefix) in enumerate(sources):
            for block, net in enumerate(("vgg", "dln")):
                mine = select(source, net=net, quantity=SUMMED)
                mine = mine[mine["seed"] == mine["seed"].min()]
                first = None
                for place, series in enumerate(SERIES):
                    at = (len(sources), 4, 4 * line + 2 * block + place + 1)
                    axes = figure.add_subplot(*at, sharey=first)
                    first = first or axes
                    _lines(axes, select(mine, series=series))
                    axes.set_title(f"{prefix}{NETS[net]}\n{short_label(series)}")
                    axes.set_ylabel(r"$\|\nabla J(W - s g) - g\|$" if place == 0 else "")
        lines = f"first seed; one line per measured step, at most {LINES} of them, evenly spaced"
        note(figure, f"norms of gradients are summed over parameter tensors, as the paper's seem to be; {lines}")
        return figure


def _lines(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw a line per step, dark early to bright late, with its colour scale."""
    last = max(float(rows["step"].max()), 1.0)
    scale = ScalarMappable(Normalize(0, last), "viridis")
    steps = np.unique(rows["step"])
    drawn = rows[rows["step"].isin(steps[evenly(len(steps), LINES)])]
    for step, line in drawn.groupby("step"):
        line = line.sort_values("step_size")
        axes.plot(line["step_size"], line["value"], color=scale.to_rgba(float(step)), linewidth=0.7)  # type: ignore[arg-type]
    positive = bool((np.isfinite(rows["value"]) & (rows["value"] > 0)).any())
    axes.set(xscale="log", yscale="log" if positive else "linear", xlabel="step size $s$")
    sizes = np.unique(rows["step_size"])
    if sizes[-1] / sizes[0] < 10:  # too few decades for the labels of a logarithmic axis
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
    axes.figure.colorbar(scale, ax=axes, label="step", location="bottom", aspect=30, pad=0.02, ticks=MaxNLocator(3))
