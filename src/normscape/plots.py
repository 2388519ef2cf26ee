"""One look for all figures: colours by series, bands over seeds, ridge plots, files that are the same every time."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

mpl.use("agg")
logging.getLogger("fontTools").setLevel(logging.ERROR)  # it remarks on the dates in fonts that matplotlib brings

STYLE: Any = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": "medium",
    "figure.dpi": 150,
    "font.size": 9,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "pdf.fonttype": 42,
    "svg.hashsalt": "normscape",
}


class _Named(dict[str, str]):
    """Names of the known series; a series of the user's own goes by its own name."""

    def __init__(self, default: str, **known: str) -> None:
        super().__init__(known)
        self._default = default

    def __missing__(self, series: str) -> str:
        return self._default.format(series)


COLORS = _Named(
    "#222222",
    standard="#D55E00",
    batch="#0072B2",
    noisy_batch="#009E73",
    l1="#CC79A7",
    l2="#E69F00",
    linf="#56B4E9",
    noisy_standard="#666666",
)
"""One colour per series in every figure; the palette of Okabe and Ito, which colour-blind readers can tell apart."""

LABELS = _Named(
    "Standard + {}",
    standard="Standard",
    batch="Standard + BatchNorm",
    noisy_batch='Standard + "Noisy" BatchNorm',
    l1=r"Standard + $\ell_1$ norm",
    l2=r"Standard + $\ell_2$ norm",
    linf=r"Standard + $\ell_\infty$ norm",
    noisy_standard="Standard + noise",
)


def short_label(series: str) -> str:
    """Return a series' name where its network is plain."""
    return LABELS[series].removeprefix("Standard + ")


Array = NDArray[Any]


def band(axes: Axes, curves: pd.DataFrame, *, hold: bool = False, **line: Any) -> None:
    """Draw the median over seeds and, for more than one seed, the band from the least to the greatest.

    Parameters
    ----------
    axes
        Where to draw.
    curves
        Columns ``seed``, ``step`` and ``value``.
    hold
        Carry on the last value of a seed that ended early, i.e. diverged: right for an accuracy, since a network
        whose weights are no longer finite does not change.
    line
        Options of ``Axes.plot``.
    """
    wide = curves.pivot_table(index="step", columns="seed", values="value", dropna=False).sort_index()
    wide = wide.ffill() if hold else wide
    (drawn,) = axes.plot(wide.index, wide.median(axis=1), **line)
    if wide.shape[1] > 1:
        axes.fill_between(wide.index, wide.min(axis=1), wide.max(axis=1), color=drawn.get_color(), alpha=0.2, lw=0)


def density(quantiles: Array, at: Array) -> Array:
    """Return a Gaussian kernel density of equally likely ``quantiles`` ``(Q,)`` at points ``(K,)``, with maximum 1."""
    spread = np.subtract(*np.quantile(quantiles, [0.75, 0.25])) / 1.349
    deviation = float(np.std(quantiles))
    scale = min(spread, deviation) if spread > 0 else deviation
    # Silverman's rule for the number of quantiles, but no kernel narrower than the grid it is drawn on
    width = max(0.9 * scale * len(quantiles) ** -0.2, 1.5 * float(at[1] - at[0]))
    kernels = np.exp(-0.5 * ((at[:, None] - quantiles[None, :]) / width) ** 2)
    total = kernels.sum(axis=1)
    return np.asarray(total / max(float(total.max()), np.finfo(float).tiny))


def ridge_plot(axes: Axes, steps: Array, quantiles: Array, color: str, ridges: int = 16) -> None:
    """Draw how a distribution moves over training: one density per step, later steps lower and in front.

    Parameters
    ----------
    axes
        Where to draw.
    steps, quantiles
        ``(T,)`` and ``(T, Q)``: the quantile function of the distribution at each step, at equally spaced levels.
    color
        Of the last ridge; earlier ones are paler.
    ridges
        At most so many, evenly chosen.
    """
    finite = np.isfinite(quantiles).all(axis=1)
    steps, quantiles = steps[finite], quantiles[finite].astype(np.float64)  # squares of what diverges fit in double
    if not len(steps):
        return
    chosen = np.unique(np.linspace(0, len(steps) - 1, min(ridges, len(steps))).round().astype(int))
    low, high = np.quantile(quantiles[chosen, 0], 0.05), np.quantile(quantiles[chosen, -1], 0.95)
    margin = 0.05 * (high - low) or 1.0
    grid = np.linspace(low - margin, high + margin, 300)
    height = 2.2 * (steps[-1] - steps[0] or 1) / max(len(chosen) - 1, 1)
    for place, index in enumerate(chosen):
        shade = 0.25 + 0.75 * place / max(len(chosen) - 1, 1)
        face = tuple(1 - shade * (1 - channel) for channel in to_rgb(color))
        top = steps[index] - height * density(quantiles[index], grid)
        axes.fill_between(grid, steps[index], top, facecolor=face, edgecolor="none", zorder=place)
        axes.plot(grid, top, color="white", linewidth=0.6, zorder=place)
    axes.set_xlim(grid[0], grid[-1])
    axes.set_ylim(steps[-1] + 0.3 * height, steps[0] - 1.1 * height)
    ticks = MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(steps[0], steps[-1])
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.set_yticks([tick for tick in ticks if steps[0] <= tick <= steps[-1]])
    axes.grid(visible=False)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure to a PNG or PDF file that depends on nothing but the figure: no date, no software version."""
    metadata = {".png": {"Software": None}, ".pdf": {"CreationDate": None, "Creator": None, "Producer": None}}
    with mpl.rc_context(STYLE):  # some of it, the fonts of a PDF, is looked up only now
        figure.savefig(path, metadata=metadata[path.suffix])


def save_ridge_plots(arrays: Mapping[str, Array], folder: Path, title: str) -> Iterator[tuple[str, Path]]:
    """Draw one ridge plot per layer whose activations a run recorded; yield its name and file."""
    with mpl.rc_context(STYLE):
        for name, quantiles in arrays.items():
            if not name.startswith("activation_quantiles") or name.endswith("/steps"):
                continue
            if not np.isfinite(quantiles).all(axis=1).any():
                continue
            layer = name.partition("/")[2]
            figure = Figure(figsize=(3.2, 3.6), layout="constrained")
            axes = figure.add_subplot()
            ridge_plot(axes, arrays[f"{name}/steps"], quantiles, COLORS["batch"])
            axes.set(
                xlabel="activation of one unit", ylabel="step", title=f"{title}, {layer.replace('layer', 'layer ')}"
            )
            path = folder / f"ridge_{layer}.png"
            save_figure(figure, path)
            yield f"activations/{layer}", path
