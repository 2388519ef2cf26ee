"""Whether the theorems are right, as derived and as printed, and how often their side conditions hold."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from normscape.drawing.bands import median_over_seeds
from normscape.drawing.panels import legend, note, seeds_in_words
from normscape.drawing.style import STYLE
from normscape.evidence.claims import Claim, Origin
from normscape.evidence.figure import Shown
from normscape.evidence.finished import FinishedRun
from normscape.evidence.measures import Largest, Mean, Measure
from normscape.evidence.parts import ALL_STEPS, Part, Share
from normscape.evidence.statistics import During, Of, Statistic
from normscape.evidence.table import gather, select
from theory.lemma import lemma_rows
from theory.shared import NETS, over_layers

ACROSS_SEEDS = True
"""Its rows of a run depend on that of the next seed (`theory.lemma`): seeds are not added to it one by one."""

SLACKS = {"theorem_4_1_slack": "slack of 4.1 as printed", "theorem_4_2_slack": "size of the slack of 4.2 as printed"}
RESIDUALS = {
    "theorem_4_1_residual": "theorem 4.1",
    "theorem_4_2_residual": "theorem 4.2",
    "observation_4_3_residual": "observation 4.3",
}
HOLDS = {"theorem_4_1_holds": "4.1 as printed", "theorem_4_2_holds": "4.2 as printed"}
CONDITIONS = {
    "theorem_4_2_curved": r"$g^\top H g > 0$",
    "theorem_4_2_aligned": r"$\langle g, \hat y \rangle > 0$",
    "theorem_4_2_order": r"$p^\top H p \leq g^\top H g$",
    "theorem_4_2_norms": "$H$ keeps relative norms (factor 1.25)",
    "theorem_4_2_reading": "4.2 as it is read",
}
LEMMA = {
    "lemma_4_5_positive": r"$\langle W(t), W^* \rangle > 0$",
    "lemma_4_5_positive_other": "the same, $W^*$ of another seed",
    "lemma_4_5_taken": "share of squared distance taken",
}
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
STYLES = {"standard": "-", "batch": ":"}

ROUNDING = {"float64": 1e-9, "float32": 1e-3}
"""Up to which share of its terms a difference counts as rounding of second derivatives; of first ones, float64's."""

AT_FIRST = Share("at the first step", 0.0, 1e-9)

MILD = 0.9
"""The share of units of which a *mild* assumption must hold; the paper names none."""


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the rows that the figure and its claims are made from."""
    parts = []
    for run in runs:
        residuals = [
            name for name in RESIDUALS if name != "observation_4_3_residual" or run.config.series == "standard"
        ]
        rows = run.rows(*residuals, *SLACKS, *HOLDS, *CONDITIONS, "silent_units")
        shares = dict.fromkeys((*HOLDS, *CONDITIONS, "silent_units"), "mean")
        parts.append(
            over_layers(rows, {**dict.fromkeys(residuals, "max"), **dict.fromkeys(SLACKS, "median"), **shares})
        )
    return gather([*parts, lemma_rows(runs)])


def _largest(quantity: str) -> Measure:
    return Largest(f"{quantity}_over_layers")


def _share(quantity: str) -> Measure:
    return Mean(f"{quantity}_over_layers")


@dataclass(frozen=True)
class Check:
    """A claim about each net: its name, what it says, what is measured of which series and when, and the threshold."""

    name: str
    says: str
    measure: Measure
    above: float | None = None
    below: float | None = None
    origin: Origin = "text"
    series: str = "standard"
    within: Part = ALL_STEPS
    note: str = ""

    def of(self, net: str) -> Claim:
        """Return the claim about a net."""
        statistic: Statistic = Of(self.measure, self.series)
        return Claim(
            name=f"{net}_{self.name}",
            statement=f"{NETS[net]}: {self.says}",
            statistic=statistic if self.within is ALL_STEPS else During(statistic, self.within),
            about={"net": net},
            above=self.above,
            below=self.below,
            origin=self.origin,
            note=self.note,
        )


EVERY = 0.9999
EPS = """The theorem has no eps; without it, both sides are equal. With eps in sigma, as BatchNorm has it, yhat is not \
a unit vector times sqrt(m), and terms of the size of eps / var, 1e-5 of the whole or less, decide on the sign."""
GROWTH = """<g, y> is the slope of the loss as a unit's outputs grow: below 0 where growth would still lower the loss, \
which is where weight decay holds a trained network."""


