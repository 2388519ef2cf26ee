"""Fig. 1: BatchNorm trains faster and tests better, yet distributions of activations look no steadier."""

import math
from collections.abc import Sequence
from functools import partial

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from normscape.claims import Claim, steps_to_reach
from normscape.plots import COLORS, LABELS, STYLE, band, ridge_plot
from normscape.tables import FinishedRun, curve, select

LAYERS = (3, 11)
RATES = (0.1, 0.5)
SERIES = ("standard", "batch")
RIDGE_RATE = 0.1
CHANCE = 0.1


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the rows that the figure and its claims are made from."""
    parts = [run.rows("train_accuracy", "test_accuracy") for run in runs]
    first = min(run.config.seed for run in runs)
    for run in runs:
        if run.config.optimizer["lr"] != RIDGE_RATE:
            continue
        for layer in LAYERS:
            parts.append(run.distribution_changes(layer))
            if run.config.seed == first:
                parts.append(run.quantiles(layer, levels=50, snapshots=16))
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


def _speed_up(level: float, rows: pd.DataFrame) -> float:
    """Return standard's steps over batch's; inf if only batch gets there, 0 if only standard does, NaN if neither."""
    standard, batch = (
        steps_to_reach(curve(rows, series=series, lr=0.1, quantity="train_accuracy"), level) for series in SERIES
    )
    return standard / batch if math.isfinite(standard) or math.isfinite(batch) else math.nan


def _final(rows: pd.DataFrame, series: str, lr: float, quantity: str, points: int) -> float:
    return float(curve(rows, series=series, lr=lr, quantity=quantity).iloc[-points:].mean())


def _final_test(series: str, lr: float, rows: pd.DataFrame) -> float:
    return _final(rows, series, lr, "test_accuracy", points=1)


def _test_gain(rows: pd.DataFrame) -> float:
    return 100 * (_final_test("batch", 0.1, rows) - _final_test("standard", 0.1, rows))


def _change_ratio(layer: int, rows: pd.DataFrame) -> float:
    standard, batch = (
        curve(rows, series=series, lr=RIDGE_RATE, quantity="activation_change", layer=layer) for series in SERIES
    )
    return float(batch.mean() / standard.mean()) if len(standard) and len(batch) else math.nan


CLAIMS = [
    *(
        Claim(
            name=f"faster_to_{level}",
            paper_says=f"At lr 0.1 BatchNorm reaches {level} % training accuracy in fewer steps",
            statistic=f"steps to {level} % training accuracy (mean of 5 logged mini-batches), standard / BatchNorm",
            compute=partial(_speed_up, level / 100),
            at_least=1.0,
        )
        for level in (50, 80, 90)
    ),
    Claim(
        name="tests_better",
        paper_says="At lr 0.1 BatchNorm has the higher test accuracy at the end",
        statistic="test accuracy after the last step, BatchNorm - standard, percentage points",
        compute=_test_gain,
        at_least=0.0,
    ),
    Claim(
        name="standard_fails_at_high_rate",
        paper_says="At lr 0.5 the standard network stays at chance",
        statistic="standard's test accuracy after the last step (chance: 0.1)",
        compute=partial(_final_test, "standard", 0.5),
        at_most=CHANCE + 0.02,
    ),
    Claim(
        name="batch_trains_at_high_rate",
        paper_says="At lr 0.5 BatchNorm trains",
        statistic="BatchNorm's training accuracy at the end (mean of 5 logged mini-batches)",
        compute=lambda rows: _final(rows, "batch", 0.5, "train_accuracy", points=5),
        at_least=0.5,
    ),
    *(
        Claim(
            name=f"no_steadier_layer_{layer}",
            paper_says=f"Distributions of layer {layer} are about as stable with BatchNorm as without",
            statistic="mean Wasserstein-1 distance of one unit's distribution between successive snapshots, "
            "in units of its own standard deviation, BatchNorm / standard",
            compute=partial(_change_ratio, layer),
            at_least=0.5,
            at_most=2.0,
        )
        for layer in LAYERS
    ),
]


def draw(rows: pd.DataFrame, original: pd.DataFrame | None) -> Figure:
    """Draw the figure from its table; ``original`` adds the paper's own curves, faintly."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(12, 3.9), layout="constrained")
        grid = figure.add_gridspec(1, 6, width_ratios=[2.6, 2.6, 1, 1, 1, 1])
        train, test = figure.add_subplot(grid[0]), figure.add_subplot(grid[1])
        _accuracies(train, rows, original, "train_accuracy", "Training accuracy (mini-batch)")
        _accuracies(test, rows, original, "test_accuracy", "Test accuracy")
        test.legend(loc="center right", bbox_to_anchor=(1.0, 0.27), fontsize="small")
        places = [(layer, series) for layer in LAYERS for series in SERIES]
        for place, (layer, series) in enumerate(places, start=2):
            axes = figure.add_subplot(grid[place])
            _ridges(axes, rows, layer, series)
            axes.set_title(f"layer {layer}\n{LABELS[series].replace('Standard + ', '')}")
            if place > 2:
                axes.tick_params(labelleft=False)
        return figure


def _accuracies(axes: Axes, rows: pd.DataFrame, original: pd.DataFrame | None, quantity: str, title: str) -> None:
    last = rows["step"].max()
    for lr, style in zip(RATES, ("-", "--"), strict=True):
        for series in SERIES:
            ours = select(rows, quantity=quantity, series=series, lr=lr)
            band(axes, ours, color=COLORS[series], linestyle=style, label=f"{LABELS[series]}, lr {lr:g}")
            if original is not None:
                theirs = curve(original, quantity=quantity, series=series, lr=lr)
                scaled = theirs.index / theirs.index.max() * last
                axes.plot(scaled, theirs, color=COLORS[series], linestyle=style, alpha=0.3, linewidth=0.8)
    axes.set(title=title, xlabel="step", ylim=(0, 1), xlim=(0, last))
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    if original is not None:
        note = f"faint: the paper, {theirs.index.max():,.0f} steps"
        axes.annotate(note, (0.02, 0.02), xycoords="axes fraction", fontsize="x-small", color="0.4")


def _ridges(axes: Axes, rows: pd.DataFrame, layer: int, series: str) -> None:
    chosen = select(rows, quantity="activation_quantile", layer=layer, series=series, lr=RIDGE_RATE)
    wide = chosen.pivot_table(index="step", columns="level", values="value")
    ridge_plot(axes, wide.index.to_numpy(), wide.to_numpy(), COLORS[series])
    axes.set(xlabel="activation", ylabel="step" if (layer, series) == (LAYERS[0], SERIES[0]) else "")
