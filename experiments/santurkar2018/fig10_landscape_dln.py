"""Fig. 10: with BatchNorm the deep linear net's loss, gradients and smoothness vary less along the gradient."""

from matplotlib.figure import Figure

from normscape.drawing.landscapes import TITLES, draw_landscape
from normscape.evidence.claims import Claim
from normscape.evidence.figure import Shown
from normscape.evidence.measures import MedianTimesHalfRate
from normscape.evidence.smoothness import AS_PLOTTED, landscape_rows, smoother
from normscape.evidence.statistics import Of

SERIES = ("standard", "batch")

CLAIMS = [
    *smoother("dln", "batch", "BatchNorm"),
    Claim(
        name="dln_beta_at_the_edge_of_stability",
        statement="With BatchNorm, the DLN trains at an effective beta near 2 / lr",
        statistic=Of(MedianTimesHalfRate(AS_PLOTTED["effective_beta"]), "batch"),
        origin="curves",
        above=0.5,
        below=2.0,
    ),
]

table = landscape_rows


def draw(shown: Shown) -> Figure:
    """Draw the figure from its table, with the paper's own curves, faintly, where they are given."""
    return draw_landscape(shown, SERIES, log=tuple(TITLES))
