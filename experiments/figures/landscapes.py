"""Figs. 4, 10, 12 and 13 have the same panels: loss band, gradient-difference band, effective beta."""

from collections.abc import Sequence
from functools import partial

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from figures.panels import curves, gather, note_paper, ranges, training_panel, training_rows
from figures.statistics import EARLY, LATE, RATES, compared, named, over_parts, parts_of_run, typical, width
from normscape.claims import Claim, Statistic
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

BANDS = {"loss_landscape": "loss", "gradient_difference": "gradient difference"}
SUMMED = "with tensor norms summed"


def landscape_rows(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return training, bands and effective beta of some runs, sums of tensor norms beside the Euclidean norms."""
    bands = [run.band("loss_landscape", "gradient_difference", "gradient_difference_tensor_sum") for run in runs]
    others = [run.rows("effective_beta", "effective_beta_tensor_sum", "gradient_norm") for run in runs]
    return gather([*map(training_rows, runs), *bands, *others])


def draw_landscape(
    net: str,
    rows: pd.DataFrame,
    original: pd.DataFrame | None,
    series: Sequence[str],
    *,
    log: Sequence[str],
    training: bool = False,
) -> Figure:
    """Draw the three panels, with ``training`` a first one of how the networks train.

    ``log`` names the quantities whose axis is logarithmic. Norms are Euclidean, or, beside the paper's own curves, sums
    over the parameter tensors as they seem to be.
    """
    rate = RATES[net]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(12 if training else 11, 3.4), layout="constrained")
        panels = [figure.add_subplot(1, 3 + training, place + 1) for place in range(3 + training)]
        if training:
            training_panel(panels[0], rows, original, series, (rate,))
        for axes, (quantity, title) in zip(panels[training:], QUANTITIES.items(), strict=True):
            name, label = quantity, AXES[quantity]
            if original is not None and quantity != "loss_landscape":
                name, label = f"{quantity}_tensor_sum", f"{label}, tensor norms summed"
            if quantity == "effective_beta":
                curves(axes, rows, original, series, (rate,), name, log=quantity in log)
            else:
                ranges(axes, rows, original, series, rate, name, log=quantity in log)
            axes.set(title=title, ylabel=label)
        for axes in panels:
            axes.set_title(f"{net}: {axes.get_title()}")
            note_paper(axes, original)
        panels[0].legend(fontsize="x-small")
        return figure


def width_ratio(quantity: str, above: str, below: str, rate: float, rows: pd.DataFrame) -> float:
    """Return the ratio of two series' median widths of a band."""
    return compared(lambda series: width(rows, quantity, series, rate), above, below)


def _largest_beta(quantity: str, above: str, below: str, rate: float, rows: pd.DataFrame) -> float:
    def largest(series: str) -> float:
        values = curve(rows, series=series, lr=rate, quantity=quantity)
        return float(values.max()) if len(values) else float("nan")

    return compared(largest, above, below)


def _gradient_norm_ratio(above: str, below: str, rate: float, rows: pd.DataFrame) -> float:
    return compared(lambda series: typical(rows, series=series, lr=rate, quantity="gradient_norm"), above, below)


def typical_beta_ratio(above: str, below: str, rate: float, rows: pd.DataFrame) -> float:
    """Return the ratio of two series' medians over steps of effective beta."""
    return compared(lambda series: beta_in_plateaus(rate, series, rows), above, below)


def beta_in_plateaus(rate: float, series: str, rows: pd.DataFrame) -> float:
    """Return a series' median over steps of effective beta, in units of 2 / lr."""
    return typical(rows, series=series, lr=rate, quantity="effective_beta") * rate / 2


def smoother(net: str, series: str, label: str) -> list[Claim]:
    """Return the claims that a normalisation smooths the landscape: each statistic is standard / normalised."""
    rate = RATES[net]
    bands = [
        Claim(
            name=f"{net.lower()}_{series}_narrows_{quantity}",
            statement=f"{label} narrows the {net}'s {name} along the gradient",
            statistic=f"median over steps of the {name}'s width over step sizes, standard / {named(series)}",
            compute=partial(width_ratio, quantity, "standard", series, rate),
            above=1.0,
            parts=_parts(net, series, quantity),
            reasons=_reasons(net, series),
        )
        for quantity, name in BANDS.items()
    ]
    beta = Claim(
        name=f"{net.lower()}_{series}_lowers_beta",
        statement=f"{label} improves the {net}'s effective beta-smoothness",
        statistic=f"maximum over steps of effective beta, standard / {named(series)}",
        compute=partial(_largest_beta, "effective_beta", "standard", series, rate),
        above=1.0,
        parts={
            **over_parts(rate, partial(_largest_beta, "effective_beta", "standard", series, rate)),
            "by its median over steps": partial(typical_beta_ratio, "standard", series, rate),
            SUMMED: partial(_largest_beta, "effective_beta_tensor_sum", "standard", series, rate),
        },
    )
    return [*bands, beta]


def like_batch_norm(net: str, series: str) -> list[Claim]:
    """Return the claims that a normalisation narrows the bands as BatchNorm does: to twice their width at most."""
    rate = RATES[net]
    return [
        Claim(
            name=f"{net.lower()}_{series}_{quantity}_like_batch",
            statement=f"The {series} norm narrows the {net}'s {name} as BatchNorm does",
            statistic=f"median over steps of the {name}'s width over step sizes, {series} / BatchNorm",
            compute=partial(width_ratio, quantity, series, "batch", rate),
            below=2.0,
            parts=parts_of_run(net, rate, "batch", partial(width_ratio, quantity, series, "batch", rate)),
        )
        for quantity, name in BANDS.items()
    ]


def _parts(net: str, series: str, quantity: str) -> dict[str, Statistic]:
    """Return a width's ratio over parts of the run and, of a gradient difference, in the paper's norm."""
    rate = RATES[net]
    parts = parts_of_run(net, rate, series, partial(width_ratio, quantity, "standard", series, rate))
    if quantity == "gradient_difference":
        parts[SUMMED] = partial(width_ratio, f"{quantity}_tensor_sum", "standard", series, rate)
    return parts


def _reasons(net: str, series: str) -> list[Claim]:
    """Return why a band may be narrow or wide early or late: its distances are in units of the gradient."""
    parts = over_parts(RATES[net], partial(_gradient_norm_ratio, "standard", series, RATES[net]))
    outcomes = (
        ("shorter one: the same step sizes walk less far", None, 1.0),
        ("longer one: the same step sizes walk further", 1.0, None),
    )
    return [
        Claim(
            statement=f"{part.capitalize()} standard's gradient is the {outcome}",
            statistic=f"median over these steps of the gradient's norm, standard / {named(series)}",
            compute=parts[part],
            above=above,
            below=below,
        )
        for part in (EARLY, LATE)
        for outcome, above, below in outcomes
    ]
