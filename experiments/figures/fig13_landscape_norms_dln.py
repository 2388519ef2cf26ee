"""Fig. 13: every Lp norm smooths the deep linear net's landscape as BatchNorm does."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from figures.landscapes import QUANTITIES, draw_landscape, landscape_rows, like_batch_norm, smoother
from figures.statistics import FAMILY, LP_NORMS
from normscape.tables import FinishedRun

CLAIMS = [
    *(claim for norm in LP_NORMS for claim in smoother("DLN", norm, f"The {norm} norm")),
    *(claim for norm in LP_NORMS for claim in like_batch_norm("DLN", norm)),
]


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the rows that the figure and its claims are made from."""
    return landscape_rows(runs)


def draw(rows: pd.DataFrame, original: pd.DataFrame | None) -> Figure:
    """Draw the figure from its table; ``original`` adds the paper's own curves, faintly, where there are some."""
    return draw_landscape("DLN", rows, original, FAMILY, log=tuple(QUANTITIES), training=True)
