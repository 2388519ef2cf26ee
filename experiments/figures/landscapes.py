"""Figs. 4, 10, 12 and 13 have the same panels: loss band, gradient-difference band, effective beta."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.panels import curves, gather, note_paper, ranges, training_panel
from figures.statistics import compared, over_parts, typical, width
from normscape.claims import Claim
from normscape.plots import STYLE
from normscape.tables import FinishedRun, curve

QUANTITIES = {
    "loss_landscape": "Loss landscape",
    "gradient_difference": "Gradient predictiveness",
    "effective_beta": r"Effective $\beta$-smoothness",
}
AXES = {
    "loss_landscape": "loss",
    "gradient_difference": r"$\|\nabla(W - s g) - g\|$",
    "effective_beta": r"$\beta$",
}


def landscape_rows(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return bands and effective beta of some runs, with the sums of tensor norms beside the Euclidean norms."""
    bands = [run.band("loss_landscape", "gradient_difference", "gradient_difference_tensor_sum") for run in runs]
    return gather([*bands, *(run.rows("effective_beta", "effective_beta_tensor_sum") for run in runs)])


def landscape_panels(
    panels: Sequence[Axes],
    rows: pd.DataFrame,
    original: pd.DataFrame | None,
    series: Sequence[str],
    rate: float,
    log: Sequence[str],
) -> None:
    """Draw the three panels; ``log`` names the quantities whose axis is logarithmic.

    Norms are Euclidean, or, beside the paper's own curves, sums over the parameter tensors as they seem to be.
    """
    for axes, (quantity, title) in zip(panels, QUANTITIES.items(), strict=True):
        name, label = quantity, AXES[quantity]
        if original is not None and quantity != "loss_landscape":
            name, label = f"{quantity}_tensor_sum", f"{label}, tensor norms summed"
        draw = curves if quantity == "effective_beta" else ranges
        where: Any = (rate,) if quantity == "effective_beta" else rate
        draw(axes, rows, original, series, where, name, log=quantity in log)
        axes.set(title=title, ylabel=label)
        note_paper(axes, original)


def draw_landscape(
    rows: pd.DataFrame, original: pd.DataFrame | None, series: Sequence[str], rate: float, log: Sequence[str]
) -> Figure:
    """Draw the training, if the table has it, and the three panels."""
    with mpl.rc_context(STYLE):
        trained = bool(rows["quantity"].isin(["train_accuracy", "train_loss"]).any())
        figure = Figure(figsize=(12 if trained else 11, 3.4), layout="constrained")
        panels = [figure.add_subplot(1, 3 + trained, place + 1) for place in range(3 + trained)]
        if trained:
            training_panel(panels[0], rows, original, series, (rate,))
            note_paper(panels[0], original)
        landscape_panels(panels[trained:], rows, original, series, rate, log)
        panels[0].legend(fontsize="x-small")
        return figure


def width_ratio(quantity: str, above: str, below: str, rate: float, rows: pd.DataFrame) -> float:
    """Return the ratio of two series' median widths of a band."""
    return compared(lambda series: width(rows, quantity, series, rate), above, below)


def _largest_beta(above: str, below: str, rate: float, rows: pd.DataFrame) -> float:
    def largest(series: str) -> float:
        values = curve(rows, series=series, lr=rate, quantity="effective_beta")
        return float(values.max()) if len(values) else float("nan")

    return compared(largest, above, below)


def typical_beta_ratio(above: str, below: str, rate: float, rows: pd.DataFrame) -> float:
    """Return the ratio of two series' medians over steps of effective beta."""
    return compared(lambda series: beta_in_plateaus(rate, series, rows), above, below)


def beta_in_plateaus(rate: float, series: str, rows: pd.DataFrame) -> float:
    """Return a series' median over steps of effective beta, in units of 2 / lr."""
    return typical(rows, series=series, lr=rate, quantity="effective_beta") * rate / 2


def smoother(net: str, series: str, rate: float, label: str) -> list[Claim]:
    """Return the claims that a normalisation smooths the landscape: each statistic is standard / normalised."""
    names = {"loss_landscape": "loss", "gradient_difference": "gradient difference"}
    bands = [
        Claim(
            name=f"{net}_{series}_narrows_{quantity}",
            paper_says=f"{label} narrows the {net.upper()}'s {name} along the gradient",
            statistic=f"median over steps of the {name}'s width over step sizes, standard / {series}",
            compute=partial(width_ratio, quantity, "standard", series, rate),
            above=1.0,
            parts=over_parts(rate, partial(width_ratio, quantity, "standard", series, rate)),
        )
        for quantity, name in names.items()
    ]
    beta = Claim(
        name=f"{net}_{series}_lowers_beta",
        paper_says=f"{label} improves the {net.upper()}'s effective beta-smoothness",
        statistic=f"maximum over steps of effective beta, standard / {series}",
        compute=partial(_largest_beta, "standard", series, rate),
        above=1.0,
        evidence={f"median over steps, standard / {series}": partial(typical_beta_ratio, "standard", series, rate)},
    )
    return [*bands, beta]
