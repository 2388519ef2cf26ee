"""Fig. 9: distributions of the deep linear net's activations with BatchNorm."""

from collections.abc import Sequence

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from normscape.drawing.panels import RIDGES, note, ridges
from normscape.drawing.style import STYLE, short_label
from normscape.evidence.claims import Claim
from normscape.evidence.figure import Shown
from normscape.evidence.finished import FinishedRun, first_seed
from normscape.evidence.table import gather

LAYERS = (1, 11, 24)

CLAIMS: list[Claim] = []
"""The paper shows these distributions without a claim of their own."""


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the rows that the figure is made from."""
    drawn = [run for run in runs if run.config.seed == first_seed(runs)]
    return gather(run.quantiles(layer, levels=50, snapshots=16) for run in drawn for layer in LAYERS)


def draw(shown: Shown) -> Figure:
    """Draw the figure from its table; the paper's own distributions are pictures, not curves."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7, 3.8), layout="constrained")
        for place, layer in enumerate(LAYERS, start=1):
            axes = figure.add_subplot(1, len(LAYERS), place)
            ridges(axes, shown.rows, layer, "batch")
            axes.set_title(f"DLN, layer {layer}\n{short_label('batch')}")
            axes.set_ylabel("step" if place == 1 else "")
            axes.tick_params(labelleft=place == 1)
        note(figure, RIDGES)
        return figure
