"""Fig. 8: with noisy BatchNorm the moments of activations change far more than in the standard network."""

from collections.abc import Sequence

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from normscape.drawing.panels import curves, note, note_paper, seeds_in_words
from normscape.drawing.style import STYLE
from normscape.evidence.claims import Claim
from normscape.evidence.comparing import each, over_parts
from normscape.evidence.figure import Shown
from normscape.evidence.finished import FinishedRun
from normscape.evidence.measures import Median, MedianQuotient, MedianSize
from normscape.evidence.parts import FIRST_HALF, LATE
from normscape.evidence.statistics import Change, Of, Ratio
from normscape.evidence.table import gather

LAYERS = (2, 9, 13)
SERIES = ("standard", "batch", "noisy_batch")
TITLES = {
    "unit_mean_change": "|change of mean|",
    "unit_variance_change": "|change of variance|",
    "unit_mean_drift": "mean since step 0",
    "unit_variance_drift": "variance since step 0",
}
NOISE = (
    "after the noise a mean is beta + mu and a deviation about sigma |gamma|, with mu and sigma drawn anew for each "
    "unit and step, so that they change by a fixed amount; the standard network's moments have no scale of their own, "
    "so absolute changes compare two units of measure."
)
FIXED = (
    "BatchNorm's mean and variance over the batch are beta and gamma squared, so they change only as fast as these two "
    "parameters are trained."
)


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the rows that the figure and its claims are made from: of the drawn unit, and over all units."""
    parts = [(run.moments_of_unit(layer), run.moment_movements(layer)) for run in runs for layer in LAYERS]
    return gather([rows for pair in parts for rows in pair])


def _noisy_moves(moment: str, layer: int) -> Claim:
    change = Median(f"{moment}_change", layer)
    ratio = Ratio(change, "noisy_batch", "standard")
    return Claim(
        name=f"noisy_moves_{moment}_layer_{layer}",
        statement=f"Noisy BatchNorm changes the {moment} of layer {layer} far more than the standard network",
        statistic=ratio,
        above=3.0,
        construction=NOISE,
        reasons=[
            Claim(
                statement="The standard network's changes grow as it trains",
                statistic=Change(Of(change, "standard"), LATE, FIRST_HALF),
                above=1.0,
            )
        ],
        parts=[
            *over_parts(ratio),
            Ratio(Median(f"relative_{moment}_change", layer), "noisy_batch", "standard"),
            Ratio(Median(f"unit_{moment}_change", layer), "noisy_batch", "standard"),
        ],
        evidence=[*each(change, SERIES), *each(Median(f"relative_{moment}_noise", layer), SERIES)],
    )


def _noisy_drifts(moment: str, layer: int) -> Claim:
    ratio = Ratio(MedianSize(f"{moment}_drift", layer), "noisy_batch", "standard")
    return Claim(
        name=f"noisy_drifts_{moment}_layer_{layer}",
        statement=f"With noisy BatchNorm the {moment} of layer {layer} stays much further from its initial value",
        statistic=ratio,
        above=3.0,
        construction=NOISE,
        parts=[
            *over_parts(ratio),
            Ratio(MedianSize(f"relative_{moment}_drift", layer), "noisy_batch", "standard"),
            Ratio(MedianSize(f"unit_{moment}_drift", layer), "noisy_batch", "standard"),
        ],
    )


def _standard_moves(moment: str, layer: int) -> Claim:
    over_floor = MedianQuotient(f"relative_{moment}_change", layer, divisor=f"relative_{moment}_noise")
    return Claim(
        name=f"standard_moves_{moment}_layer_{layer}",
        statement=f"The {moment} of layer {layer} changes less with BatchNorm",
        statistic=Ratio(Median(f"{moment}_change", layer), "standard", "batch"),
        origin="curves",
        above=1.0,
        construction=FIXED,
        parts=[
            Ratio(Median(f"relative_{moment}_change", layer), "standard", "batch"),
            Ratio(Median(f"unit_{moment}_change", layer), "standard", "batch"),
        ],
        resolved=each(over_floor, ("standard", "batch")),
    )


CLAIMS = [
    kind(moment, layer)
    for kind in (_noisy_moves, _noisy_drifts, _standard_moves)
    for moment in ("mean", "variance")
    for layer in LAYERS
]


def draw(shown: Shown) -> Figure:
    """Draw the figure from its table, with the paper's own curves, faintly, where they are given."""
    rows, original = shown.rows, shown.original
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(12, 7.7), layout="constrained")
        for line, layer in enumerate(LAYERS):
            for place, (quantity, title) in enumerate(TITLES.items(), start=1):
                axes = figure.add_subplot(len(LAYERS), len(TITLES), line * len(TITLES) + place)
                log = quantity.endswith("change")
                curves(axes, rows, original, SERIES, quantity, log=log, layer=layer)
                axes.set_title(f"layer {layer}: {title}")
                if (line, place) == (0, 1):
                    names = axes.get_legend_handles_labels()
                    note_paper(axes, original)
        figure.legend(*names, loc="outside upper center", ncols=len(SERIES))
        unit = "one unit of each layer, the same in all networks (claims are of all units)"
        note(figure, f"{unit}; change: since the snapshot before, zeros leave the axis; {seeds_in_words(rows)}")
        return figure
