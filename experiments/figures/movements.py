"""Figs. 1, 2 and 6 claim how far distributions of activations move, compared to the standard network's."""

import math
from collections.abc import Callable
from functools import partial

import pandas as pd

from figures.statistics import VGG_RATE, compared, each, fitted, named, ratio, until_fitted
from normscape.claims import Claim
from normscape.tables import curve


def movement(quantity: str, layer: int, series: str, rows: pd.DataFrame) -> float:
    """Return the mean over snapshots of how far a layer's distribution moved (`FinishedRun.distribution_changes`)."""
    values = curve(rows, series=series, lr=VGG_RATE, quantity=quantity, layer=layer)
    return float(values.mean(skipna=False)) if len(values) else math.nan


def movement_ratio(quantity: str, layer: int, above: str, below: str, rows: pd.DataFrame) -> float:
    """Return the ratio of two series' movements."""
    return compared(lambda series: movement(quantity, layer, series, rows), above, below)


def movement_claim(
    name: str, statement: str, layer: int, series: str, above: float | None = None, below: float | None = None
) -> Claim:
    """Return a claim on how far the distribution of a layer's unit moves in a series, compared to standard."""
    compare = (series, "standard")
    compute = partial(movement_ratio, "activation_change", layer, *compare)
    return Claim(
        name=name,
        statement=statement,
        statistic=f"mean Wasserstein-1 distance of the distribution of one unit in layer {layer} between successive "
        f"snapshots, in units of its own standard deviation, {named(series)} / standard",
        compute=compute,
        above=above,
        below=below,
        note="A distribution may move far in absolute terms and little in units of its own width, or the reverse.",
        parts={
            **until_fitted(series, VGG_RATE, compute),
            "in absolute terms": partial(movement_ratio, "activation_distance", layer, *compare),
        },
        reasons=_reasons(layer, series),
        evidence=each("the same distance", partial(movement, "activation_change", layer), compare),
    )


def _reasons(layer: int, series: str) -> list[Claim]:
    """Return why a normalised network may be the steadier one: it comes to rest and the standard network does not."""

    def since_fitted(moving: str) -> Callable[[pd.DataFrame], float]:
        moved = partial(movement, "activation_change", layer, moving)
        since, until = fitted(series, VGG_RATE, moved, since=True), fitted(series, VGG_RATE, moved)
        return lambda rows: ratio(since(rows), until(rows))

    return [
        Claim(
            statement=f"Once {named(series)} has fitted its training data, it moves less than before",
            statistic=f"the same distance, {named(series)}, from then on / until then",
            compute=since_fitted(series),
            below=1.0,
        ),
        Claim(
            statement="From then on the standard network moves more than before",
            statistic="the same distance, standard, from then on / until then",
            compute=since_fitted("standard"),
            above=1.0,
        ),
    ]
