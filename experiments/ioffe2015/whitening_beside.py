"""Whitening beside BatchNorm: what full decorrelation does for training and the landscape, and what it costs."""

import time
from collections.abc import Iterable, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ioffe2015.shared import NETWORKS, accuracy_curves, over_steps
from normscape.drawing.bands import median_over_seeds
from normscape.drawing.panels import legend, note, seeds_in_words
from normscape.drawing.style import STYLE
from normscape.evidence.claims import Claim
from normscape.evidence.figure import Shown
from normscape.evidence.finished import FinishedRun
from normscape.evidence.marks import Final, StepsTo
from normscape.evidence.measures import Median, MedianWidth
from normscape.evidence.statistics import AtEqualAccuracy, Difference, Of, Ratio
from normscape.evidence.table import gather, select
from normscape.norms import BatchNorm, Whitening

SERIES = ("baseline", "BN-baseline", "whitening")
CHANNELS = (8, 16, 32, 64, 128, 256)
SAMPLES, POSITIONS, REPEATS = 128, 4, 5
COSTLY = 2.0
"""From so many times BatchNorm's time whitening counts as costlier."""
SERIES_LOOKS = NETWORKS
X_LABELS = {"norm_seconds": "channels"}


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the rows that the figure and its claims are made from."""
    parts = [run.rows("train_accuracy", "test_accuracy", "effective_beta") for run in runs]
    parts += [run.step_size_range("loss_landscape") for run in runs]
    timed = {"BN-baseline": BatchNorm, "whitening": Whitening}
    parts += [_cost(run, seconds(timed[run.config.series])) for run in runs if run.config.series in timed]
    return gather(parts)


def seconds(norm: type[torch.nn.Module]) -> list[float]:
    """Return the processor seconds of a forward and backward pass of a layer's norm, for each of ``CHANNELS``.

    The least of ``REPEATS`` on this machine, of ``(128, C, 4, 4)`` in channels-last memory.
    """
    found = []
    for channels in CHANNELS:
        x = torch.randn(SAMPLES, channels, POSITIONS, POSITIONS, generator=torch.Generator().manual_seed(0))
        x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
        layer, taken = norm(channels), []
        for _ in range(REPEATS):
            start = time.process_time()
            layer(x).square().sum().backward()
            taken.append(time.process_time() - start)
        found.append(min(taken))
    return found


def _cost(run: FinishedRun, costs: Iterable[float]) -> pd.DataFrame:
    """Return the seconds of each number of channels as rows; ``step`` is the number of channels."""
    return run.labelled(pd.DataFrame({"step": CHANNELS, "value": list(costs), "quantity": "norm_seconds"}))


NARROWER = Ratio(MedianWidth("loss_landscape"), "BN-baseline", "whitening")

CLAIMS = [
    Claim(
        name="whitening_trains",
        statement="With whitening in place of BatchNorm the network trains faster than without normalisation",
        statistic=Ratio(StepsTo(level=0.6), "baseline", "whitening"),
        origin="ours",
        above=1.0,
    ),
    Claim(
        name="whitening_as_fast",
        statement="Full decorrelation trains at least as fast as BatchNorm, which only standardises",
        statistic=Ratio(StepsTo(level=0.6), "BN-baseline", "whitening"),
        origin="ours",
        above=1.0,
        evidence=[Difference(Final("test_accuracy", points=1, percent=True), "whitening", "BN-baseline")],
    ),
    Claim(
        name="whitening_smooths_loss",
        statement="It narrows the loss along the gradient at least as much as BatchNorm",
        statistic=AtEqualAccuracy(NARROWER),
        origin="ours",
        above=1.0,
        parts=[NARROWER],
        evidence=[Of(Median("effective_beta"), series) for series in SERIES],
    ),
    Claim(
        name="whitening_costs_more",
        statement="It takes far more time than BatchNorm, which is why BatchNorm does without",
        statistic=Ratio(Median("norm_seconds"), "whitening", "BN-baseline"),
        above=COSTLY,
    ),
]


def draw(shown: Shown) -> Figure:
    """Draw the figure from its table."""
    rows = shown.rows
    trained = rows[rows["quantity"] != "norm_seconds"]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(12, 3.5), layout="constrained")
        test, loss, beta, cost = (figure.add_subplot(1, 4, place) for place in (1, 2, 3, 4))
        accuracy_curves(test, trained, SERIES, "test_accuracy")
        test.set_title("Test accuracy")
        legend(test, loc="lower right", fontsize="x-small")
        _bands(loss, select(trained, quantity="loss_landscape"))
        _lines(beta, select(trained, quantity="effective_beta"))
        _costs(cost, select(rows, quantity="norm_seconds"))
        note(figure, f"{seeds_in_words(trained)}; outlined bands: minimum to maximum over step sizes 1/2 to 4 lr")
        return figure


def _bands(axes: Axes, rows: pd.DataFrame) -> None:
    for series in SERIES:
        color = NETWORKS[series][0]
        low, high = (
            select(rows, series=series, edge=edge).groupby("step")["value"].median() for edge in ("min", "max")
        )
        axes.fill_between(low.index, low, high, color=color, alpha=0.15, lw=0)
        for edge in (low, high):
            axes.plot(edge.index, edge, color=color, linewidth=0.7)
    over_steps(axes, rows)
    axes.set_title("Loss along the gradient")


def _lines(axes: Axes, rows: pd.DataFrame) -> None:
    for series in SERIES:
        median_over_seeds(axes, select(rows, series=series), color=NETWORKS[series][0], linewidth=1.0)
    over_steps(axes, rows)
    axes.set_title("Effective β")


def _costs(axes: Axes, rows: pd.DataFrame) -> None:
    for series in SERIES[1:]:
        middle = 1000 * select(rows, series=series).groupby("step")["value"].median()
        axes.plot(middle.index, middle, "o-", color=NETWORKS[series][0], markersize=3)
    axes.set_xscale("log", base=2)
    axes.set_xticks(np.array(CHANNELS), [str(channels) for channels in CHANNELS])
    axes.set(title="Time of one norm, both passes", xlabel="channels", ylabel="milliseconds", yscale="log")
