"""Fig. 5: normalising by any Lp norm trains like BatchNorm or better; a: VGG, b: deep linear net."""

from collections.abc import Sequence

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from normscape.drawing.panels import accuracies, curves, legend, note, note_paper, seeds_in_words
from normscape.drawing.style import STYLE
from normscape.evidence.claims import Claim
from normscape.evidence.comparing import ALL_NORMS, AS, FINAL_LOSS, LP_NORMS, TRAINED_TO, each, over_parts
from normscape.evidence.figure import Shown
from normscape.evidence.finished import FinishedRun
from normscape.evidence.marks import Final, StepsTo, StepsToCount
from normscape.evidence.measures import Median
from normscape.evidence.parts import Share
from normscape.evidence.statistics import Difference, During, Of, Ratio, Statistic
from normscape.evidence.table import gather, select
from santurkar2018.plateaus import plateau_rows

VGG, DLN = {"net": "vgg"}, {"net": "dln"}
TO_80 = StepsTo(level=0.8)
OUTSET = Share("over the first 5 % of the steps", 0.0, 0.05)
L1_ENDS = (
    "In the paper l1 ends at 97, the plateau below BatchNorm's. None of some 24 variants of the setup, over 3 to 16 "
    "seeds each, ended there in an earlier exploration, whose runs are not kept: centring and its order, a learned or "
    "a fixed scale, biases, a norm after the last layer, eps, gains, Glorot's normal form. It is probably one run's "
    "rare escape."
)
"""What was tried outside of this project's own runs."""


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the rows that the figure and its claims are made from."""
    linear = [plateau_rows(run) for run in runs if run.facts["net"] == "dln"]
    return gather([*(run.training_rows() for run in runs), *linear])


def _losses_over_parts(norm: str) -> list[Statistic]:
    return over_parts(Ratio(Median("train_loss"), norm, "batch"))


def _escape(count: int, series: str) -> Ratio:
    """Return how many times as many steps as with BatchNorm it takes to fit so many directions."""
    return Ratio(StepsToCount("directions_fitted", count=count), series, "batch")


CLAIMS = [
    *(
        Claim(
            name=f"vgg_{norm}_trains_like_batch",
            statement=f"With the {norm} norm, the VGG trains as well as with BatchNorm or better",
            statistic=Ratio(TO_80, norm, "batch"),
            about=VGG,
            below=AS,
            reasons=[
                Claim(
                    statement="It takes longer, but ends less than one percentage point below BatchNorm",
                    statistic=Difference(TRAINED_TO, "batch", norm),
                    below=1.0,
                )
            ],
            evidence=[Ratio(StepsTo(level=0.5), norm, "batch"), *each(TRAINED_TO, (norm, "batch"))],
        )
        for norm in LP_NORMS
    ),
    *(
        Claim(
            name=f"vgg_{norm}_beats_standard",
            statement=f"The VGG trains faster with the {norm} norm than without normalisation",
            statistic=Ratio(TO_80, "standard", norm),
            about=VGG,
            above=1.0,
        )
        for norm in LP_NORMS
    ),
    *(
        Claim(
            name=f"dln_{norm}_trains_like_batch",
            statement=f"With the {norm} norm, the DLN trains as well as with BatchNorm or better",
            statistic=Ratio(FINAL_LOSS, norm, "batch"),
            about=DLN,
            below=AS,
            evidence=_losses_over_parts(norm),
        )
        for norm in LP_NORMS
    ),
    *(
        Claim(
            name=f"dln_{norm}_beats_standard",
            statement=f"The DLN trains better with the {norm} norm than without normalisation",
            statistic=Ratio(FINAL_LOSS, "standard", norm),
            about=DLN,
            above=1.0,
        )
        for norm in LP_NORMS
    ),
    Claim(
        name="dln_l1_beats_batch",
        statement="The l1 norm beats BatchNorm on the DLN",
        statistic=Ratio(FINAL_LOSS, "l1", "batch"),
        about=DLN,
        below=1.0,
        reasons=[
            Claim(
                statement="Here the two final losses agree within 5 %",
                statistic=Ratio(FINAL_LOSS, "l1", "batch"),
                above=0.95,
                below=1.05,
            )
        ],
        note=L1_ENDS,
        evidence=_losses_over_parts("l1"),
    ),
    Claim(
        name="dln_l1_beats_batch_early",
        statement="Over the first 500 of 10 000 steps the l1 norm is ahead of BatchNorm on the DLN",
        statistic=During(Ratio(Median("train_loss"), "l1", "batch"), OUTSET),
        origin="curves",
        about=DLN,
        below=1.0,
    ),
    *(
        Claim(
            name=f"dln_{series}_ends_on_a_plateau",
            statement=f"The DLN's loss with {series} ends on a plateau, the least loss of a map of some rank",
            statistic=Of(Final("loss_over_plateau", points=5), series),
            origin="curves",
            about=DLN,
            above=0.95,
            below=1.05,
            evidence=[Of(Final("directions_fitted", points=1), series)],
        )
        for series in ALL_NORMS
    ),
    Claim(
        name="dln_l1_ends_lower_than_batch",
        statement="On the DLN l1 ends on a lower plateau than BatchNorm",
        statistic=Difference(Final("directions_fitted", points=1), "l1", "batch"),
        origin="curves",
        about=DLN,
        above=0.5,
        note=L1_ENDS,
    ),
    Claim(
        name="dln_batch_escapes_sooner",
        statement="With BatchNorm the DLN fits the fourth direction of its target sooner",
        statistic=_escape(4, "standard"),
        origin="ours",
        about=DLN,
        above=1.0,
        parts=[_escape(count, "standard") for count in (2, 3)],
        evidence=[
            *(_escape(4, norm) for norm in LP_NORMS),
            *(Of(StepsToCount("directions_fitted", count=count), s) for count in (2, 3, 4, 5, 6) for s in ALL_NORMS),
        ],
    ),
]


def draw(shown: Shown) -> Figure:
    """Draw the figure from its table, with the paper's own curves, faintly, where they are given."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 3.8), layout="constrained")
        vgg, dln = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2)
        for axes, net in ((vgg, "vgg"), (dln, "dln")):
            mine = select(shown.rows, net=net)
            theirs = None if shown.original is None else select(shown.original, net=net)
            if net == "vgg":
                accuracies(axes, mine, theirs, ALL_NORMS)
            else:
                curves(axes, mine, theirs, ALL_NORMS, "train_loss", log=True)
            note_paper(axes, theirs)
        vgg.set_title("VGG: training accuracy (mini-batch)")
        dln.set(title="Deep linear net: training loss", ylabel="summed squared error")
        legend(vgg, fontsize="small", loc="lower right")
        note(figure, seeds_in_words(shown.rows))
        return figure
