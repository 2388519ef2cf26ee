"""Fig. 7: the setup of the theory: a weight layer followed by the loss, without and with one BatchNorm layer."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from normscape.drawing.style import COLORS, STYLE
from normscape.evidence.claims import Claim
from normscape.evidence.figure import Shown
from normscape.evidence.finished import FinishedRun
from normscape.evidence.table import COLUMNS

CLAIMS: list[Claim] = []
"""A diagram claims nothing."""

ARROWS: dict[str, Any] = {
    "arrowstyle": "-|>",
    "mutation_scale": 13,
    "linewidth": 1.0,
    "color": "0.3",
    "shrinkA": 0,
    "shrinkB": 0,
}


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return an empty table: the diagram shows no measurement."""
    return pd.DataFrame(columns=COLUMNS)


def draw(shown: Shown) -> Figure:
    """Draw the diagram."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8, 1.6), layout="constrained")
        plain, normalised = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2)
        _chain(plain, ["$x$", "$W$", r"$\mathcal{L}$"], [r"", "$y$"], "standard", "Standard network")
        boxes = ["$x$", "$W$", "BN", r"$\hat{\mathcal{L}}$"]
        _chain(normalised, boxes, ["", "$y$", r"$z = \gamma\hat{y} + \beta$"], "batch", "One BatchNorm layer after $W$")
        return figure


def _chain(axes: Axes, boxes: Sequence[str], edges: Sequence[str], series: str, title: str) -> None:
    """Draw boxes from left to right with labelled arrows between them."""
    for place, text in enumerate(boxes):
        framed = text in ("$W$", "BN")
        if framed:
            face = COLORS[series] if text == "BN" else "0.9"
            box = FancyBboxPatch(
                (place - 0.22, -0.3), 0.44, 0.6, boxstyle="round,pad=0.02", facecolor=face, edgecolor="0.3"
            )
            axes.add_patch(box)
        color = "white" if text == "BN" else "black"
        axes.text(place, 0, text, ha="center", va="center", color=color, fontsize="large")
    for place, text in enumerate(edges):
        axes.add_patch(FancyArrowPatch((place + 0.27, 0), (place + 0.73, 0), **ARROWS))
        axes.text(place + 0.5, 0.38 if "gamma" in text else 0.08, text, ha="center", va="bottom")
    middle = (len(boxes) - 1) / 2
    axes.set(xlim=(middle - 1.9, middle + 1.9), ylim=(-0.4, 0.7), title=title)
    axes.set_aspect("equal")
    axes.axis("off")
