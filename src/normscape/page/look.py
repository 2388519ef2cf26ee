"""How a page draws series and axes: as the pictures do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType

import numpy as np

from normscape.drawing.style import COLORS, LABELS
from normscape.page.lines import Line, spans_decades

DASHES = ("solid", "dash", "dot", "dashdot")
"""One per learning rate, in increasing order, as in the pictures."""

LINES = {"-": "solid", "--": "dash", ":": "dot", "-.": "dashdot"}
SIGNS = {r"$\ell_1$": "ℓ₁", r"$\ell_2$": "ℓ₂", r"$\ell_\infty$": "ℓ∞"}

LOGARITHMIC = {
    "activation_change",
    "effective_lipschitz",
    "ics_l2",
    "loss_landscape",
    "loss_landscape_random",
    "train_loss",
    "unit_mean_change",
    "unit_variance_change",
}
"""Quantities whose axis is logarithmic in the pictures."""

LINEAR_OF_VGG = {
    "effective_beta",
    "effective_beta_tensor_sum",
    "gradient_difference",
    "gradient_difference_tensor_sum",
}
"""Quantities whose axis is linear in the pictures of VGGs; of other networks it is logarithmic."""


@dataclass(frozen=True)
class Look:
    """What a figure's module declares of its own: ``SERIES_LOOKS``, ``X_LABELS`` and ``PAPER_QUANTITIES``.

    Attributes
    ----------
    series
        Colour, line and name of series that go by others than in `normscape.drawing.style`.
    x_labels
        What the steps of a quantity are, where they are no steps.
    paper
        What its table calls a quantity of the paper's curves, where the names differ.
    """

    series: Mapping[str, tuple[str, str, str]] = field(default_factory=dict)
    x_labels: Mapping[str, str] = field(default_factory=dict)
    paper: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, module: ModuleType) -> "Look":
        """Return what the module of a figure declares."""
        declared = [getattr(module, name, {}) for name in ("SERIES_LOOKS", "X_LABELS", "PAPER_QUANTITIES")]
        return cls(*declared)

    def name(self, series: str) -> str:
        """Return a series' name as in the pictures, its mathematics as plain signs."""
        if series in self.series:
            return self.series[series][2]
        name = LABELS[series]
        for written, sign in SIGNS.items():
            name = name.replace(written, sign)
        return name

    def color(self, series: str) -> str:
        """Return a series' colour."""
        return self.series[series][0] if series in self.series else COLORS[series]

    def dash(self, series: str, rate: float, rates: Sequence[float]) -> str:
        """Return how a series' line is dashed at one of several learning rates."""
        if series in self.series:
            return LINES[self.series[series][1]]
        return DASHES[rates.index(rate)] if rate in rates else DASHES[0]


def logarithmic(lines: Sequence[Line], quantity: str, net: str = "") -> bool:
    """Whether a quantity's axis is logarithmic: as in the pictures, else where its values span decades."""
    values = [column for line in lines if not line.paper for column in line.columns.values()]
    if quantity.endswith("accuracy"):
        return False
    if quantity in LOGARITHMIC or (quantity in LINEAR_OF_VGG and net != "vgg"):
        return any(bool((np.isfinite(column) & (column > 0)).any()) for column in values)
    return quantity not in LINEAR_OF_VGG and spans_decades(values)
