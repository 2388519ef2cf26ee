"""Fig. 1: BatchNorm trains faster and tests better, yet distributions of activations look no steadier."""

import math
from collections.abc import Sequence

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from normscape.drawing.panels import RIDGES, accuracies, legend, note, note_paper, ridges, seeds_in_words
from normscape.drawing.style import STYLE, short_label
from normscape.evidence.claims import Claim
from normscape.evidence.comparing import CHANCE, PAPER_SIZE, SIMILAR
from normscape.evidence.figure import Shown
from normscape.evidence.finished import FinishedRun, first_seed
from normscape.evidence.marks import Final, StepsTo
from normscape.evidence.statistics import Difference, Of, Ratio
from normscape.evidence.table import gather, select
from normscape.evidence.words import network
from santurkar2018.movements import MOVEMENTS, draw_movements, movement_claim

LAYERS = (3, 11)
BASE, HIGH = 0.1, 0.5
SERIES = ("standard", "batch")


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the rows that the figure and its claims are made from."""
    parts = [run.rows("train_accuracy", "test_accuracy") for run in runs]
    for run in runs:
        if run.facts["lr"] == BASE:
            parts += [run.movements(layer) for layer in LAYERS]
            if run.config.seed == first_seed(runs):
                parts += [run.quantiles(layer, levels=50, snapshots=16) for layer in LAYERS]
    return gather(parts)


CLAIMS = [
    *(
        Claim(
            name=f"faster_to_{level}",
            statement=f"At lr 0.1 BatchNorm reaches {level} % training accuracy in fewer steps",
            statistic=Ratio(StepsTo(level=level / 100), "standard", "batch"),
            about={"lr": BASE},
            above=1.0,
        )
        for level in (50, 80, 90)
    ),
    Claim(
        name="faster_to_99",
        statement="At lr 0.1 BatchNorm reaches 99 % training accuracy in fewer steps",
        statistic=Ratio(StepsTo(level=0.99), "standard", "batch"),
        about={"lr": BASE},
        above=1.0,
        origin="curves",
    ),
    *(
        Claim(
            name=f"{series}_fits",
            statement=f"At lr 0.1 {network(series)} reaches 99 % training accuracy",
            statistic=Of(StepsTo(level=0.99), series),
            about={"lr": BASE},
            below=math.inf,
            origin="curves",
            scales=PAPER_SIZE,
            evidence=[Of(Final("train_accuracy", points=5, percent=True), series)],
        )
        for series in SERIES
    ),
    Claim(
        name="tests_better",
        statement="At lr 0.1 BatchNorm has the higher test accuracy at the end",
        statistic=Difference(Final("test_accuracy", points=5, percent=True), "batch", "standard"),
        about={"lr": BASE},
        above=0.0,
        parts=[Difference(Final("test_accuracy", points=1, percent=True), "batch", "standard")],
    ),
    Claim(
        name="standard_fails_at_high_rate",
        statement="At lr 0.5 the standard network stays at chance, a test accuracy of 0.1",
        statistic=Of(Final("test_accuracy", points=1), "standard"),
        about={"lr": HIGH},
        below=CHANCE + 0.02,
    ),
    Claim(
        name="batch_trains_at_high_rate",
        statement="At lr 0.5 BatchNorm trains",
        statistic=Of(Final("train_accuracy", points=5), "batch"),
        about={"lr": HIGH},
        above=0.5,
    ),
    *(
        movement_claim(
            f"no_steadier_layer_{layer}",
            f"Distributions of layer {layer} are about as stable with BatchNorm as without",
            layer,
            "batch",
            above=1 / SIMILAR,
            below=SIMILAR,
            lr=BASE,
        )
        for layer in LAYERS
    ),
]


def draw(shown: Shown) -> Figure:
    """Draw the figure from its table, with the paper's own curves, faintly, where they are given."""
    rows, original = shown.rows, shown.original
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(12, 6.9), layout="constrained")
        halves = figure.add_gridspec(2, 1, height_ratios=[4.1, 2.6])
        upper, lower = figure.add_subfigure(halves[0]), figure.add_subfigure(halves[1])
        grid = upper.add_gridspec(1, 6, width_ratios=[2.6, 2.6, 1, 1, 1, 1])
        for place, quantity in enumerate(("train_accuracy", "test_accuracy")):
            axes = upper.add_subplot(grid[place])
            accuracies(axes, rows, original, SERIES, quantity)
            note_paper(axes, original)
        legend(axes, loc="center right", bbox_to_anchor=(1.0, 0.27), fontsize="small")
        places = [(layer, series) for layer in LAYERS for series in SERIES]
        for place, (layer, series) in enumerate(places, start=2):
            axes = upper.add_subplot(grid[place])
            ridges(axes, select(rows, lr=BASE), layer, series)
            axes.set_title(f"layer {layer}\n{short_label(series)}")
            axes.set_ylabel("step" if place == 2 else "")
            axes.tick_params(labelleft=place == 2)
        draw_movements(lower, select(rows, lr=BASE), LAYERS, SERIES)
        note(figure, f"{seeds_in_words(rows)}; {RIDGES}\n{MOVEMENTS}")
        return figure
