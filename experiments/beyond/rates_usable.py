"""Final training accuracy against the learning rate: how much wider normalisation makes the usable range."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from beyond.usable import HighestRate, UsableRange, final_accuracies
from normscape.drawing.panels import legend, note, seeds_in_words
from normscape.drawing.style import COLORS, STYLE, short_label
from normscape.evidence.claims import Claim
from normscape.evidence.comparing import each
from normscape.evidence.curves import indexed
from normscape.evidence.figure import Shown
from normscape.evidence.finished import FinishedRun
from normscape.evidence.statistics import Ratio
from normscape.evidence.table import gather
from normscape.evidence.words import network

SERIES = ("standard", "batch", "l1", "l2", "linf", "layer", "weight", "selu")
USABLE = UsableRange("train_accuracy")
HIGHEST = HighestRate("train_accuracy")


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the rows that the figure and its claims are made from: training accuracy and loss."""
    return gather(run.rows("train_accuracy", "train_loss") for run in runs)


def _wider(series: str) -> list[Claim]:
    """Return the claims that a series can be trained at more rates than the standard network, and at higher ones."""
    who = network(series)
    return [
        Claim(
            name=f"{series}_widens_the_range",
            statement=f"The MLP trains over a wider range of learning rates: {who}",
            statistic=Ratio(USABLE, series, "standard"),
            origin="ours",
            above=1.0,
            evidence=each(USABLE, (series, "standard")),
        ),
        Claim(
            name=f"{series}_raises_the_highest_rate",
            statement=f"The MLP trains at higher learning rates: {who}",
            statistic=Ratio(HIGHEST, series, "standard"),
            origin="ours",
            above=1.0,
            evidence=each(HIGHEST, (series, "standard")),
        ),
    ]


CLAIMS = [claim for series in SERIES[1:] for claim in _wider(series)]


def draw(shown: Shown) -> Figure:
    """Draw the figure from its table: accuracy against rate, and which share of the seeds diverged."""
    seeds = indexed(shown.rows).values()
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 4.2), layout="constrained")
        grid = figure.add_gridspec(1, 2, width_ratios=[1.7, 1])
        left, right = (figure.add_subplot(grid[place]) for place in (0, 1))
        for row, series in enumerate(SERIES):
            found = [final_accuracies(curves, series, "train_accuracy") for curves in seeds]
            rates = sorted({rate for one in found for rate in one})
            values = np.array([[one.get(rate, np.nan) for rate in rates] for one in found])
            color = COLORS[series]
            left.plot(rates, np.median(values, axis=0), ".-", color=color, label=short_label(series))
            left.fill_between(rates, values.min(axis=0), values.max(axis=0), color=color, alpha=0.15, lw=0)
            ranges = [USABLE.bounds(curves, series) for curves in seeds]
            for low, high in ranges:
                right.plot([low, high], [row, row], "|-", color=color, linewidth=4, alpha=0.4)
        left.set(xscale="log", xlabel="learning rate", ylim=(0, 1), title="Training accuracy after the last step")
        left.yaxis.set_major_formatter(PercentFormatter(xmax=1))
        legend(left, fontsize="x-small")
        right.set(xscale="log", xlabel="learning rate", xlim=left.get_xlim(), title="Usable rates, each seed")
        right.set_yticks(range(len(SERIES)), [short_label(series) for series in SERIES])
        right.invert_yaxis()
        ends = "mean of 5 logged mini-batches, a run that diverged counts as chance"
        note(figure, f"{ends}; {USABLE.meaning}; {seeds_in_words(shown.rows)}")
        return figure
