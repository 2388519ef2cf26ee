"""The panels of the landscape along the gradient: loss range, gradient-difference range, effective beta."""

from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.figure import Figure

from normscape.drawing.panels import (
    curves,
    legend,
    note,
    note_paper,
    objective_in_words,
    plain_log_ticks,
    ranges,
    seeds_in_words,
    step_sizes_in_words,
    training_panel,
)
from normscape.drawing.style import STYLE
from normscape.evidence.figure import Shown
from normscape.evidence.smoothness import AS_PLOTTED, WIDTHS

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


def draw_landscape(shown: Shown, series: Sequence[str], *, log: Sequence[str], training: bool = False) -> Figure:
    """Draw the three panels, with ``training`` a first one of how the networks train.

    ``log`` names the quantities whose axis is logarithmic. Norms are those that are judged, sums over the parameter
    tensors.
    """
    rows, original = shown.rows, shown.original
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(12 if training else 11, 3.6), layout="constrained")
        panels = [figure.add_subplot(1, 3 + training, place + 1) for place in range(3 + training)]
        if training:
            training_panel(panels[0], rows, original, series)
            note_paper(panels[0], original)
        for axes, (quantity, title) in zip(panels[training:], TITLES.items(), strict=True):
            name = AS_PLOTTED.get(quantity, quantity)
            (ranges if quantity in WIDTHS else curves)(axes, rows, original, series, name, log=quantity in log)
            axes.set(title=title, ylabel=AXES[quantity])
            if quantity in log:
                plain_log_ticks(axes.yaxis, axes.get_ylim())
            note_paper(axes, original)
        legend(panels[0], fontsize="x-small")
        symbols = f"{objective_in_words(shown)}, g: its gradient at W"
        note(figure, f"{symbols}; {SUMMED}; {step_sizes_in_words(shown)}; {seeds_in_words(rows)}")
        return figure