def _checks(net: str) -> Iterator[Check]:
    exact = ROUNDING["float32" if net == "vgg" else "float64"]
    for series, where in (("standard", "an inserted BatchNorm"), ("batch", "its own BatchNorm")):
        for theorem, below in (("4_1", ROUNDING["float64"]), ("4_2", exact)):
            says = f"theorem {theorem.replace('_', '.')} is an equality around {where}, as derived with eps"
            residual = _largest(f"theorem_{theorem}_residual")
            yield Check(f"{theorem}_is_an_equality_{series}", says, residual, below=below, origin="ours", series=series)
    change, end = _largest("observation_4_3_residual"), "for the optimum that training goes to"
    yield Check("4_1_holds", "theorem 4.1 holds as printed, of every unit", _share("theorem_4_1_holds"), EVERY)
    if net != "vgg":  # differences of the size of eps cannot be told from float32's rounding
        holds = _share("theorem_4_2_holds")
        yield Check("4_2_holds", "theorem 4.2 holds as printed, of every unit", holds, EVERY, note=EPS)
    yield Check("4_3_holds", "an inserted BatchNorm changes neither activations nor loss", change, below=1e-9)
    yield Check("4_2_curved", "the loss is convex along g", _share("theorem_4_2_curved"), EVERY, origin="ours")
    yield Check(
        "4_2_aligned",
        "<g, yhat> > 0 is a mild assumption",
        _share("theorem_4_2_aligned"),
        MILD,
        note=GROWTH,
        origin="ours",
    )
    yield Check(
        "4_2_norms", "the Hessian keeps relative norms of g and h", _share("theorem_4_2_norms"), MILD, origin="ours"
    )
    yield Check("4_2_reading", "theorem 4.2 holds as it is read", _share("theorem_4_2_reading"), MILD, origin="ours")
    positive = Mean("lemma_4_5_positive")
    yield Check("4_5_positive", f"<W0, W*> > 0 {end}", positive, MILD, origin="ours", within=AT_FIRST)


CLAIMS = [check.of(net) for net in NETS for check in _checks(net)]


def draw(shown: Shown) -> Figure:
    """Draw the figure from its table: a column of panels for each net."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(13, 11), layout="constrained")
        grid = figure.subplots(4, len(NETS), squeeze=False)
        for column, (net, name) in enumerate(NETS.items()):
            rows = select(shown.rows, net=net)
            sizes = rows.assign(value=rows["value"].abs())
            _lines(grid[0, column], sizes, {f"{q}_over_layers": label for q, label in {**RESIDUALS, **SLACKS}.items()})
            grid[0, column].set(yscale="log", ylim=(1e-17, 1e-1), title=f"{name}: residuals and slacks")
            told = [*HOLDS][: 1 if net == "vgg" else 2]  # in float32 the slack of 4.2 cannot be told from rounding
            _lines(grid[1, column], rows, {f"{q}_over_layers": HOLDS[q] for q in told})
            left_out = " (4.2: not to be told in float32)" if len(told) < len(HOLDS) else ""
            grid[1, column].set_title(f"{name}: units of which it holds{left_out}")
            _lines(grid[2, column], rows, {f"{q}_over_layers": label for q, label in CONDITIONS.items()})
            grid[2, column].set_title(f"{name}: units with the condition")
            _lines(grid[3, column], rows, LEMMA)
            grid[3, column].set_title(f"{name}: lemma 4.5")
            for axes in grid[1:, column]:
                axes.set_ylim(-0.03, 1.03)
                axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
        for line in grid:
            legend(line[-1], fontsize="x-small", loc="upper left", bbox_to_anchor=(1.02, 1))
        text = "solid: BatchNorm inserted into the standard network; dotted: its own; residuals: the largest, relative "
        text += "to the terms; slacks: medians; shares: means over layers; VGG: second derivatives in float32"
        note(figure, f"{text}; {seeds_in_words(shown.rows)}")
        return figure


def _lines(axes: Axes, rows: pd.DataFrame, quantities: Mapping[str, str]) -> None:
    """Draw quantities over steps."""
    for color, (quantity, label) in zip(COLORS, quantities.items(), strict=False):
        for series, style in STYLES.items():
            mine = select(rows, quantity=quantity, series=series)
            if len(mine):
                marked = label if series == "standard" else None
                median_over_seeds(axes, mine, color=color, linestyle=style, marker=".", markersize=4, label=marked)
    axes.set_xlabel("step")
