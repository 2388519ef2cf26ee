"""Fig. 6: Lp norms shift the distribution of activations more than the standard network, and train better."""

from collections.abc import Sequence

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from figures.movements import movement_claim
from figures.panels import first_seed, gather, ridges, training_rows
from figures.statistics import FAMILY, LP_NORMS
from normscape.plots import STYLE, short_label
from normscape.tables import FinishedRun

LAYER = 11


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the rows that the figure and its claims are made from."""
    drawn = [run for run in runs if run.config.seed == first_seed(runs)]
    parts = [run.quantiles(LAYER, levels=50, snapshots=16) for run in drawn]
    return gather([*map(training_rows, runs), *parts, *(run.distribution_changes(LAYER) for run in runs)])


CLAIMS = [
    movement_claim(
        f"{norm}_shifts_more_than_standard",
        f"The {norm} norm shifts distributions more than the standard network does",
        LAYER,
        norm,
        above=1.0,
    )
    for norm in LP_NORMS
]


def draw(rows: pd.DataFrame, original: pd.DataFrame | None) -> Figure:
    """Draw the figure from its table; the paper's own distributions are pictures, not curves."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, 3.8), layout="constrained")
        for place, series in enumerate(FAMILY, start=1):
            axes = figure.add_subplot(1, len(FAMILY), place)
            ridges(axes, rows, LAYER, series)
            axes.set_title(f"layer {LAYER}\n{short_label(series)}")
            axes.set_ylabel("step" if place == 1 else "")
            axes.tick_params(labelleft=place == 1)
        return figure
