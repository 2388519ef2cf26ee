"""Figs. 1, 2 and 6 claim how far distributions of activations move, compared to another network's."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from normscape.drawing.bands import median_over_seeds
from normscape.drawing.panels import curves, plain_log_ticks
from normscape.drawing.style import COLORS
from normscape.evidence.claims import Claim, Kind, Origin
from normscape.evidence.comparing import each, over_floor
from normscape.evidence.measures import Mean
from normscape.evidence.parts import Fitting
from normscape.evidence.statistics import AtEqualAccuracy, Change, During, Of, Ratio
from normscape.evidence.table import select
from normscape.evidence.words import network

OVER_UNITS = ("activation_change_lower", "activation_change_upper", "activation_noise")
"""How far units differ, and what movement consists of when weights stand still."""


def movement_claim(
    name: str,
    statement: str,
    layer: int,
    series: str,
    *,
    other: str = "standard",
    above: float | None = None,
    below: float | None = None,
    origin: Origin = "text",
    construction: str = "",
    **about: object,
) -> Claim:
    """Return a claim on how far the distributions of a layer's units move in a series, compared to another.

    The statistic is a mean over snapshots of the median over units (`normscape.evidence.movements`). It must be above
    the noise floor, unless the claim is on noise: that of noisy BatchNorm is what moves its distributions.
    """
    moved = Mean("activation_change", layer)
    ratio = Ratio(moved, series, other)
    over_units = [statistic for quantity in OVER_UNITS for statistic in each(Mean(quantity, layer), (series, other))]
    return Claim(
        name=name,
        statement=statement,
        statistic=ratio,
        above=above,
        below=below,
        origin=origin,
        about=about,
        construction=construction,
        note="A distribution can move far in absolute terms but little relative to its width, and vice versa.",
        parts=[
            *AtEqualAccuracy(ratio).bins,
            During(ratio, Fitting(series)),
            Ratio(Mean("activation_distance", layer), series, other),
        ],
        reasons=_reasons(moved, ratio),
        evidence=[*each(moved, (series, other)), *over_units],
        resolved=[] if series == "noisy_batch" else over_floor(layer, (series, other)),
    )


def _reasons(moved: Mean, ratio: Ratio) -> list[Claim]:
    """Return why a normalised network may be the steadier one, if only late: it settles, and the other does not."""
    series, other = ratio.series, ratio.other
    after, before = Fitting(series, after=True), Fitting(series)
    only_late = ((ratio, Kind.FAILS), (During(ratio, before), Kind.HOLDS))
    return [
        Claim(
            statement=f"Once {network(series)} has fitted its training data, its distributions move less than before",
            statistic=Change(Of(moved, series), after, before),
            below=1.0,
            given=only_late,
        ),
        Claim(
            statement=f"From then on, the distributions of {network(other)} move more than before",
            statistic=Change(Of(moved, other), after, before),
            above=1.0,
            given=only_late,
        ),
    ]


MOVEMENTS = (
    "movement: Wasserstein-1 distance from the snapshot before, in the units' standard deviations at that step, median "
    "over units; dotted: noise floor, between the halves of a mini-batch"
)
"""What the panels of `draw_movements` show, which the paper has not."""

FLOORS = 3
"""Of how many series, the first ones, the noise floor is drawn: those of more would hide what they lie under."""


def draw_movements(where: Figure | SubFigure, rows: pd.DataFrame, layers: Sequence[int], series: Sequence[str]) -> None:
    """Draw, layer by layer, how far distributions moved since the snapshot before, with the noise floor."""
    first = None
    for place, layer in enumerate(layers, start=1):
        axes = where.add_subplot(1, len(layers), place, sharey=first)
        first = first or axes
        curves(axes, rows, None, series, "activation_change", log=True, layer=layer)
        for name in series[:FLOORS]:
            floor = select(rows, series=name, quantity="activation_noise", layer=layer)
            median_over_seeds(axes, floor, color=COLORS[name], linestyle=":", linewidth=0.8)
        plain_log_ticks(axes.yaxis, axes.get_ylim())
        axes.set(
            title=f"layer {layer}: movement", ylabel="std. deviations since\nthe last snapshot" if place == 1 else ""
        )
    kinds = [Line2D([], [], color="0.4", label="movement")]
    kinds += [Line2D([], [], color="0.4", linestyle=":", linewidth=0.8, label="noise floor")]
    where.axes[0].legend(handles=kinds, fontsize="x-small")
