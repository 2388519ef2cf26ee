"""Theorems 4.4 and C.1: the worst input of a layer, searched for by projected ascent on small nets."""

from collections.abc import Callable, Iterator, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from normscape.drawing.bands import median_over_seeds
from normscape.drawing.panels import legend, note
from normscape.drawing.style import COLORS, STYLE, short_label
from normscape.evidence.claims import Claim, Origin
from normscape.evidence.figure import Shown
from normscape.evidence.finished import FinishedRun
from normscape.evidence.measures import Largest
from normscape.evidence.statistics import Of, Ratio
from normscape.evidence.table import COLUMNS, select
from normscape.theory import projected_ascent
from theory.small_net import AtInput, SmallNet

SEEDS, STEPS = 10, 40
SHARES = tuple(10.0 ** (-place / 2) for place in range(9))
SHRUNK = SHARES[2::2]
"""Of what share of the first outputs walks start too, in steps as much smaller: where sigma is small, so is the place
in which a gradient is large."""
STARTS = 2 + len(SHRUNK)
SERIES = ("standard", "batch")
GRADIENT, CURVATURE, ALONG = "largest_weight_gradient", "largest_weight_curvature", "weight_gradient_at_shrunk_output"

EXCESS = {
    "theorem_4_4_excess": "4.4 as derived,\nat one and the same $X$",
    "theorem_4_4_excess_powers": "4.4, powers set right,\nbetween maxima",
    "theorem_4_4_excess_printed": "4.4 as printed,\nbetween maxima",
    "theorem_c_1_excess": "C.1 as read,\nbetween maxima",
}
"""By how much the left side exceeds the right one, as a share of both together: at most 1, above 0 where it fails."""

MAXIMA: tuple[tuple[str, str, str, Origin], ...] = (
    ("maxima_satisfy_4_4_with_powers", "4.4 with its powers set right", "theorem_4_4_excess_powers", "ours"),
    ("maxima_satisfy_4_4_as_printed", "4.4 as it is printed", "theorem_4_4_excess_printed", "ours"),
    ("maxima_satisfy_c_1", "C.1 as we read it", "theorem_c_1_excess", "ours"),
)
"""Inequalities between maxima: what is printed is the paper's, what is read into it or set right is ours."""

