"""Fig. 12: every Lp norm smooths the VGG's landscape as BatchNorm does."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from figures.landscapes import draw_landscape, landscape_rows, like_batch_norm, smoother
from figures.statistics import FAMILY, LP_NORMS
from normscape.tables import FinishedRun

CLAIMS = [
    *(claim for norm in LP_NORMS for claim in smoother("VGG", norm, f"The {norm} norm")),
    *(claim for norm in LP_NORMS for claim in like_batch_norm("VGG", norm)),
]


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the rows that the figure and its claims are made from."""
    return landscape_rows(runs)


def draw(rows: pd.DataFrame, original: pd.DataFrame | None) -> Figure:
    """Draw the figure from its table; ``original`` adds the paper's own curves, faintly, where there are some."""
    return draw_landscape("VGG", rows, original, FAMILY, log=("loss_landscape",), training=True)
