"""Fig. 4: with BatchNorm the VGG's loss, gradients and smoothness vary less along the gradient."""

from matplotlib.figure import Figure

from normscape.drawing.landscapes import draw_landscape
from normscape.evidence.claims import Claim
from normscape.evidence.comparing import at_equal_accuracy, each, parts_of_run
from normscape.evidence.figure import Shown
from normscape.evidence.measures import Median, MedianTimesHalfRate, MedianWidth
from normscape.evidence.smoothness import AS_PLOTTED, landscape_rows, smoother
from normscape.evidence.statistics import Ratio

SERIES = ("standard", "batch")
TYPICAL_BETA = Ratio(Median(AS_PLOTTED["effective_beta"]), "standard", "batch")
WIDTH = Ratio(MedianWidth(AS_PLOTTED["gradient_difference"]), "standard", "batch")

CLAIMS = [
    *smoother("vgg", "batch", "BatchNorm"),
    Claim(
        name="vgg_two_orders_of_magnitude",
        statement="BatchNorm improves the VGG's gradient predictiveness by close to two orders of magnitude",
        statistic=at_equal_accuracy("vgg", WIDTH),
        above=50.0,
        parts=parts_of_run("vgg", WIDTH),
    ),
    Claim(
        name="vgg_median_beta_equal",
        statement="The VGGs with and without BatchNorm have the same median effective beta",
        statistic=at_equal_accuracy("vgg", TYPICAL_BETA),
        origin="curves",
        above=0.9,
        below=1.1,
        parts=parts_of_run("vgg", TYPICAL_BETA),
        note="Effective beta equals 2 / lr when the gradient changes by its own norm over the smallest step, lr / 2.",
        evidence=each(MedianTimesHalfRate(AS_PLOTTED["effective_beta"]), SERIES),
    ),
]

table = landscape_rows


def draw(shown: Shown) -> Figure:
    """Draw the figure from its table, with the paper's own curves, faintly, where they are given."""
    return draw_landscape(shown, SERIES, log=("loss_landscape",))
