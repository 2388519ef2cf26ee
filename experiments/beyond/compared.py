"""How normalisations are compared side by side: the rows, the statistics and the claims of one of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from beyond.training import TO_HALF, trains_like_batch
from normscape.errors import UserError
from normscape.evidence.claims import Claim
from normscape.evidence.comparing import LP_NORMS, NETS, TRAINED_TO, at_equal_accuracy, parts_of_run
from normscape.evidence.finished import FinishedRun
from normscape.evidence.marks import Final
from normscape.evidence.measures import Measure, Median, MedianWidth
from normscape.evidence.smoothness import AS_PLOTTED, landscape_rows, smoother
from normscape.evidence.statistics import Of, Ratio, Statistic
from normscape.evidence.table import gather, select
from normscape.evidence.words import network

TESTED = Final("test_accuracy", points=1, percent=True)
SHIFT = Median("ics_relative")


@dataclass(frozen=True)
class Column:
    """What is compared: a measure of each series, or, at equal training accuracy, of each series over standard."""

    title: str
    measure: Measure
    relative: bool = False
    log: bool = True

    @property
    def title_in_line(self) -> str:
        """The title as one line."""
        return self.title.replace("-\n", "-").replace("\n", " ")

    def of(self, series: str) -> Statistic:
        """Return the statistic of a series."""
        if not self.relative:
            return Of(self.measure, series)
        return at_equal_accuracy("vgg", Ratio(self.measure, series, "standard"))


COLUMNS = (
    Column("steps to 50 %\ntraining accuracy", TO_HALF),
    Column("training accuracy\nat the end, %", TRAINED_TO, log=False),
    Column("test accuracy\nat the end, %", TESTED, log=False),
    Column("loss band", MedianWidth("loss_landscape"), relative=True),
    Column("gradient-\ndifference band", MedianWidth(AS_PLOTTED["gradient_difference"]), relative=True),
    Column("Lipschitzness", Median("effective_lipschitz"), relative=True),
    Column(r"$\beta$", Median(AS_PLOTTED["effective_beta"]), relative=True),
    Column(r"shift $\|G-G'\| / \|G\|$", SHIFT, relative=True),
)
"""The first three are absolute; the others are over the standard network's, at equal training accuracy."""


def shift_rows(run: FinishedRun) -> pd.DataFrame:
    """Return at each step the median over layers of ||G - G'|| / ||G||; without the first, whose shift is 0.

    It is relative since the gradients of parametrisations differ in scale: a layer of WeightNorm has that w.r.t. g
    and v (`normscape.norms.WeightNorm`).
    """
    rows = run.rows("ics_l2", "ics_gradient_norm")
    wide = rows[rows["layer"] > 1].pivot(index=["step", "layer"], columns="quantity", values="value")
    if wide.empty:
        raise UserError(f"{run.label}: has one weight layer, before which nothing shifts; expected a network with more")
    relative = (wide["ics_l2"] / wide["ics_gradient_norm"]).groupby("step").median()
    return run.labelled(relative.rename("value").reset_index().assign(quantity="ics_relative"))


def compared_rows(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return training, landscape and relative shift of some runs."""
    tests = [run.rows("test_accuracy") for run in runs]
    return gather([landscape_rows(runs), *tests, *(shift_rows(run) for run in runs)])


def compared_claims(series: str, net: str = "vgg") -> list[Claim]:
    """Return what the paper claims of BatchNorm and its Lp norms, of any series; it is ours to say so."""
    who = network(series)
    ratio = Ratio(SHIFT, series, "standard")
    claims = [
        *(trains_like_batch(net, series) if series != "batch" else trains_like_batch(net, series)[1:]),
        *smoother(net, series, f"The {series} norm" if series in LP_NORMS else who[0].upper() + who[1:]),
        Claim(
            name=f"{net}_{series}_shifts_no_less",
            statement=f"{who[0].upper()}{who[1:]} does not make the {NETS[net]}'s relative covariate shift smaller",
            statistic=at_equal_accuracy(net, ratio),
            above=1.0,
            parts=parts_of_run(net, ratio),
        ),
    ]
    return [replace(claim, origin="ours") for claim in claims]


def series_in(rows: pd.DataFrame, order: Sequence[str]) -> list[str]:
    """Return the series of a table in a given order."""
    return [name for name in order if len(select(rows, series=name))]
