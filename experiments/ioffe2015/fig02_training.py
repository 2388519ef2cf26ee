"""Fig. 2: the networks over training: with BatchNorm they learn faster, at rates of the baseline and far above it."""

from collections.abc import Sequence

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from ioffe2015.shared import BASELINE, NETWORKS, accuracy_curves
from normscape.drawing.panels import ACCURACIES, note, seeds_in_words
from normscape.drawing.style import STYLE
from normscape.evidence.claims import Claim
from normscape.evidence.comparing import CHANCE
from normscape.evidence.figure import Shown
from normscape.evidence.finished import FinishedRun
from normscape.evidence.marks import StepsTo
from normscape.evidence.measures import Largest
from normscape.evidence.statistics import Of, Ratio
from normscape.evidence.table import gather, select

SERIES = tuple(name for name in NETWORKS if name != "whitening")
FAST = ("BN-baseline", "BN-x5", "BN-x30")
SERIES_LOOKS = NETWORKS
DROPOUT = "the baseline's mini-batch accuracy is that of a network with dropout, without which an accuracy is higher."


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the rows that the figure and its claims are made from."""
    return gather(run.rows("train_accuracy", "test_accuracy") for run in runs)


CLAIMS = [
    *(
        Claim(
            name=f"{series}_trains_faster",
            statement=f"{NETWORKS[series][2]} reaches 60 % training accuracy in fewer steps than the baseline",
            statistic=Ratio(StepsTo(level=0.6), BASELINE, series),
            above=1.0,
            construction=DROPOUT if series != "BN-baseline" else "",
        )
        for series in FAST
    ),
    Claim(
        name="sigmoid_stays_at_chance",
        statement="Without BatchNorm the network with sigmoids stays at chance, an accuracy of 0.1",
        statistic=Of(Largest("test_accuracy"), "sigmoid"),
        below=CHANCE + 0.02,
    ),
]


def draw(shown: Shown) -> Figure:
    """Draw the figure from its table."""
    rows = shown.rows
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 4.2), layout="constrained")
        test, train = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2)
        for axes, quantity in ((test, "test_accuracy"), (train, "train_accuracy")):
            accuracy_curves(axes, rows, SERIES, quantity)
            axes.set_title(ACCURACIES[quantity])
        best = select(rows, series=BASELINE, quantity="test_accuracy").groupby("seed")["value"].max().median()
        test.axhline(best, color=NETWORKS[BASELINE][0], linestyle=":", linewidth=0.8)
        figure.legend(*test.get_legend_handles_labels(), loc="outside upper center", ncols=6, fontsize="small")
        note(figure, f"{seeds_in_words(rows)}; dotted: the baseline's best test accuracy, median over seeds")
        return figure
