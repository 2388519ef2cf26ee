"""Fig. 10: with BatchNorm the deep linear net's loss, gradients and smoothness vary less along the gradient."""

from collections.abc import Sequence
from functools import partial

import pandas as pd
from matplotlib.figure import Figure

from figures.landscapes import QUANTITIES, beta_in_plateaus, draw_landscape, landscape_rows, smoother
from figures.statistics import DLN_RATE
from normscape.claims import Claim
from normscape.tables import FinishedRun

SERIES = ("standard", "batch")


CLAIMS = [
    *smoother("DLN", "batch", "BatchNorm"),
    Claim(
        name="dln_beta_at_the_edge_of_stability",
        statement="Finding on the plotted curves: the DLN with BatchNorm trains where beta is 2 / lr",
        statistic="median over steps of BatchNorm's effective beta, in units of 2 / lr",
        compute=partial(beta_in_plateaus, DLN_RATE, "batch"),
        above=0.5,
        below=2.0,
    ),
]


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the rows that the figure and its claims are made from."""
    return landscape_rows(runs)


def draw(rows: pd.DataFrame, original: pd.DataFrame | None) -> Figure:
    """Draw the figure from its table; ``original`` adds the paper's own curves, faintly."""
    return draw_landscape("DLN", rows, original, SERIES, log=tuple(QUANTITIES))
