"""Fig. 4: with BatchNorm the VGG's loss, gradients and smoothness vary less along the gradient."""

from collections.abc import Sequence
from functools import partial

import pandas as pd
from matplotlib.figure import Figure

from figures.landscapes import (
    beta_in_plateaus,
    draw_landscape,
    landscape_rows,
    smoother,
    typical_beta_ratio,
    width_ratio,
)
from figures.statistics import VGG_RATE, each, until_fitted
from normscape.claims import Claim
from normscape.tables import FinishedRun

SERIES = ("standard", "batch")

CLAIMS = [
    *smoother("VGG", "batch", "BatchNorm"),
    Claim(
        name="vgg_two_orders_of_magnitude",
        statement="The VGG's gradient predictiveness differs by close to two orders of magnitude",
        statistic="median over steps of the gradient difference's width over step sizes, standard / BatchNorm",
        compute=partial(width_ratio, "gradient_difference", "standard", "batch", VGG_RATE),
        above=50.0,
    ),
    Claim(
        name="vgg_median_beta_equal",
        statement="Finding on the plotted curves: the VGGs' median effective beta is equal",
        statistic="median over steps of effective beta, standard / BatchNorm",
        compute=partial(typical_beta_ratio, "standard", "batch", VGG_RATE),
        above=0.9,
        below=1.1,
        parts=until_fitted("batch", VGG_RATE, partial(typical_beta_ratio, "standard", "batch", VGG_RATE)),
        note="Effective beta is 2 / lr if the gradient changes by its own length over the smallest step, lr / 2.",
        evidence=each("the median in units of 2 / lr", partial(beta_in_plateaus, VGG_RATE), SERIES),
    ),
]


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the rows that the figure and its claims are made from."""
    return landscape_rows(runs)


def draw(rows: pd.DataFrame, original: pd.DataFrame | None) -> Figure:
    """Draw the figure from its table; ``original`` adds the paper's own curves, faintly."""
    return draw_landscape("VGG", rows, original, SERIES, log=("loss_landscape",))
