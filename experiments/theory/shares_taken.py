"""What the two subtracted terms take of the gradient's squared norm and of the Hessian's form, beyond gamma/sigma."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, PercentFormatter

from normscape.drawing.bands import median_over_seeds
from normscape.drawing.panels import note, seeds_in_words
from normscape.drawing.style import STYLE
from normscape.evidence.claims import Claim
from normscape.evidence.figure import Shown
from normscape.evidence.finished import FinishedRun
from normscape.evidence.measures import Median
from normscape.evidence.parts import FIRST_HALF, LATE
from normscape.evidence.statistics import During, Of, Statistic
from normscape.evidence.table import gather, select
from theory.shared import CURVATURE, GRADIENT, NETS, SERIES, SHARES, over_layers

COLORS = dict(zip(SHARES, ("#D55E00", "#0072B2", "#009E73", "#CC79A7"), strict=True))
STYLES: dict[str, dict[str, Any]] = {
    "standard": {"linestyle": "-", "marker": "o"},
    "batch": {"linestyle": ":", "marker": "s", "fillstyle": "none"},
}
SIGNIFICANT = 0.1
"""The share from which a term counts as significant; the paper names none."""


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the rows that the figure and its claims are made from."""
    parts = []
    for run in runs:
        rows = run.rows(*SHARES, "batch_norm_gain")
        parts += [rows, over_layers(rows, dict.fromkeys((*SHARES, "batch_norm_gain"), "median"))]
    return gather(parts)


def _over(quantity: str, series: str) -> Statistic:
    return Of(Median(f"{quantity}_over_layers"), series)


def _halves(statistic: Statistic) -> list[Statistic]:
    return [During(statistic, part) for part in (FIRST_HALF, LATE)]


def _claims(net: str, name: str) -> list[Claim]:
    mean, scale, second = (
        _over(quantity, "standard")
        for quantity in ("gradient_mean_share", "gradient_scale_share", "curvature_second_share")
    )
    projection, gain = _over("curvature_projection_share", "standard"), _over("batch_norm_gain", "batch")
    about = {"net": net}
    return [
        Claim(
            name=f"{net}_mean_term_is_significant",
            statement=f"{name}: the mean term of theorem 4.1 takes a significant part of the gradient's squared norm",
            statistic=mean,
            about=about,
            origin="ours",
            above=SIGNIFICANT,
            parts=_halves(mean),
        ),
        Claim(
            name=f"{net}_scale_term_is_significant",
            statement=f"{name}: so does its scale term, the gradient along the output itself",
            statistic=scale,
            about=about,
            origin="ours",
            above=SIGNIFICANT,
            parts=_halves(scale),
        ),
        Claim(
            name=f"{net}_gain_flattens",
            statement=f"{name}: gamma^2 / sigma^2 of the network's own BatchNorm makes its gradients smaller",
            statistic=gain,
            about=about,
            origin="ours",
            below=1.0,
            parts=_halves(gain),
        ),
        Claim(
            name=f"{net}_projection_takes_curvature",
            statement=f"{name}: the projection takes away a significant part of the Hessian's form (theorem 4.2)",
            statistic=projection,
            about=about,
            origin="ours",
            above=SIGNIFICANT,
            parts=_halves(projection),
        ),
        Claim(
            name=f"{net}_second_term_takes_curvature",
            statement=f"{name}: the second term of theorem 4.2 takes away more of it, rather than adding to it",
            statistic=second,
            about=about,
            origin="ours",
            above=0.0,
            parts=_halves(second),
            note="The second term has the sign of <g, yhat>: where a larger output lowers the loss it adds curvature.",
        ),
    ]


CLAIMS = [claim for net, name in NETS.items() for claim in _claims(net, name)]


def draw(shown: Shown) -> Figure:
    """Draw the figure from its table: a line of panels for each net."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(13, 9.5), layout="constrained")
        grid = figure.subplots(len(NETS), 4, squeeze=False)
        for line, (net, name) in zip(grid, NETS.items(), strict=True):
            rows = select(shown.rows, net=net)
            for place, (terms, what) in enumerate(((GRADIENT, r"of $\|g\|^2$"), (CURVATURE, r"of $g^\top H g$"))):
                _by_layer(line[2 * place], rows, terms)
                _over_training(line[2 * place + 1], rows, terms)
                line[2 * place].set_title(f"{name}: taken {what}, by layer")
                line[2 * place + 1].set_title(f"{name}: median over layers")
        named = [axes.get_legend_handles_labels() for axes in (grid[0, 0], grid[0, 2])]
        handles, labels = ([*first, *second] for first, second in zip(*named, strict=True))
        figure.legend(handles, labels, loc="outside upper center", ncols=4, fontsize="small")
        text = "share taken beyond $\\gamma^2/\\sigma^2$; filled, solid: BatchNorm inserted into the standard network; "
        text += (
            "open, dotted: the network's own; by layer: median, bars 10 to 90 %, over steps and seeds; below 0: added"
        )
        text += "; beyond 100 %: logarithmic"
        note(figure, f"{text}; {seeds_in_words(shown.rows)}")
        return figure


def _by_layer(axes: Axes, rows: pd.DataFrame, terms: Mapping[str, str]) -> None:
    """Draw what terms take in each layer."""
    for offset, (quantity, label) in zip((-0.12, 0.12), terms.items(), strict=True):
        for series, style in STYLES.items():
            mine = select(rows, quantity=quantity, series=series).dropna(subset=["layer", "value"])
            if mine.empty:
                continue
            spread = mine.groupby("layer")["value"].quantile(np.array([0.1, 0.5, 0.9])).unstack()
            at = spread.index.to_numpy(float) + offset
            shown = f"{label}, {SERIES[series]}"
            axes.plot(at, spread[0.5], color=COLORS[quantity], markersize=3.5, label=shown, **style)
            if series == "standard":
                axes.vlines(at, spread[0.1], spread[0.9], color=COLORS[quantity], linewidth=0.8, alpha=0.6)
    axes.set_xlabel("layer")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    _percent(axes)


def _over_training(axes: Axes, rows: pd.DataFrame, terms: Mapping[str, str]) -> None:
    """Draw the median over layers at each step."""
    for quantity in terms:
        for series, style in STYLES.items():
            mine = select(rows, quantity=f"{quantity}_over_layers", series=series)
            if len(mine):
                median_over_seeds(axes, mine, color=COLORS[quantity], markersize=3.5, **style)
    axes.set_xlabel("step")
    _percent(axes)


def _percent(axes: Axes) -> None:
    axes.axhline(0, color="0.5", linewidth=0.6)
    if max(map(abs, axes.get_ylim())) > 2:  # the second term may add many times the form
        axes.set_yscale("symlog", linthresh=1.0)
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
