"""Every normalisation, and two nonlinearities that do without: which of them smooth, and train fast."""

from dataclasses import replace

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
"""The rank correlation from which one thing is taken to follow another, over nine series."""
WITHOUT_HIDDEN_LAYER = ("instance", "whitening")
"""Series whose VGG has no hidden linear layer (configs/run): their ratios to others are of two differences."""
HEADLESS = (
    "the VGG with InstanceNorm and that with whitening have no hidden linear layer, whose values these cannot "
    "normalise. The standard network and that with BatchNorm, with which they are compared, have one: part of a "
    "difference may be due to it."
)
RANKED = tuple(series for series in OTHERS if series not in WITHOUT_HIDDEN_LAYER)

table = compared_rows


def _follows(
    name: str, statement: str, column: int, *, above: float | None = None, below: float | None = None
) -> Claim:
    """Return a claim on the order of the series: by a column of the comparison, and by steps to half of the images."""
    measure = COLUMNS[column].measure
    by = tuple(at_equal_accuracy("vgg", Ratio(measure, series, "standard")) for series in RANKED)
    return Claim(
        name=name,
        statement=statement,
        statistic=RankCorrelationOverSeries(
            by, tuple(Of(TO_HALF, series) for series in RANKED), measure.name, TO_HALF.words
        ),
        above=above,
        below=below,
        origin="ours",
    )


def _compared(series: str) -> list[Claim]:
    """Return the claims on a series; of one without a hidden layer they say so, whatever the verdict."""
    claims = compared_claims(series)
    if series not in WITHOUT_HIDDEN_LAYER:
        return claims
    return [replace(claim, construction=f"{claim.construction} {HEADLESS}".strip()) for claim in claims]


CLAIMS = [
    *(claim for series in OTHERS for claim in _compared(series)),
    _follows("smoother_is_faster", "The narrower the band of the loss, the faster a network trains", 3, above=RELATED),
    _follows(
        "predictable_is_faster", "The more predictive the gradient, the faster a network trains", 4, above=RELATED
    ),
    _follows("lipschitz_is_faster", "The more Lipschitz the loss, the faster a network trains", 5, above=RELATED),
    _follows("smaller_beta_is_faster", "The smaller effective beta, the faster a network trains", 6, above=RELATED),
    _follows("less_shift_is_faster", "The smaller the covariate shift, the faster a network trains", 7, above=RELATED),
]


def draw(shown: Shown) -> Figure:
    """Draw the figure from its table."""
    with mpl.rc_context(STYLE):
        return draw_side_by_side(shown, SERIES)


def page(shown: Shown, verdicts: tuple[Verdict, ...]) -> list[str]:
    """Return the numbers of the picture as a table."""
    return [
        "# Every normalisation side by side",
        *table_of(shown.rows, SERIES),
        "",
        f"{HEADLESS[0].upper()}{HEADLESS[1:]}",
    ]
