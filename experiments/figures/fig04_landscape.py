"""Fig. 4: with BatchNorm the VGG's loss, gradients and smoothness vary less along the gradient."""

from collections.abc import Sequence
from functools import partial

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from figures.landscapes import landscape_panels, landscape_rows, predictiveness_factor, smoother, typical_beta_ratio
from figures.panels import VGG_RATE
from normscape.claims import Claim
from normscape.plots import STYLE
from normscape.tables import FinishedRun

SERIES = ("standard", "batch")

CLAIMS = [
    *smoother("vgg", "batch", VGG_RATE, "BatchNorm"),
    predictiveness_factor(VGG_RATE, "vgg"),
    Claim(
        name="vgg_median_beta_equal",
        paper_says="Finding on the plotted curves: the VGGs' median effective beta is equal",
        statistic="median over steps of effective beta, standard / batch",
        compute=partial(typical_beta_ratio, "standard", "batch", VGG_RATE),
        above=0.9,
        below=1.1,
    ),
]


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the rows that the figure and its claims are made from."""
    return landscape_rows(runs)


def draw(rows: pd.DataFrame, original: pd.DataFrame | None) -> Figure:
    """Draw the figure from its table; ``original`` adds the paper's own curves, faintly."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, 3.4), layout="constrained")
        panels = [figure.add_subplot(1, 3, place) for place in (1, 2, 3)]
        landscape_panels(panels, rows, original, SERIES, VGG_RATE, log=("loss_landscape",))
        panels[0].legend(fontsize="small")
        return figure
