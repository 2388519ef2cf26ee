"""What the paper says of convolutional networks, asked of a multilayer perceptron on the same images."""

from collections.abc import Sequence
from dataclasses import replace

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from beyond.training import trains_like_batch
from normscape.drawing.landscapes import AXES, LIPSCHITZ, SUMMED, TITLES
from normscape.drawing.panels import (
    accuracies,
    bands_in_words,
    curves,
    legend,
    note,
    objective_in_words,
    plain_log_ticks,
    ranges,
    seeds_in_words,
)
from normscape.drawing.style import STYLE
from normscape.evidence.claims import Claim
from normscape.evidence.comparing import ALL_NORMS, CHANCE, LP_NORMS, TRAINED_TO, each
from normscape.evidence.covariate_shift import Place, shift_claims
from normscape.evidence.figure import Shown
from normscape.evidence.finished import FinishedRun
from normscape.evidence.marks import Final, StepsTo
from normscape.evidence.smoothness import AS_PLOTTED, WIDTHS, landscape_rows, like_batch_norm, smoother
from normscape.evidence.statistics import Difference, Of, Ratio
from normscape.evidence.table import gather

PAIR = ("standard", "batch")
SERIES = (*ALL_NORMS, "noisy_batch", "noisy_standard")
PLACES = [Place("mlp", 0.1, layer) for layer in (2, 4)]
SHIFT = {"ics_l2": r"$\|G-G'\|_2$", "ics_cosine": r"$\cos(G, G')$"}


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the rows that the figure and its claims are made from."""
    trained = [run.rows("train_accuracy", "test_accuracy") for run in runs if run.config.series not in ALL_NORMS]
    plain = [run for run in runs if run.config.series in ALL_NORMS]
    shifts = [run.rows("ics_l2", "ics_cosine", "ics_gradient_norm") for run in runs if run.config.series in PAIR]
    return gather([landscape_rows(plain), *(run.rows("test_accuracy") for run in plain), *trained, *shifts])


_OF_TRAINING = [
    *(
        Claim(
            name=f"faster_to_{level}",
            statement=f"The MLP reaches {level} % training accuracy in fewer steps with BatchNorm",
            statistic=Ratio(StepsTo(level=level / 100), "standard", "batch"),
            above=1.0,
            evidence=each(TRAINED_TO, PAIR),
        )
        for level in (50, 80, 90)
    ),
    Claim(
        name="tests_better",
        statement="The MLP has the higher test accuracy at the end with BatchNorm",
        statistic=Difference(Final("test_accuracy", points=5, percent=True), "batch", "standard"),
        above=0.0,
        parts=[Difference(Final("test_accuracy", points=1, percent=True), "batch", "standard")],
        evidence=each(TRAINED_TO, PAIR),
    ),
    Claim(
        name="noisy_nearly_matches_batch",
        statement="The MLP performs almost as well with noisy BatchNorm as with BatchNorm",
        statistic=Difference(TRAINED_TO, "batch", "noisy_batch"),
        below=5.0,
        evidence=each(TRAINED_TO, ("batch", "noisy_batch")),
    ),
    Claim(
        name="noisy_beats_standard_to_50",
        statement="The MLP reaches 50 % training accuracy in fewer steps with noisy BatchNorm than without",
        statistic=Ratio(StepsTo(level=0.5), "standard", "noisy_batch"),
        above=1.0,
    ),
    Claim(
        name="noise_prevents_standard",
        statement="The same noise without BatchNorm prevents the MLP from training (chance: 0.1)",
        statistic=Of(Final("train_accuracy", points=5), "noisy_standard"),
        below=2 * CHANCE,
        evidence=[Of(Final("train_accuracy", points=5), "standard")],
    ),
    *(claim for norm in LP_NORMS for claim in trains_like_batch("mlp", norm)),
]

CLAIMS = [
    replace(claim, origin="ours")
    for claim in (
        *_OF_TRAINING,
        *(claim for place in PLACES for claim in shift_claims(place)),
        *smoother("mlp", "batch", "BatchNorm"),
        *(claim for norm in LP_NORMS for claim in smoother("mlp", norm, f"The {norm} norm")),
        *(claim for norm in LP_NORMS for claim in like_batch_norm("mlp", norm)),
    )
]


def draw(shown: Shown) -> Figure:
    """Draw the figure from its table: training and covariate shift above, the landscape below."""
    rows = shown.rows
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(15, 6.4), layout="constrained")
        upper, lower = ([figure.add_subplot(2, 5, 5 * line + place) for place in range(1, 6)] for line in (0, 1))
        accuracies(upper[0], rows, None, SERIES)
        legend(upper[0], fontsize="x-small")
        panels = [(place.layer, quantity) for place in PLACES for quantity in SHIFT]
        for axes, (layer, quantity) in zip(upper[1:], panels, strict=True):
            curves(axes, rows, None, PAIR, quantity, log=quantity == "ics_l2", layer=layer)
            axes.set_title(f"layer {layer}: {SHIFT[quantity]}")
        accuracies(lower[0], rows, None, SERIES, "test_accuracy")
        name, title, label = LIPSCHITZ
        titles, labels = {**TITLES, name: title}, {**AXES, name: label}
        for axes, (quantity, title) in zip(lower[1:], titles.items(), strict=True):
            name = AS_PLOTTED.get(quantity, quantity)
            (ranges if quantity in WIDTHS else curves)(axes, rows, None, ALL_NORMS, name, log=True)
            axes.set(title=title, ylabel=labels[quantity])
        for axes in (*upper, *lower):
            if axes.get_yscale() == "log":
                plain_log_ticks(axes.yaxis, axes.get_ylim())
        symbols = f"{objective_in_words(shown)}; {SUMMED}"
        note(figure, f"{symbols}; {bands_in_words(shown)}; {seeds_in_words(rows)}")
        return figure
