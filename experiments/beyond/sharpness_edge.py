"""The largest eigenvalue of the Hessian beside effective beta and 2 / lr: who trains at the edge of stability."""

from collections.abc import Sequence

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from normscape.drawing.bands import median_over_seeds
from normscape.drawing.panels import legend, note, plain_log_ticks, seeds_in_words, step_axis
from normscape.drawing.style import COLORS, STYLE, short_label
from normscape.evidence.claims import Claim
from normscape.evidence.comparing import NETS, at_equal_accuracy, over_parts, parts_of_run
from normscape.evidence.figure import Shown
from normscape.evidence.finished import FinishedRun
from normscape.evidence.measures import Largest, Median, MedianTimesHalfRate
from normscape.evidence.statistics import Of, Ratio
from normscape.evidence.table import gather, select

SERIES = ("standard", "batch")
DRAWN = ("dln", "mlp", "vgg")
QUANTITIES = {"sharpness": ("-", "sharpness"), "effective_beta": (":", r"effective $\beta$")}
AT_THE_EDGE = MedianTimesHalfRate("sharpness")


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the rows that the figure and its claims are made from."""
    measured = [run.rows("sharpness", "effective_beta") for run in runs]
    return gather([*(run.training_rows() for run in runs), *measured])


def _at_the_edge(net: str, series: str) -> Claim:
    """Return the claim that a network trains near the curvature at which gradient descent diverges."""
    edge = Of(AT_THE_EDGE, series)
    return Claim(
        name=f"{net}_{series}_at_the_edge",
        statement=f"The {NETS[net]} ({short_label(series)}) trains at a sharpness near 2 / lr",
        statistic=edge,
        origin="ours",
        about={"net": net},
        above=0.5,
        below=2.0,
        parts=over_parts(edge),
        evidence=[Of(MedianTimesHalfRate("effective_beta"), series), Of(Largest("sharpness"), series)],
        note="Of a classifier it is the sharpness of a mini-batch, which fluctuates around that of the training set.",
    )


def _lower(net: str) -> Claim:
    """Return the claim that BatchNorm lowers sharpness."""
    ratio = Ratio(Median("sharpness"), "standard", "batch")
    return Claim(
        name=f"{net}_batch_lowers_sharpness",
        statement=f"BatchNorm lowers the {NETS[net]}'s sharpness",
        statistic=at_equal_accuracy(net, ratio),
        origin="ours",
        about={"net": net},
        above=1.0,
        parts=[*parts_of_run(net, ratio), Ratio(Largest("sharpness"), "standard", "batch")],
    )


CLAIMS = [claim for net in DRAWN for claim in (*(_at_the_edge(net, series) for series in SERIES), _lower(net))]


def draw(shown: Shown) -> Figure:
    """Draw the figure from its table: a panel for each net."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(13, 3.9), layout="constrained")
        for place, net in enumerate(DRAWN, start=1):
            axes = figure.add_subplot(1, len(DRAWN), place)
            _panel(axes, select(shown.rows, net=net))
            axes.set(title=NETS[net], ylabel="curvature" if place == 1 else "")
        legend(axes, fontsize="x-small")
        of = "sharpness: largest eigenvalue of the Hessian of J on the step's batch (DLN: all of the data)"
        note(figure, f"{of}; dashed: 2 / lr; {seeds_in_words(shown.rows)}")
        return figure


def _panel(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw sharpness and effective beta of a net's series, and its 2 / lr; what is not above 0 has no place here."""
    for series in SERIES:
        for quantity, (style, name) in QUANTITIES.items():
            mine = select(rows, series=series, quantity=quantity)
            mine = mine[mine["value"] > 0]
            if len(mine):
                label = f"{short_label(series)}: {name}"
                dots = "." if quantity == "sharpness" else None  # measured at few steps
                median_over_seeds(axes, mine, color=COLORS[series], linestyle=style, label=label, marker=dots)
    for rate in rows["lr"].unique():
        axes.axhline(2 / rate, color="0.4", linestyle="--", linewidth=0.9)
    step_axis(axes, rows)
    axes.set(yscale="log")
    plain_log_ticks(axes.yaxis, axes.get_ylim())
