"""Ridge plots: how a distribution moves over training."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from normscape.drawing.style import COLORS, STYLE, save_figure
from normscape.evenly import evenly

Array = NDArray[Any]


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
        At most this many, evenly spaced.
    """
    finite = np.isfinite(quantiles).all(axis=1)
    steps, quantiles = steps[finite], quantiles[finite].astype(np.float64)  # squares of what diverges fit in double
    if not len(steps):
        return
    chosen = evenly(len(steps), ridges)
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
    axes.set_yticks([tick for tick in ticks if steps[0] <= tick <= steps[-1] + 0.3 * height])
    axes.grid(visible=False)


def save_ridge_plots(arrays: Mapping[str, Array], folder: Path, title: str) -> Iterator[tuple[str, Path]]:
    """Draw one ridge plot per layer whose activations a run recorded; yield its name and file."""
    with mpl.rc_context(STYLE):
        for name, quantiles in arrays.items():
            if name.partition("/")[0] != "activation_quantiles" or name.endswith("/steps"):
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
