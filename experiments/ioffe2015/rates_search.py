"""The baseline's rate: what a small search finds, so that BatchNorm is not compared with a badly tuned network."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from ioffe2015.shared import BASELINE, NETWORKS
from normscape.drawing.panels import note, rates_of
from normscape.drawing.style import STYLE
from normscape.evidence.claims import Claim
from normscape.evidence.curves import Curves, Use
from normscape.evidence.figure import Shown
from normscape.evidence.finished import FinishedRun
from normscape.evidence.statistics import Statistic
from normscape.evidence.table import gather, select

TAKEN = 0.1
"""The rate that the other figures use."""
SERIES_LOOKS = NETWORKS


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the rows that the figure and its claims are made from."""
    return gather(run.rows("test_accuracy") for run in runs)


@dataclass(frozen=True)
class Lead(Statistic):
    """The best test accuracy at one rate minus the best at any other rate, in percentage points."""

    rate: float

    def of(self, curves: Curves) -> float:
        """Compute it."""
        best = {key.lr: 100 * float(c.values.max()) for key, c in curves.of.items() if key.quantity == "test_accuracy"}
        others = [accuracy for rate, accuracy in best.items() if rate != self.rate]
        return best[self.rate] - max(others) if self.rate in best and others else math.nan

    @property
    def words(self) -> str:
        """What it is."""
        return f"best test accuracy at lr {self.rate:g} minus the best at any other rate, percentage points"

    def uses(self) -> Iterator[Use]:
        """Yield the curves that it needs."""
        yield Use(BASELINE, "test_accuracy", None, every_rate=True)


CLAIMS = [
    Claim(
        name="baseline_rate_is_best",
        statement="The baseline's rate is the best of the search, to within one percentage point",
        statistic=Lead(TAKEN),
        above=-1.0,
        origin="ours",
    )
]


def draw(shown: Shown) -> Figure:
    """Draw the best test accuracy against the rate, a point per seed."""
    rows = select(shown.rows, series=BASELINE)
    best = rows.groupby(["lr", "seed"])["value"].max().reset_index()
    middle = best.groupby("lr")["value"].median()
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 3.2), layout="constrained")
        axes = figure.add_subplot()
        color = NETWORKS[BASELINE][0]
        axes.plot(middle.index, middle, color=color)
        axes.plot(best["lr"], best["value"], "o", color=color, markersize=4)
        axes.axvline(TAKEN, color="0.5", linestyle=":", linewidth=0.9)
        axes.set_xscale("log", base=2)
        axes.set_xticks(rates_of(rows), [f"{rate:g}" for rate in rates_of(rows)])
        axes.minorticks_off()
        axes.set(xlabel="initial learning rate", title="Baseline: best test accuracy")
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
        note(figure, "a point per seed, line: median; dotted: the rate taken")
        return figure
