"""Fig. 2: noisy BatchNorm trains nearly as well as BatchNorm although its distributions are the least stable."""

from collections.abc import Sequence
from functools import partial

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from figures.movements import movement_claim
from figures.panels import accuracies, first_seed, gather, note_paper, ridges
from figures.statistics import VGG_RATE, each, final_accuracy, ratio, speed_up, within
from normscape.claims import Claim
from normscape.plots import STYLE, short_label
from normscape.tables import FinishedRun, curve

LAYERS = (2, 9, 13)
SERIES = ("standard", "batch", "noisy_batch")


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the rows that the figure and its claims are made from."""
    parts = [run.rows("train_accuracy") for run in runs]
    parts += [run.distribution_changes(layer) for run in runs for layer in LAYERS]
    drawn = [run for run in runs if run.config.seed == first_seed(runs)]
    return gather([*parts, *(run.quantiles(layer, levels=50, snapshots=16) for run in drawn for layer in LAYERS)])


def _loss_of_accuracy(rows: pd.DataFrame) -> float:
    return final_accuracy("batch", rows) - final_accuracy("noisy_batch", rows)


def _gap_in_quarter(quarter: int, rows: pd.DataFrame) -> float:
    """Return by how much noisy BatchNorm lies below BatchNorm over a quarter of the run, in training accuracy."""

    def mean(series: str, part: pd.DataFrame) -> float:
        return float(curve(part, series=series, lr=VGG_RATE, quantity="train_accuracy").mean())

    ends = (quarter - 1) / 4, quarter / 4
    return within(*ends, VGG_RATE, lambda part: mean("batch", part) - mean("noisy_batch", part))(rows)


def _gap_still_left(rows: pd.DataFrame) -> float:
    return ratio(_gap_in_quarter(4, rows), _gap_in_quarter(3, rows))


CLAIMS = [
    Claim(
        name="noisy_nearly_matches_batch",
        statement="Noisy BatchNorm performs almost as well as BatchNorm",
        statistic="training accuracy at the end (mean of 5 logged mini-batches), BatchNorm - noisy, percentage points",
        compute=_loss_of_accuracy,
        below=5.0,
        reasons=[
            Claim(
                statement="The gap is still closing when the run ends",
                statistic="mean gap in training accuracy over the last quarter of the steps / over the quarter before",
                compute=_gap_still_left,
                below=1.0,
            )
        ],
        evidence=each("the accuracy itself in per cent", final_accuracy, SERIES),
    ),
    *(
        Claim(
            name=f"noisy_beats_standard_to_{level}",
            statement=f"Noisy BatchNorm reaches {level} % training accuracy in fewer steps than standard",
            statistic=f"steps to {level} % training accuracy (mean of 5 logged mini-batches), standard / noisy",
            compute=partial(speed_up, "standard", "noisy_batch", level / 100),
            above=1.0,
        )
        for level in (50, 80, 90)
    ),
    *(
        movement_claim(
            f"noisy_less_stable_layer_{layer}",
            f"Distributions of layer {layer} are less stable with noisy BatchNorm than in standard",
            layer,
            "noisy_batch",
            above=1.0,
        )
        for layer in LAYERS
    ),
]


def draw(rows: pd.DataFrame, original: pd.DataFrame | None) -> Figure:
    """Draw the figure from its table; ``original`` adds the paper's own curves, faintly."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(13, 3.9), layout="constrained")
        grid = figure.add_gridspec(1, 10, width_ratios=[3.6, *[1] * 9])
        axes = figure.add_subplot(grid[0])
        accuracies(axes, rows, original, SERIES)
        note_paper(axes, original)
        axes.legend(loc="lower right", fontsize="small")
        places = [(layer, series) for layer in LAYERS for series in SERIES]
        for place, (layer, series) in enumerate(places, start=1):
            axes = figure.add_subplot(grid[place])
            ridges(axes, rows, layer, series)
            short = short_label(series).replace('"Noisy" ', "noisy\n")
            axes.set_title(f"layer {layer}\n{short}", fontsize="small")
            axes.set_ylabel("step" if place == 1 else "")
            axes.tick_params(labelleft=place == 1)
        return figure
