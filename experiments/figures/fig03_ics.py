"""Fig. 3: BatchNorm trains better, yet its internal covariate shift is similar or larger (a: VGG, b: DLN)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.panels import curves, gather, note_paper, training_panel, training_rows
from figures.statistics import (
    compared,
    each,
    final_accuracy,
    final_loss_ratio,
    over_parts,
    parts_of_run,
    speed_up,
    typical,
)
from normscape.claims import Claim, Statistic
from normscape.plots import STYLE
from normscape.tables import FinishedRun, curve, select

SERIES = ("standard", "batch")
UNCORRELATED = 0.3
TITLES = {"ics_l2": r"$\|G-G'\|_2$", "ics_cosine": r"$\cos(G, G')$"}


@dataclass(frozen=True)
class Net:
    """Where the figure looks at one kind of network."""

    name: str
    rates: tuple[float, ...]
    layers: tuple[int, ...]

    @property
    def places(self) -> list[tuple[float, int]]:
        """Every learning rate with every layer."""
        return [(rate, layer) for rate in self.rates for layer in self.layers]


VGG = Net("VGG", (0.1, 0.01), (5, 10))
DLN = Net("DLN", (1e-6, 1e-7), (9, 17))


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the rows that the figure and its claims are made from."""
    return gather([*map(training_rows, runs), *(run.rows("ics_l2", "ics_cosine", "ics_gradient_norm") for run in runs)])


def _ratio(quantity: str, layer: int, rate: float, rows: pd.DataFrame) -> float:
    return compared(lambda s: typical(rows, series=s, lr=rate, layer=layer, quantity=quantity), "batch", "standard")


def _cosine(layer: int, rate: float, series: str, rows: pd.DataFrame) -> float:
    return typical(rows, series=series, lr=rate, layer=layer, quantity="ics_cosine")


def _relative_shift_ratio(layer: int, rate: float, rows: pd.DataFrame) -> float:
    def relative(series: str) -> float:
        shift, norm = (
            curve(rows, series=series, lr=rate, layer=layer, quantity=q) for q in ("ics_l2", "ics_gradient_norm")
        )
        return float((shift / norm).median()) if len(norm) else math.nan

    return compared(relative, "batch", "standard")


def _size_of_cosine(layer: int, rate: float, rows: pd.DataFrame) -> float:
    values = curve(rows, series="batch", lr=rate, layer=layer, quantity="ics_cosine")
    return float(values.abs().median()) if len(values) else math.nan


def _cosine_gain(layer: int, rate: float, rows: pd.DataFrame) -> float:
    return _cosine(layer, rate, "batch", rows) - _cosine(layer, rate, "standard", rows)


def _share_uncorrelated(layer: int, rate: float, rows: pd.DataFrame) -> float:
    values = curve(rows, series="batch", lr=rate, layer=layer, quantity="ics_cosine").dropna()
    return float((values.abs() < UNCORRELATED).mean()) if len(values) else math.nan


def _regime(net: Net, rate: float) -> dict[str, Statistic]:
    """Return, as evidence, how far the VGGs got: on its plateau a network has hardly any gradient to turn."""
    words = "training accuracy at the end in per cent"
    return each(words, partial(final_accuracy, rate=rate), SERIES) if net is VGG else {}


