"""Fig. 13: every Lp norm smooths the deep linear net's landscape as BatchNorm does."""

from matplotlib.figure import Figure

from normscape.drawing.landscapes import TITLES, draw_landscape
from normscape.evidence.comparing import ALL_NORMS, LP_NORMS
from normscape.evidence.figure import Shown
from normscape.evidence.smoothness import landscape_rows, like_batch_norm, smoother

CLAIMS = [
    *(claim for norm in LP_NORMS for claim in smoother("dln", norm, f"The {norm} norm")),
    *(claim for norm in LP_NORMS for claim in like_batch_norm("dln", norm)),
]

table = landscape_rows


def draw(shown: Shown) -> Figure:
    """Draw the figure from its table, with the paper's own curves, faintly, where there are some and they are given."""
    return draw_landscape(shown, ALL_NORMS, log=tuple(TITLES), training=True)
