"""The panels of the landscape along the gradient: loss, gradient difference, beta; below, what is judged of them."""

from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.figure import Figure

from normscape.drawing.bands import widths_over_step_sizes
from normscape.drawing.panels import (
    RUNNING,
    bands_in_words,
    curves,
    legend,
    note,
    note_paper,
    objective_in_words,
    plain_log_ticks,
    ranges,
    seeds_in_words,
    smoothed,
    training_panel,
)
from normscape.drawing.style import STYLE
from normscape.evidence.figure import Shown
from normscape.evidence.smoothness import AS_PLOTTED, WIDTHS
from normscape.evidence.table import select

TITLES = {
    "loss_landscape": "Loss landscape",
    "gradient_difference": "Gradient predictiveness",
    "effective_beta": r"Effective $\beta$-smoothness",
}
SUMMED = "norms of gradients are summed over parameter tensors, as the paper's seem to be"
AXES = {
    "loss_landscape": r"$J(W - s g)$",
    "gradient_difference": r"$\|\nabla J(W - s g) - g\|$",
    "effective_beta": r"$\beta$",
}
LIPSCHITZ = ("effective_lipschitz", "Effective Lipschitzness", r"max $|\Delta J| / (s\,\|g\|)$")
"""The quantity that the paper does not plot, its title and its axis."""


def draw_landscape(shown: Shown, series: Sequence[str], *, log: Sequence[str], training: bool = False) -> Figure:
    """Draw the paper's three panels, with ``training`` a first one of how the networks train, and a line below.

    That has what claims compare and the paper does not plot: how wide the bands are, which overlap in its panels, and
    how Lipschitz the loss is. ``log`` names the quantities whose axis is logarithmic above. Norms are those that are
    judged, sums over the parameter tensors.
    """
    rows, original = shown.rows, shown.original
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(12 if training else 11, 6.4), layout="constrained")
        grid = figure.add_gridspec(2, 3 + training)
        upper, lower = ([figure.add_subplot(grid[line, training + place]) for place in range(3)] for line in (0, 1))
        named = upper[0]
        if training:
            named = figure.add_subplot(grid[:, 0])
            training_panel(named, rows, original, series)
            note_paper(named, original)
        for axes, (quantity, title) in zip(upper, TITLES.items(), strict=True):
            name = AS_PLOTTED.get(quantity, quantity)
            (ranges if quantity in WIDTHS else curves)(axes, rows, original, series, name, log=quantity in log)
            axes.set(title=title, ylabel=AXES[quantity])
            if quantity in log:
                plain_log_ticks(axes.yaxis, axes.get_ylim())
            note_paper(axes, original)
        for axes, (quantity, what) in zip(lower, WIDTHS.items(), strict=False):
            name = AS_PLOTTED.get(quantity, quantity)
            theirs = None if original is None else widths_over_step_sizes(original, name)
            smoothed(axes, widths_over_step_sizes(rows, name), theirs, series, name)
            axes.set(title=f"Width of the {what}'s band", ylabel=f"max {AXES[quantity]} - min")
        name, title, label = LIPSCHITZ
        smoothed(lower[-1], select(rows, quantity=name), None, series, name)
        lower[-1].set(title=title, ylabel=label)
        legend(named, fontsize="x-small")
        symbols = f"{objective_in_words(shown)}, g: its gradient at W"
        below = f"below: running medians over {RUNNING} measured steps"
        note(figure, f"{symbols}; {SUMMED}; {bands_in_words(shown)}; {below}; {seeds_in_words(rows)}")
        return figure