CLAIMS = [
    *(
        Claim(
            name=f"vgg_trains_better_lr_{rate:g}",
            statement=f"The VGG trains better with BatchNorm, lr {rate:g}",
            statistic="steps to 50 % training accuracy (mean of 5 logged mini-batches), standard / BatchNorm",
            compute=partial(speed_up, "standard", "batch", 0.5, rate=rate),
            net="vgg",
            above=1.0,
        )
        for rate in VGG.rates
    ),
    *(
        Claim(
            name=f"dln_trains_better_lr_{rate:g}",
            statement=f"The DLN trains better with BatchNorm, lr {rate:g}",
            statistic="training loss at the end (mean of 5 logged steps), standard / BatchNorm",
            compute=partial(final_loss_ratio, "standard", "batch", rate=rate),
            net="dln",
            above=1.0,
        )
        for rate in DLN.rates
    ),
    *(
        Claim(
            name=f"shift_no_smaller_{net.name.lower()}_layer_{layer}_lr_{rate:g}",
            statement=f"{net.name} layer {layer}, lr {rate:g}: BatchNorm's covariate shift is similar or larger",
            statistic="median over steps of ||G - G'||, BatchNorm / standard",
            compute=partial(_ratio, "ics_l2", layer, rate),
            net=net.name.lower(),
            above=0.5,
            parts=parts_of_run(net.name, rate, "batch", partial(_ratio, "ics_l2", layer, rate)),
            evidence={
                "median over steps of ||G||, BatchNorm / standard": partial(_ratio, "ics_gradient_norm", layer, rate),
                **_regime(net, rate),
            },
        )
        for net in (VGG, DLN)
        for rate, layer in net.places
    ),
    *(
        Claim(
            name=f"relative_shift_no_smaller_{net.name.lower()}_layer_{layer}_lr_{rate:g}",
            statement=f"{net.name} layer {layer}, lr {rate:g}: BatchNorm's relative shift is similar or larger (ours)",
            statistic="median over steps of ||G - G'|| / ||G||, BatchNorm / standard",
            compute=partial(_relative_shift_ratio, layer, rate),
            net=net.name.lower(),
            above=0.5,
            parts=parts_of_run(net.name, rate, "batch", partial(_relative_shift_ratio, layer, rate)),
        )
        for net in (VGG, DLN)
        for rate, layer in net.places
    ),
    *(
        Claim(
            name=f"angle_no_smaller_{net.name.lower()}_layer_{layer}_lr_{rate:g}",
            statement=f"{net.name} layer {layer}, lr {rate:g}: BatchNorm's G and G' are no better aligned",
            statistic="median over steps of cos(G, G'), BatchNorm - standard",
            compute=partial(_cosine_gain, layer, rate),
            net=net.name.lower(),
            below=0.1,
            parts=parts_of_run(net.name, rate, "batch", partial(_cosine_gain, layer, rate)),
            evidence={**each("median of cos(G, G')", partial(_cosine, layer, rate), SERIES), **_regime(net, rate)},
        )
        for net in (VGG, DLN)
        for rate, layer in net.places
    ),
    *(
        Claim(
            name=f"standard_dln_has_no_shift_layer_{layer}_lr_{rate:g}",
            statement=f"The standard DLN has almost no covariate shift (layer {layer}, lr {rate:g})",
            statistic="median over steps of standard's cos(G, G')",
            net="dln",
            compute=partial(_cosine, layer, rate, "standard"),
            above=0.9,
            parts=over_parts(rate, partial(_cosine, layer, rate, "standard")),
        )
        for rate, layer in DLN.places
    ),
    *(
        Claim(
            name=f"batch_dln_uncorrelated_layer_{layer}_lr_{rate:g}",
            statement=f"The DLN's G and G' with BatchNorm are nearly uncorrelated (layer {layer}, lr {rate:g})",
            statistic="median over steps of BatchNorm's |cos(G, G')|",
            net="dln",
            compute=partial(_size_of_cosine, layer, rate),
            below=UNCORRELATED,
            evidence={
                "median of cos(G, G') with its sign": partial(_cosine, layer, rate, "batch"),
                f"share of steps with |cos| below {UNCORRELATED}": partial(_share_uncorrelated, layer, rate),
            },
        )
        for rate, layer in DLN.places
    ),
]


def draw(rows: pd.DataFrame, original: pd.DataFrame | None) -> Figure:
    """Draw the figure from its table; ``original`` adds the paper's own curves, faintly."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(13, 11), layout="constrained")
        grid = figure.add_gridspec(4, 5, width_ratios=[1.5, 1, 1, 1, 1])
        lines = [(net, rate) for net in (VGG, DLN) for rate in net.rates]
        for line, (net, rate) in enumerate(lines):
            mine = rows[rows["run"].str.startswith(net.name.lower())]
            _training(figure.add_subplot(grid[line, 0]), mine, original, net, rate)
            panels = [(layer, quantity) for layer in net.layers for quantity in TITLES]
            for place, (layer, quantity) in enumerate(panels, start=1):
                axes = figure.add_subplot(grid[line, place])
                curves(axes, mine, original, SERIES, (rate,), quantity, log=quantity == "ics_l2", layer=layer)
                axes.set_title(f"layer {layer}: {TITLES[quantity]}")
                if quantity == "ics_cosine":
                    axes.set_ylim(-1.05, 1.05)
        return figure


def _training(axes: Axes, rows: pd.DataFrame, original: pd.DataFrame | None, net: Net, rate: float) -> None:
    training_panel(axes, rows, original, SERIES, (rate,))
    axes.set_ylabel(f"{net.name}, lr {rate:g}", fontweight="bold")
    axes.legend(fontsize="small")
    note_paper(axes, None if original is None else select(original, lr=rate))
