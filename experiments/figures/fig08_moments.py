"""Fig. 8: with noisy BatchNorm the moments of activations change far more than in the standard network."""

from collections.abc import Sequence
from functools import partial

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from figures.panels import curves, gather, note_paper
from figures.statistics import VGG_RATE, compared, each, over_parts, ratio, typical, within
from normscape.claims import Claim
from normscape.plots import STYLE
from normscape.tables import FinishedRun, curve

LAYERS = (2, 9, 13)
SERIES = ("standard", "batch", "noisy_batch")
TITLES = {
    "mean_change": "change of mean",
    "variance_change": "change of variance",
    "mean_drift": "mean since step 0",
    "variance_drift": "variance since step 0",
}


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the rows that the figure and its claims are made from."""
    return gather(run.moment_changes(layer) for run in runs for layer in LAYERS)


def _change(moment: str, layer: int, series: str, rows: pd.DataFrame) -> float:
    return typical(rows, series=series, lr=VGG_RATE, layer=layer, quantity=f"{moment}_change")


def _change_ratio(moment: str, layer: int, above: str, below: str, rows: pd.DataFrame) -> float:
    return compared(lambda series: _change(moment, layer, series, rows), above, below)


def _drift_ratio(moment: str, layer: int, rows: pd.DataFrame) -> float:
    def drift(series: str) -> float:
        values = curve(rows, series=series, lr=VGG_RATE, layer=layer, quantity=f"{moment}_drift")
        return float(values.abs().median()) if len(values) else float("nan")

    return compared(drift, "noisy_batch", "standard")


def _growth(moment: str, layer: int, rows: pd.DataFrame) -> float:
    change = partial(_change, moment, layer, "standard")
    return ratio(within(0.5, 1.0, VGG_RATE, change)(rows), within(0.0, 0.5, VGG_RATE, change)(rows))


def _spacing(rows: pd.DataFrame) -> float:
    steps = curve(rows, series="noisy_batch", lr=VGG_RATE, layer=LAYERS[0], quantity="mean_change").index
    return float(np.median(np.diff(steps))) if len(steps) > 1 else float("nan")


CLAIMS = [
    *(
        Claim(
            name=f"noisy_moves_{moment}_layer_{layer}",
            statement=f"Noisy BatchNorm changes the {moment} of layer {layer} far more than the standard network",
            statistic=f"median over snapshots of the change of the unit's {moment}, noisy / standard",
            compute=partial(_change_ratio, moment, layer, "noisy_batch", "standard"),
            above=3.0,
            reasons=[
                Claim(
                    statement="The standard network's changes grow as it trains",
                    statistic=f"median change of standard's {moment}, over the second half of the steps / the first",
                    compute=partial(_growth, moment, layer),
                    above=1.0,
                )
            ],
            parts=over_parts(VGG_RATE, partial(_change_ratio, moment, layer, "noisy_batch", "standard")),
            evidence=each("the change itself", partial(_change, moment, layer), SERIES),
        )
        for moment in ("mean", "variance")
        for layer in LAYERS
    ),
    *(
        Claim(
            name=f"noisy_drifts_{moment}_layer_{layer}",
            statement=f"With noisy BatchNorm the {moment} of layer {layer} is far further from where it began",
            statistic=f"median over snapshots of the unit's |{moment} - {moment} at step 0|, noisy / standard",
            compute=partial(_drift_ratio, moment, layer),
            above=3.0,
            parts=over_parts(VGG_RATE, partial(_drift_ratio, moment, layer)),
        )
        for moment in ("mean", "variance")
        for layer in LAYERS
    ),
    *(
        Claim(
            name=f"standard_moves_{moment}_layer_{layer}",
            statement=f"Finding on the plotted curves: the {moment} of layer {layer} changes less with BatchNorm",
            statistic=f"median over snapshots of the change of the unit's {moment}, standard / BatchNorm",
            compute=partial(_change_ratio, moment, layer, "standard", "batch"),
            above=1.0,
        )
        for moment in ("mean", "variance")
        for layer in LAYERS
    ),
    Claim(
        name="spacing_of_snapshots",
        statement="Finding on the plotted curves: changes span many steps, not successive ones (caption)",
        statistic="median number of steps between the snapshots that are compared (of ours: between our measurements)",
        compute=_spacing,
        above=1.0,
    ),
]


def draw(rows: pd.DataFrame, original: pd.DataFrame | None) -> Figure:
    """Draw the figure from its table; ``original`` adds the paper's own curves, faintly."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(12, 7.5), layout="constrained")
        for line, layer in enumerate(LAYERS):
            for place, (quantity, title) in enumerate(TITLES.items(), start=1):
                axes = figure.add_subplot(len(LAYERS), len(TITLES), line * len(TITLES) + place)
                log = quantity.endswith("change")
                curves(axes, rows, original, SERIES, (VGG_RATE,), quantity, log=log, layer=layer)
                axes.set_title(f"layer {layer}: {title}")
                if (line, place) == (0, 1):
                    axes.legend(fontsize="x-small")
                    note_paper(axes, original)
        return figure
