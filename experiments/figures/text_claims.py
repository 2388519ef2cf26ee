"""What the paper claims in its text alone: noise without BatchNorm, accuracies, random directions."""

from collections.abc import Sequence
from functools import partial

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from figures.panels import gather, ranges
from figures.statistics import VGG_RATE, compared, final, parts_of_run, width
from normscape.claims import Claim, Statistic
from normscape.plots import COLORS, LABELS, STYLE, band
from normscape.tables import FinishedRun, select

SERIES = ("standard", "batch")
CHANCE = 0.1
ACCURACIES = {
    "vgg_batch": ("BatchNorm", 83),
    "vgg_standard": ("standard", 80),
    "vgg_batch_augmented": ("BatchNorm with augmentation", 92),
    "vgg_standard_augmented": ("standard with augmentation", 88),
}
TOLERANCE = 2
"""Percentage points within which an accuracy counts as the paper's."""


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the rows that the figure and its claims are made from."""
    parts = [run.rows("train_accuracy", "test_accuracy") for run in runs]
    plain = [run for run in runs if run.config.name in ("vgg_standard", "vgg_batch")]
    return gather([*parts, *(run.band("loss_landscape", "loss_landscape_random") for run in plain)])


def _accuracy(run: str, rows: pd.DataFrame) -> float:
    return 100 * final(rows, points=1, run=run, quantity="test_accuracy")


def _trained(run: str, rows: pd.DataFrame) -> float:
    return final(rows, points=5, run=run, quantity="train_accuracy")


def _cost_of_noise(rows: pd.DataFrame) -> float:
    return 100 * (_trained("vgg_standard", rows) - _trained("vgg_noisy_standard", rows))


def _augmented_gain(rows: pd.DataFrame) -> float:
    return _accuracy("vgg_batch_augmented", rows) - _accuracy("vgg_standard_augmented", rows)


def _plain(statistic: Statistic) -> Statistic:
    """Return a statistic of the runs without augmentation, which share series and rate with those that have it."""
    return lambda rows: statistic(rows[rows["run"].isin(["vgg_standard", "vgg_batch"])])


def _random_ratio(rows: pd.DataFrame) -> float:
    return compared(lambda series: width(rows, "loss_landscape_random", series, VGG_RATE), "standard", "batch")


CLAIMS = [
    Claim(
        name="noise_prevents_standard",
        statement="The same noise without BatchNorm keeps the standard network from training at all",
        statistic="noisy standard's training accuracy at the end (mean of 5 logged mini-batches; chance: 0.1)",
        compute=partial(_trained, "vgg_noisy_standard"),
        below=2 * CHANCE,
        reasons=[
            Claim(
                statement="Here it costs the standard network accuracy, but does not stop it",
                statistic="training accuracy at the end, without the noise - with it, percentage points",
                compute=_cost_of_noise,
                above=0.0,
            )
        ],
        evidence={"the same without the noise": partial(_trained, "vgg_standard")},
    ),
    Claim(
        name="augmented_tests_better",
        statement="With augmentation too BatchNorm has the higher test accuracy at the end",
        statistic="test accuracy after the last step with augmentation, BatchNorm - standard, percentage points",
        compute=_augmented_gain,
        above=0.0,
    ),
    *(
        Claim(
            name=f"accuracy_of_{run}",
            statement=f"The test accuracy of {label} is {percent} %",
            statistic="test accuracy after the last step, per cent (only scale=paper has the paper's network and data)",
            compute=partial(_accuracy, run),
            above=percent - TOLERANCE,
            below=percent + TOLERANCE,
            note="Only scale=paper trains the paper's network on all the images.",
            evidence={"training accuracy at the end (mean of 5 logged mini-batches)": partial(_trained, run)},
        )
        for run, (label, percent) in ACCURACIES.items()
    ),
    Claim(
        name="random_directions_alike",
        statement="Along random directions too the loss varies less with BatchNorm",
        statistic="median over steps of the loss's width along a random direction, standard / BatchNorm",
        compute=_random_ratio,
        above=1.0,
        parts={words: _plain(part) for words, part in parts_of_run("VGG", VGG_RATE, "batch", _random_ratio).items()},
    ),
]


def draw(rows: pd.DataFrame, original: pd.DataFrame | None) -> Figure:
    """Draw the figure from its table; the paper has no picture of these."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(12, 3.6), layout="constrained")
        noise, tests, random = (figure.add_subplot(1, 3, place) for place in (1, 2, 3))
        for series in ("standard", "noisy_standard"):
            ours = select(rows, run=f"vgg_{series}", quantity="train_accuracy")
            band(noise, ours, color=COLORS[series], label=LABELS[series])
        noise.set(title="Noise without BatchNorm: training accuracy", xlabel="step", ylim=(0, 1))
        for run, (_, percent) in ACCURACIES.items():
            series = "batch" if "batch" in run else "standard"
            style, suffix = ("--", ", augmented") if "augmented" in run else ("-", "")
            ours = select(rows, run=run, quantity="test_accuracy")
            band(tests, ours, color=COLORS[series], linestyle=style, label=LABELS[series] + suffix)
            tests.plot(rows["step"].max(), percent / 100, marker="<", color=COLORS[series], clip_on=False)
        tests.set(title="Test accuracy (arrows: the paper's final)", xlabel="step", ylim=(0, 1))
        ranges(random, rows, None, SERIES, VGG_RATE, "loss_landscape_random")
        random.set(title="Loss along a random direction", ylabel="loss", yscale="log")
        for axes in (noise, tests):
            axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
        for axes in (noise, tests, random):
            axes.set_xlim(0, rows["step"].max())
            axes.legend(fontsize="small")
        return figure
