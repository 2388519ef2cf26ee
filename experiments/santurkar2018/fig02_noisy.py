"""Fig. 2: noisy BatchNorm trains nearly as well as BatchNorm although its distributions are the least stable."""

from collections.abc import Sequence

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from normscape.drawing.panels import RIDGES, accuracies, legend, note, note_paper, ridges, seeds_in_words
from normscape.drawing.style import STYLE, short_label
from normscape.evidence.claims import Claim
from normscape.evidence.comparing import TRAINED_TO, each
from normscape.evidence.figure import Shown
from normscape.evidence.finished import FinishedRun, first_seed
from normscape.evidence.marks import StepsTo
from normscape.evidence.measures import Mean
from normscape.evidence.parts import LAST_QUARTER, THIRD_QUARTER
from normscape.evidence.statistics import Change, Difference, Ratio
from normscape.evidence.table import gather
from santurkar2018.movements import MOVEMENTS, draw_movements, movement_claim

LAYERS = (2, 9, 13)
SERIES = ("standard", "batch", "noisy_batch")

NOISE = (
    "the noise shifts each unit by another mu at each step, uniform from -0.5 to 0.5: whatever training does, a mean "
    "moves by 1/3 on average from snapshot to snapshot, where BatchNorm's output has the deviation |gamma|."
)
"""What Algorithm 1 fixes."""


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the rows that the figure and its claims are made from."""
    parts = [run.rows("train_accuracy") for run in runs]
    parts += [run.movements(layer) for run in runs for layer in LAYERS]
    drawn = [run for run in runs if run.config.seed == first_seed(runs)]
    return gather([*parts, *(run.quantiles(layer, levels=50, snapshots=16) for run in drawn for layer in LAYERS)])


CLAIMS = [
    Claim(
        name="noisy_nearly_matches_batch",
        statement="Noisy BatchNorm performs almost as well as BatchNorm",
        statistic=Difference(TRAINED_TO, "batch", "noisy_batch"),
        below=5.0,
        reasons=[
            Claim(
                statement="The gap is still closing when the run ends",
                statistic=Change(
                    Difference(Mean("train_accuracy"), "batch", "noisy_batch"), LAST_QUARTER, THIRD_QUARTER
                ),
                below=1.0,
            )
        ],
        evidence=each(TRAINED_TO, SERIES),
    ),
    *(
        Claim(
            name=f"noisy_beats_standard_to_{level}",
            statement=f"Noisy BatchNorm reaches {level} % training accuracy in fewer steps than the standard network",
            statistic=Ratio(StepsTo(level=level / 100), "standard", "noisy_batch"),
            above=1.0,
        )
        for level in (50, 80, 90)
    ),
    *(
        movement_claim(
            f"noisy_less_stable_layer_{layer}",
            f"Distributions of layer {layer} are less stable with noisy BatchNorm than in the standard network",
            layer,
            "noisy_batch",
            above=1.0,
            construction=NOISE,
        )
        for layer in LAYERS
    ),
    *(
        movement_claim(
            f"noisy_less_stable_than_batch_layer_{layer}",
            f"Distributions of layer {layer} are less stable with noisy BatchNorm than with BatchNorm",
            layer,
            "noisy_batch",
            other="batch",
            above=1.0,
            origin="curves",
            construction=NOISE,
        )
        for layer in LAYERS
    ),
]


def draw(shown: Shown) -> Figure:
    """Draw the figure from its table, with the paper's own curves, faintly, where they are given."""
    rows, original = shown.rows, shown.original
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(13, 6.9), layout="constrained")
        halves = figure.add_gridspec(2, 1, height_ratios=[4.1, 2.6])
        upper, lower = figure.add_subfigure(halves[0]), figure.add_subfigure(halves[1])
        grid = upper.add_gridspec(1, 10, width_ratios=[3.6, *[1] * 9])
        axes = upper.add_subplot(grid[0])
        accuracies(axes, rows, original, SERIES)
        note_paper(axes, original)
        legend(axes, loc="lower right", fontsize="small")
        places = [(layer, series) for layer in LAYERS for series in SERIES]
        for place, (layer, series) in enumerate(places, start=1):
            axes = upper.add_subplot(grid[place])
            ridges(axes, rows, layer, series)
            short = short_label(series).replace('"Noisy" ', "noisy\n")
            axes.set_title(f"layer {layer}\n{short}", fontsize="small")
            axes.set_ylabel("step" if place == 1 else "")
            axes.tick_params(labelleft=place == 1)
        draw_movements(lower, rows, LAYERS, SERIES)
        note(figure, f"{seeds_in_words(rows)}; {RIDGES}\n{MOVEMENTS}")
        return figure
