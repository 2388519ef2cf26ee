"""Stability and covariate shift: whether steadier distributions go with less shift as Santurkar et al. define it."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ioffe2015.shared import NETWORKS, log_if_positive, over_steps
from normscape.drawing.bands import median_over_seeds
from normscape.drawing.panels import legend, note, plain_log_ticks, seeds_in_words
from normscape.drawing.style import STYLE
from normscape.evidence.claims import Claim
from normscape.evidence.comparing import each, over_floor
from normscape.evidence.correlation import RankCorrelation
from normscape.evidence.figure import Shown
from normscape.evidence.finished import FinishedRun
from normscape.evidence.measures import Mean, Median
from normscape.evidence.statistics import Of, Ratio
from normscape.evidence.table import gather, select

MOVEMENT, FLOOR, SHIFT = "activation_change", "activation_noise", "relative_shift"
TOGETHER = 0.5
"""From this rank correlation the one counts as following the other."""
SERIES_LOOKS = NETWORKS


@dataclass(frozen=True)
class Pair:
    """A network without and with BatchNorm, and the layer that is looked at: its last hidden one."""

    net: str
    what: str
    without: str
    with_batch_norm: str
    layer: int

    @property
    def series(self) -> tuple[str, str]:
        """Both networks."""
        return self.without, self.with_batch_norm


PAIRS = (
    Pair("mnist", "sigmoids on MNIST", "standard", "batch", 3),
    Pair("conv", "VGG-11 on CIFAR-10", "baseline", "BN-baseline", 8),
)
STYLES = {"standard": NETWORKS["baseline"][0], "batch": NETWORKS["BN-baseline"][0]} | {
    name: color for name, (color, _, _) in NETWORKS.items()
}


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the rows that the figure and its claims are made from."""
    return gather(part for run in runs for part in _of_run(run, _pair(run).layer))


def _pair(run: FinishedRun) -> Pair:
    return next(pair for pair in PAIRS if pair.net == run.config.net)


def _of_run(run: FinishedRun, layer: int) -> list[pd.DataFrame]:
    """Return how far a layer's distributions moved, and its covariate shift relative to its gradient."""
    moved = run.movements(layer)
    measured = run.rows("ics_l2", "ics_gradient_norm")
    wide = measured[measured["layer"] == layer].pivot_table(
        index="step", columns="quantity", values="value", dropna=False
    )
    shift = (wide["ics_l2"] / wide["ics_gradient_norm"]).rename("value").reset_index()
    return [moved[moved["quantity"].isin([MOVEMENT, FLOOR])], run.labelled(shift.assign(quantity=SHIFT, layer=layer))]


def _claims(pair: Pair) -> list[Claim]:
    about, layer = {"net": pair.net}, pair.layer
    shift, movement = Median(SHIFT, layer), Mean(MOVEMENT, layer)
    without, with_it = pair.series
    return [
        *(
            Claim(
                name=f"shift_follows_movement_{pair.net}_{place}",
                statement=f"{pair.what}, {words} BatchNorm: the covariate shift rises and falls with movement",
                statistic=Of(RankCorrelation(MOVEMENT, layer, other=SHIFT), series),
                origin="ours",
                about=about,
                above=TOGETHER,
                resolved=over_floor(layer, [series]),
            )
            for place, words, series in (("standard", "without", without), ("batch", "with", with_it))
        ),
        Claim(
            name=f"movement_smaller_{pair.net}",
            statement=f"{pair.what}: with BatchNorm distributions of the last hidden layer move less",
            statistic=Ratio(movement, with_it, without),
            about=about,
            below=1.0,
            evidence=each(movement, pair.series),
            resolved=over_floor(layer, pair.series),
        ),
        Claim(
            name=f"shift_smaller_{pair.net}",
            statement=f"{pair.what}: with BatchNorm the covariate shift of Definition 2.1 is smaller",
            statistic=Ratio(shift, with_it, without),
            about=about,
            below=1.0,
            note="The source means the shift of distributions; Definition 2.1 is of Santurkar et al. (2018).",
            evidence=each(shift, pair.series),
        ),
    ]


CLAIMS = [claim for pair in PAIRS for claim in _claims(pair)]


def draw(shown: Shown) -> Figure:
    """Draw, for each pair of networks, movement and shift over time, and one against the other."""
    rows = shown.rows
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, 6.2), layout="constrained")
        for line, pair in enumerate(PAIRS):
            mine = select(rows, net=pair.net)
            axes = [figure.add_subplot(2, 3, 3 * line + place) for place in (1, 2, 3)]
            for place, (quantity, label) in enumerate(
                ((MOVEMENT, "movement, standard deviations"), (SHIFT, r"$\|G - G'\|\,/\,\|G\|$"))
            ):
                _over_time(axes[place], mine, pair, quantity)
                axes[place].set(title=f"{pair.what}, layer {pair.layer}", ylabel=label)
            _against(axes[2], mine, pair)
            legend(axes[0], fontsize="small")
        note(
            figure, f"{seeds_in_words(rows)}; movement: since the snapshot before, median over units; right: first seed"
        )
        return figure


def _over_time(axes: Axes, rows: pd.DataFrame, pair: Pair, quantity: str) -> None:
    for series, label in zip(pair.series, ("without BatchNorm", "with BatchNorm"), strict=True):
        median_over_seeds(
            axes, select(rows, series=series, quantity=quantity), color=STYLES[series], label=label, linewidth=1.0
        )
    over_steps(axes, select(rows, quantity=quantity))


def _against(axes: Axes, rows: pd.DataFrame, pair: Pair) -> None:
    first = select(rows, seed=int(rows["seed"].min()))
    for series in pair.series:
        moved, shift = (
            select(first, series=series, quantity=name).set_index("step")["value"] for name in (MOVEMENT, SHIFT)
        )
        both = pd.concat([moved, shift], axis=1, join="inner").dropna()
        axes.plot(both.iloc[:, 0], both.iloc[:, 1], ".", color=STYLES[series], markersize=4)
    for name, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        values = select(first, quantity={"x": MOVEMENT, "y": SHIFT}[name])["value"]
        if log_if_positive(values) == "log":
            axes.set(**{f"{name}scale": "log"})
            plain_log_ticks(axis, values)
    axes.set(xlabel="movement", ylabel=r"$\|G - G'\|\,/\,\|G\|$", title="a point per step")
