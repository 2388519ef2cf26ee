"""What the paper claims in its text alone: noise without BatchNorm, accuracies, random directions."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from normscape.drawing.bands import median_over_seeds, widths_over_step_sizes
from normscape.drawing.panels import (
    curves,
    legend,
    note,
    plain_log_ticks,
    seeds_in_words,
    step_axis,
    step_sizes_in_words,
)
from normscape.drawing.style import COLORS, LABELS, STYLE
from normscape.evidence.claims import Claim
from normscape.evidence.comparing import CHANCE, PAPER_SIZE, at_equal_accuracy, parts_of_run
from normscape.evidence.figure import Shown
from normscape.evidence.finished import FinishedRun
from normscape.evidence.marks import Final
from normscape.evidence.measures import Count, Median, MedianWidth
from normscape.evidence.parts import BINS
from normscape.evidence.statistics import Difference, During, Of, Ratio
from normscape.evidence.table import gather, select

SERIES = ("standard", "batch")
TESTED = Final("test_accuracy", points=1, percent=True)
TRAINED = Final("train_accuracy", points=5)
PLAIN, AUGMENTED = {"augment": False}, {"augment": True}
RANDOM = {
    "loss": Ratio(MedianWidth("loss_landscape_random"), "standard", "batch"),
    "gradient": Ratio(MedianWidth("gradient_difference_tensor_sum_random"), "standard", "batch"),
}
MEASURED = [During(Of(Count("effective_lipschitz_random"), series), part) for part in BINS for series in SERIES]
"""On how many steps, and random directions, one a step, the widths of a bin rest."""
LIPSCHITZ = Ratio(Median("effective_lipschitz_random"), "standard", "batch")


@dataclass(frozen=True)
class Accuracy:
    """A test accuracy that the paper states, in per cent."""

    series: str
    augment: bool
    percent: int

    @property
    def suffix(self) -> str:
        """The augmentation in the name of a claim."""
        return "_augmented" if self.augment else ""

    @property
    def label(self) -> str:
        """The network in a sentence."""
        plain = {"batch": "BatchNorm"}.get(self.series, self.series)
        return plain + (" with augmentation" if self.augment else "")


ACCURACIES = (
    Accuracy("batch", False, 83),
    Accuracy("standard", False, 80),
    Accuracy("batch", True, 92),
    Accuracy("standard", True, 88),
)
TOLERANCE = 2
"""Percentage points within which an accuracy counts as the paper's."""


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the rows that the figure and its claims are made from."""
    parts = [run.rows("train_accuracy", "test_accuracy") for run in runs]
    plain = [run for run in runs if run.config.series in SERIES and not run.config.augment]
    ranged = ("loss_landscape", "loss_landscape_random", "gradient_difference_tensor_sum_random")
    parts += [run.step_size_range(*ranged) for run in plain]
    return gather([*parts, *(run.rows("effective_lipschitz_random") for run in plain)])


CLAIMS = [
    Claim(
        name="noise_prevents_standard",
        statement="The same noise without BatchNorm prevents the standard network from training (chance: 0.1)",
        statistic=Of(TRAINED, "noisy_standard"),
        about=PLAIN,
        below=2 * CHANCE,
        reasons=[
            Claim(
                statement="Here the noise costs the standard network accuracy but does not stop it from training",
                statistic=Difference(Final("train_accuracy", points=5, percent=True), "standard", "noisy_standard"),
                above=0.0,
            )
        ],
        evidence=[Of(TRAINED, "standard")],
    ),
    Claim(
        name="augmented_tests_better",
        statement="With augmentation, too, BatchNorm has the higher final test accuracy",
        statistic=Difference(TESTED, "batch", "standard"),
        about=AUGMENTED,
        above=0.0,
    ),
    *(
        Claim(
            name=f"accuracy_of_vgg_{accuracy.series}{accuracy.suffix}",
            statement=f"The test accuracy of {accuracy.label} is {accuracy.percent} %",
            statistic=Of(TESTED, accuracy.series),
            about={"augment": accuracy.augment},
            scales=PAPER_SIZE,
            above=accuracy.percent - TOLERANCE,
            below=accuracy.percent + TOLERANCE,
            note="Only scale=paper and scale=paper_tf32 train the paper's network at its full width.",
            evidence=[Of(TRAINED, accuracy.series)],
        )
        for accuracy in ACCURACIES
    ),
    *(
        Claim(
            name=f"random_directions_alike{suffix}",
            statement=f"Along random directions, too, the {what} varies less with BatchNorm",
            statistic=at_equal_accuracy("vgg", RANDOM[what]),
            about=PLAIN,
            above=1.0,
            parts=parts_of_run("vgg", RANDOM[what]),
            evidence=MEASURED,
        )
        for what, suffix in (("loss", ""), ("gradient", "_gradient"))
    ),
    Claim(
        name="random_directions_lipschitz",
        statement="Along random directions, too, BatchNorm makes the VGG's loss more Lipschitz",
        statistic=at_equal_accuracy("vgg", LIPSCHITZ),
        origin="ours",
        about=PLAIN,
        above=1.0,
        parts=parts_of_run("vgg", LIPSCHITZ),
        evidence=MEASURED,
    ),
]


def draw(shown: Shown) -> Figure:
    """Draw the figure from its table; the paper has no picture of these."""
    rows = shown.rows
    plain = select(rows, augment=False)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(12, 3.8), layout="constrained")
        noise, tests, random = (figure.add_subplot(1, 3, place) for place in (1, 2, 3))
        for series in ("standard", "noisy_standard"):
            ours = select(plain, series=series, quantity="train_accuracy")
            median_over_seeds(noise, ours, color=COLORS[series], label=LABELS[series])
        noise.set(title="Noise without BatchNorm: training accuracy", ylim=(0, 1))
        _tests(tests, rows)
        widths = widths_over_step_sizes(plain, "loss_landscape_random")
        curves(random, widths, None, SERIES, "loss_landscape_random", log=True)
        plain_log_ticks(random.yaxis, random.get_ylim())
        random.set(title="Loss along a random direction", ylabel=r"max $J(W - s d)$ - min $J(W - s d)$")
        for axes in (noise, tests):
            axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
        for axes in (noise, tests, random):
            step_axis(axes, rows)
            legend(axes, fontsize="small")
        note(figure, f"{step_sizes_in_words(shown, 'random')}; {seeds_in_words(rows)}")
        return figure


def _tests(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw test accuracies, and where the paper's end."""
    for accuracy in ACCURACIES:
        style, suffix, filled = ("--", ", augmented", "none") if accuracy.augment else ("-", "", "full")
        ours = select(rows, series=accuracy.series, augment=accuracy.augment, quantity="test_accuracy")
        color = COLORS[accuracy.series]
        median_over_seeds(axes, ours, color=color, linestyle=style, label=LABELS[accuracy.series] + suffix)
        axes.plot(rows["step"].max(), accuracy.percent / 100, marker="<", color=color, clip_on=False, fillstyle=filled)
    axes.set(title="Test accuracy (arrowheads: the paper's final values)", ylim=(0, 1))