CLAIMS = [
    Claim(
        name="derived_4_4_is_never_exceeded",
        statement="At no input that the search found is the derived bound of theorem 4.4 exceeded",
        statistic=Of(Largest("theorem_4_4_excess"), "batch"),
        origin="ours",
        below=1e-9,
    ),
    Claim(
        name="derived_c_1_is_an_equality",
        statement="Theorem C.1 is an equality as derived, at the input that the search found",
        statistic=Of(Largest("theorem_c_1_residual"), "batch"),
        origin="ours",
        below=1e-9,
    ),
    *(
        Claim(
            name=name,
            statement=f"The maxima that the search found satisfy theorem {which}",
            statistic=Of(Largest(quantity), "batch"),
            origin=whose,
            below=0.0,
            note="Both maxima are lower bounds: what is found can neither prove the inequality nor refute it.",
        )
        for name, which, quantity, whose in MAXIMA
    ),
    Claim(
        name="worst_gradient_smaller",
        statement="With BatchNorm the largest gradient w.r.t. a unit's weights found for ||X|| <= lambda is smaller",
        statistic=Ratio(Largest(GRADIENT), "batch", "standard"),
        origin="ours",
        below=1.0,
        note="With gamma constant, sigma may shrink at the worst input: gradients grow there as 1 / sigma, up to eps.",
    ),
    Claim(
        name="worst_curvature_smaller",
        statement="With BatchNorm the largest curvature found along that gradient is smaller",
        statistic=Ratio(Largest(CURVATURE), "batch", "standard"),
        origin="ours",
        below=1.0,
    ),
]


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return what the search finds; it is of no run, and the same at every scale."""
    return pd.DataFrame([row for seed in range(SEEDS) for row in _of_seed(seed)]).reindex(columns=COLUMNS)


def _of_seed(seed: int) -> Iterator[dict[str, object]]:
    """Yield the rows of one pair of nets."""
    found: dict[tuple[str, str], tuple[Tensor, float]] = {}
    for series in SERIES:
        net = SmallNet(seed, norm=series == "batch")
        for quantity, objective in ((GRADIENT, net.gradient_square), (CURVATURE, net.curvature)):
            curve, found[series, quantity] = _searched(net, objective)
            yield from (_row(net, quantity, step, value) for step, value in enumerate(curve) if step % 5 == 0)
        for share in SHARES:
            yield {**_row(net, ALONG, 0, net.gradient_square(net.shrunk(share)).item()), "step_size": share}
    net = SmallNet(seed, norm=True)
    largest = {quantity: found["standard", quantity][1] for quantity in (GRADIENT, CURVATURE)}
    slope = AtInput(net, found["batch", GRADIENT][0]).theorem_4_4(largest[GRADIENT])
    bend = AtInput(net, found["batch", CURVATURE][0]).theorem_c_1(largest[CURVATURE])
    y = AtInput(net, found["batch", GRADIENT][0]).y
    values = {
        "theorem_4_4_excess": _excess(slope.left, slope.derived),
        "theorem_4_4_excess_powers": _excess(slope.left, slope.powers),
        "theorem_4_4_excess_printed": _excess(slope.left, slope.printed),
        "theorem_c_1_excess": _excess(bend.left, bend.printed),
        "theorem_c_1_residual": bend.residual.item(),
        "sigma_at_the_worst": float(y.sigma / AtInput(net, net.first).y.sigma),
    }
    yield from (_row(net, quantity, 0, value) for quantity, value in values.items())


def _searched(net: SmallNet, objective: Callable[[Tensor], Tensor]) -> tuple[list[float], tuple[Tensor, float]]:
    """Return the best value after each step, over all starts, and the best input with it."""
    starts = [(net.first, 1.0), (net.drawn("start 1", *net.first.shape), 1.0)]
    starts += [(net.shrunk(share), share) for share in SHRUNK]
    walks = [list(projected_ascent(objective, start, net.radius, STEPS, stride)) for start, stride in starts]
    curves = np.full((len(walks), STEPS + 1), -np.inf)
    for curve, walk in zip(curves, walks, strict=True):
        curve[: len(walk)] = [value for _, value in walk]
        curve[len(walk) :] = walk[-1][1]
    best = max((walk[-1] for walk in walks), key=lambda end: end[1])
    return curves.max(axis=0).tolist(), best


def _excess(left: Tensor, right: Tensor) -> float:
    """Return (left - right) / (|left| + |right|)."""
    return float((left - right) / (left.abs() + right.abs()))


def _row(net: SmallNet, quantity: str, step: int, value: float) -> dict[str, object]:
    series = "batch" if net.norm else "standard"
    facts = {"run": f"small_{series}", "net": "small", "series": series, "lr": 0.0, "augment": False, "scale": "any"}
    return {**facts, "seed": net.seed, "step": step, "quantity": quantity, "value": value}


def draw(shown: Shown) -> Figure:
    """Draw the figure from its table."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(13, 3.8), layout="constrained")
        grid = figure.subplots(1, 4)
        titles = {GRADIENT: r"Largest $\|\partial L / \partial w_j\|^2$ found", CURVATURE: "Largest curvature found"}
        for axes, (quantity, title) in zip(grid[:2], titles.items(), strict=True):
            for series in SERIES:
                mine = select(shown.rows, quantity=quantity, series=series)
                median_over_seeds(axes, mine, color=COLORS[series], label=short_label(series))
            axes.set(title=title, xlabel="step of the ascent", yscale="log")
        _shrunk(grid[2], shown.rows)
        _excesses(grid[3], shown.rows)
        for axes in grid[:3]:
            legend(axes, fontsize="x-small")
        seeds = shown.rows["seed"].nunique()
        text = "the loss is summed over 16 samples; lines and bands: median and range over"
        note(figure, f"{text} {seeds} small nets, the best of {STARTS} starts each; dots: one net each")
        return figure


def _shrunk(axes: Axes, rows: pd.DataFrame) -> None:
    for series in SERIES:
        mine = select(rows, quantity=ALONG, series=series)
        median_over_seeds(axes, mine.assign(step=mine["step_size"]), color=COLORS[series], label=short_label(series))
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="outputs of the unit, as a share of the first",
        title=r"$\|\partial L / \partial w_j\|^2$ where $\sigma$ shrinks",
    )
    axes.invert_xaxis()


def _excesses(axes: Axes, rows: pd.DataFrame) -> None:
    for place, (quantity, label) in enumerate(EXCESS.items()):
        values = select(rows, quantity=quantity)["value"].to_numpy(float)
        spread = np.linspace(-0.25, 0.25, len(values)) if len(values) > 1 else [0.0]
        axes.plot(values, len(EXCESS) - 1 - place + np.array(spread), "o", markersize=3, color="#0072B2")
        axes.text(-1.1, len(EXCESS) - 1 - place, label, ha="right", va="center", fontsize="x-small")
    axes.axvline(0, color="0.4", linewidth=0.8)
    axes.set(
        xlim=(-1.05, 1.05),
        yticks=[],
        title="(left - right) / (|left| + |right|)",
        xlabel="above 0: the inequality fails",
    )
