"""Fig. 13: every Lp norm smooths the deep linear net's landscape as BatchNorm does."""

from collections.abc import Sequence

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from figures.landscapes import QUANTITIES, landscape_panels, landscape_rows, smoother
from figures.panels import DLN_RATE, FAMILY, NORMALISATIONS, curves, gather, training_rows
from normscape.plots import STYLE
from normscape.tables import FinishedRun

CLAIMS = [claim for norm in NORMALISATIONS for claim in smoother("dln", norm, DLN_RATE, f"The {norm} norm")]


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the rows that the figure and its claims are made from."""
    return gather([*map(training_rows, runs), landscape_rows(runs)])


def draw(rows: pd.DataFrame, original: pd.DataFrame | None) -> Figure:
    """Draw the figure from its table; ``original`` adds the paper's own curves, faintly, where there are some."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(12, 3.4), layout="constrained")
        panels = [figure.add_subplot(1, 4, place) for place in (1, 2, 3, 4)]
        curves(panels[0], rows, original, FAMILY, (DLN_RATE,), quantity="train_loss")
        panels[0].set(yscale="log", title="Training loss", ylabel="summed squared error")
        landscape_panels(panels[1:], rows, original, FAMILY, DLN_RATE, log=tuple(QUANTITIES))
        panels[0].legend(fontsize="x-small")
        return figure
