"""Fig. 1: BatchNorm trains a sigmoid network on MNIST faster, and the inputs of its sigmoids stay where they are."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from normscape.drawing.bands import median_over_seeds
from normscape.drawing.panels import legend, note, seeds_in_words, step_axis
from normscape.drawing.style import COLORS, STYLE
from normscape.evidence.claims import Claim
from normscape.evidence.comparing import each, over_floor
from normscape.evidence.figure import Shown
from normscape.evidence.finished import FinishedRun, first_seed
from normscape.evidence.marks import Final, StepsTo
from normscape.evidence.measures import Mean
from normscape.evidence.parts import EARLY, LATE, MIDDLE
from normscape.evidence.statistics import Difference, During, Ratio, Statistic
from normscape.evidence.table import gather, select

SERIES = ("standard", "batch")
NAMES = {"standard": "Without BN", "batch": "With BN"}
SERIES_LOOKS = {series: (COLORS[series], "-", name) for series, name in NAMES.items()}
LAST_HIDDEN = 3
LEVELS = (0.15, 0.5, 0.85)
SATURATED = 3.0
"""Beyond it a sigmoid's slope is below 0.046, a fifth of its largest."""

STABLE = ("activation_change", "relative_mean_drift", "relative_variance_drift")


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the rows that the figure and its claims are made from."""
    parts = []
    for run in runs:
        moved = [run.movements(LAST_HIDDEN), run.moment_movements(LAST_HIDDEN)]
        kept = (*STABLE, "activation_distance", "activation_noise")
        parts += [run.rows("train_accuracy", "test_accuracy"), saturation(run, LAST_HIDDEN)]
        parts += [each[each["quantity"].isin(kept)] for each in moved]
        if run.config.seed == first_seed(runs):
            parts.append(run.percentiles(LAST_HIDDEN, LEVELS))
    return gather(parts)


def saturation(run: FinishedRun, layer: int) -> pd.DataFrame:
    """Return the share of a layer's inputs to its sigmoids, over units and their quantiles, that are saturated."""
    quantiles, steps = run.snapshots("unit_quantiles", layer)
    share = (np.abs(quantiles) > SATURATED).mean(axis=(1, 2))
    return run.labelled(pd.DataFrame({"step": steps, "value": share, "quantity": "saturated_share", "layer": layer}))


def _steadier(name: str, quantity: str, what: str, resolved: Sequence[Statistic] = ()) -> Claim:
    """Return the claim that the distributions of the last hidden layer change less with BatchNorm, in one measure."""
    ratio = Ratio(Mean(quantity, LAST_HIDDEN), "batch", "standard")
    return Claim(
        name=name,
        statement=f"With BatchNorm the inputs of the last hidden layer's sigmoids are steadier: {what}",
        statistic=ratio,
        below=1.0,
        construction="BatchNorm gives each mini-batch the same mean and variance, up to its learned shift and scale.",
        parts=[During(ratio, part) for part in (EARLY, MIDDLE, LATE)],
        evidence=each(Mean(quantity, LAST_HIDDEN), SERIES),
        resolved=resolved,
    )


CLAIMS = [
    *(
        Claim(
            name=f"faster_to_{level}",
            statement=f"BatchNorm reaches {level} % training accuracy in fewer steps",
            statistic=Ratio(StepsTo(level=level / 100), "standard", "batch"),
            above=1.0,
        )
        for level in (80, 90, 95)
    ),
    Claim(
        name="tests_better",
        statement="BatchNorm has the higher test accuracy at the end",
        statistic=Difference(Final("test_accuracy", points=5, percent=True), "batch", "standard"),
        above=0.0,
        parts=[Difference(Final("test_accuracy", points=1, percent=True), "batch", "standard")],
        evidence=each(Final("test_accuracy", points=5, percent=True), SERIES),
    ),
    _steadier(
        "steadier_from_snapshot_to_snapshot",
        "activation_change",
        "they move less between snapshots",
        resolved=over_floor(LAST_HIDDEN, SERIES),
    ),
    _steadier("steadier_mean", "relative_mean_drift", "their means drift less from where they began"),
    _steadier("steadier_variance", "relative_variance_drift", "their variances drift less from where they began"),
    Claim(
        name="less_saturated",
        statement="With BatchNorm fewer inputs of the last hidden layer's sigmoids are saturated",
        statistic=Difference(Mean("saturated_share", LAST_HIDDEN), "batch", "standard"),
        below=0.0,
        evidence=each(Mean("saturated_share", LAST_HIDDEN), SERIES),
    ),
]


def draw(shown: Shown) -> Figure:
    """Draw the figure from its table."""
    rows = shown.rows
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(12, 3.4), layout="constrained")
        grid = figure.add_gridspec(1, 4, width_ratios=[1.3, 1, 1, 1])
        accuracy, saturated = figure.add_subplot(grid[0]), figure.add_subplot(grid[3])
        _curves(accuracy, select(rows, quantity="test_accuracy"), "a  Test accuracy")
        accuracy.set_ylim(0.7, 1.0)
        accuracy.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
        legend(accuracy, loc="lower right")
        first = None
        for place, series in enumerate(SERIES, start=1):
            axes = figure.add_subplot(grid[place], sharey=first)
            first = first or axes
            _percentiles(axes, select(rows, quantity="activation_quantile", series=series), series)
            axes.set_title(f"{'_bc'[place]}  {NAMES[series]}: sigmoid inputs")
        _curves(saturated, select(rows, quantity="saturated_share"), f"d  Sigmoid inputs beyond ±{SATURATED:g}")
        saturated.set_ylim(bottom=0)
        lines = (
            "b, c: 15th, 50th, 85th percentile of one unit of the last hidden layer over a mini-batch of the first seed"
        )
        note(figure, f"{seeds_in_words(rows)}; {lines}; d: over all measured units of that layer")
        return figure


def _curves(axes: Axes, rows: pd.DataFrame, title: str) -> None:
    for series in SERIES:
        median_over_seeds(axes, select(rows, series=series), color=COLORS[series], label=NAMES[series])
    axes.set(title=title)
    step_axis(axes, rows)
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))


def _percentiles(axes: Axes, rows: pd.DataFrame, series: str) -> None:
    wide = rows.pivot_table(index="step", columns="level", values="value")
    for level in wide:
        middle = level == LEVELS[1]
        axes.plot(wide.index, wide[level], color=COLORS[series], linewidth=1.4 if middle else 0.7)
    step_axis(axes, rows)
