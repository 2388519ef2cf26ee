"""Fig. 1: BatchNorm trains faster and tests better, yet distributions of activations look no steadier."""

from collections.abc import Sequence
from functools import partial

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from figures.movements import movement_claim
from figures.panels import accuracies, first_seed, gather, note_paper, ridges
from figures.statistics import VGG_RATE, final, speed_up
from normscape.claims import Claim
from normscape.plots import STYLE, short_label
from normscape.tables import FinishedRun

LAYERS = (3, 11)
RATES = (0.1, 0.5)
SERIES = ("standard", "batch")
CHANCE = 0.1


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the rows that the figure and its claims are made from."""
    parts = [run.rows("train_accuracy", "test_accuracy") for run in runs]
    for run in runs:
        if run.config.optimizer["lr"] == VGG_RATE:
            parts += [run.distribution_changes(layer) for layer in LAYERS]
            if run.config.seed == first_seed(runs):
                parts += [run.quantiles(layer, levels=50, snapshots=16) for layer in LAYERS]
    return gather(parts)


def _final_test(series: str, rate: float, rows: pd.DataFrame) -> float:
    return final(rows, points=1, series=series, lr=rate, quantity="test_accuracy")


def _test_gain(rows: pd.DataFrame) -> float:
    return 100 * (_final_test("batch", 0.1, rows) - _final_test("standard", 0.1, rows))


CLAIMS = [
    *(
        Claim(
            name=f"faster_to_{level}",
            statement=f"At lr 0.1 BatchNorm reaches {level} % training accuracy in fewer steps",
            statistic=f"steps to {level} % training accuracy (mean of 5 logged mini-batches), standard / BatchNorm",
            compute=partial(speed_up, "standard", "batch", level / 100),
            above=1.0,
        )
        for level in (50, 80, 90)
    ),
    Claim(
        name="tests_better",
        statement="At lr 0.1 BatchNorm has the higher test accuracy at the end",
        statistic="test accuracy after the last step, BatchNorm - standard, percentage points",
        compute=_test_gain,
        above=0.0,
    ),
    Claim(
        name="standard_fails_at_high_rate",
        statement="At lr 0.5 the standard network stays at chance",
        statistic="standard's test accuracy after the last step (chance: 0.1)",
        compute=partial(_final_test, "standard", 0.5),
        below=CHANCE + 0.02,
    ),
    Claim(
        name="batch_trains_at_high_rate",
        statement="At lr 0.5 BatchNorm trains",
        statistic="BatchNorm's training accuracy at the end (mean of 5 logged mini-batches)",
        compute=partial(final, points=5, series="batch", lr=0.5, quantity="train_accuracy"),
        above=0.5,
    ),
    *(
        movement_claim(
            f"no_steadier_layer_{layer}",
            f"Distributions of layer {layer} are about as stable with BatchNorm as without",
            layer,
            "batch",
            above=0.5,
            below=2.0,
        )
        for layer in LAYERS
    ),
]


def draw(rows: pd.DataFrame, original: pd.DataFrame | None) -> Figure:
    """Draw the figure from its table; ``original`` adds the paper's own curves, faintly."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(12, 3.9), layout="constrained")
        grid = figure.add_gridspec(1, 6, width_ratios=[2.6, 2.6, 1, 1, 1, 1])
        for place, quantity in enumerate(("train_accuracy", "test_accuracy")):
            axes = figure.add_subplot(grid[place])
            accuracies(axes, rows, original, SERIES, RATES, quantity)
            note_paper(axes, original)
        axes.legend(loc="center right", bbox_to_anchor=(1.0, 0.27), fontsize="small")
        places = [(layer, series) for layer in LAYERS for series in SERIES]
        for place, (layer, series) in enumerate(places, start=2):
            axes = figure.add_subplot(grid[place])
            ridges(axes, rows, layer, series)
            axes.set_title(f"layer {layer}\n{short_label(series)}")
            axes.set_ylabel("step" if place == 2 else "")
            axes.tick_params(labelleft=place == 2)
        return figure
