"""Every normalisation, and two nonlinearities that do without: which of them smooth, and train fast."""

import matplotlib as mpl
from matplotlib.figure import Figure

from beyond.compared import COLUMNS, compared_claims, compared_rows
from beyond.correlation import RankCorrelationOverSeries
from beyond.side_by_side import draw_side_by_side, table_of
from beyond.training import TO_HALF
from normscape.drawing.style import STYLE
from normscape.evidence.claims import Claim, Verdict
from normscape.evidence.comparing import at_equal_accuracy
from normscape.evidence.figure import Shown
from normscape.evidence.statistics import Of, Ratio

SERIES = (
    *("standard", "batch", "l1", "l2", "linf", "whitening"),
    *("layer", "group", "instance", "weight", "elu", "selu"),
)
OTHERS = SERIES[1:]
RELATED = 0.5
"""The rank correlation from which one thing is taken to follow another, over eleven series."""

table = compared_rows


def _follows(
    name: str, statement: str, column: int, *, above: float | None = None, below: float | None = None
) -> Claim:
    """Return a claim on the order of the series: by a column of the comparison, and by steps to half of the images."""
    measure = COLUMNS[column].measure
    by = tuple(at_equal_accuracy("vgg", Ratio(measure, series, "standard")) for series in OTHERS)
    return Claim(
        name=name,
        statement=statement,
        statistic=RankCorrelationOverSeries(
            by, tuple(Of(TO_HALF, series) for series in OTHERS), measure.name, TO_HALF.words
        ),
        above=above,
        below=below,
        origin="ours",
    )


CLAIMS = [
    *(claim for series in OTHERS for claim in compared_claims(series)),
    _follows("smoother_is_faster", "The narrower the band of the loss, the faster a network trains", 3, above=RELATED),
    _follows(
        "predictable_is_faster", "The more predictive the gradient, the faster a network trains", 4, above=RELATED
    ),
    _follows("less_shift_is_faster", "The smaller the covariate shift, the faster a network trains", 7, above=RELATED),
]


def draw(shown: Shown) -> Figure:
    """Draw the figure from its table."""
    with mpl.rc_context(STYLE):
        return draw_side_by_side(shown, SERIES)


def page(shown: Shown, verdicts: tuple[Verdict, ...]) -> list[str]:
    """Return the numbers of the picture as a table."""
    return ["# Every normalisation side by side", *table_of(shown.rows, SERIES)]
