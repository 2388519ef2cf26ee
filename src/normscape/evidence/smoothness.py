"""The landscape along the gradient: the rows of its panels, and the claims that a normalisation smooths it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from normscape.evidence.claims import Claim, Kind
from normscape.evidence.comparing import NETS, SIMILAR, at_equal_accuracy, over_parts, parts_of_run
from normscape.evidence.finished import FinishedRun
from normscape.evidence.measures import Largest, Measure, Median, MedianWidth, UpperDecile
from normscape.evidence.parts import EARLY, LATE
from normscape.evidence.statistics import AtEqualLoss, During, Ratio, ShareLarger
from normscape.evidence.table import gather
from normscape.evidence.words import display_name

WIDTHS = {"loss_landscape": "loss", "gradient_difference": "gradient difference"}
"""What is drawn as a range over step sizes, and what claims call it."""

PER_STEP = ("effective_lipschitz", "effective_beta", "effective_beta_tensor_sum", "gradient_norm")

AS_PLOTTED = {quantity: f"{quantity}_tensor_sum" for quantity in ("gradient_difference", "effective_beta")}
"""Quantities in the norm that the paper seems to have plotted."""


def landscape_rows(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return training, ranges and effective beta of some runs, sums of tensor norms beside the Euclidean norms."""
    ranged = ("loss_landscape", "gradient_difference", "gradient_difference_tensor_sum")
    spans = [run.step_size_range(*ranged) for run in runs]
    return gather([*(run.training_rows() for run in runs), *spans, *map(_per_step, runs)])


def _per_step(run: FinishedRun) -> pd.DataFrame:
    """Return what has one value a step; what float32 does not hold is infinite, and only along no gradient missing."""
    rows = run.rows(*PER_STEP)
    still = rows.loc[(rows["quantity"] == "gradient_norm") & (rows["value"] == 0), "step"]
    rows.loc[rows["value"].isna() & ~rows["step"].isin(still), "value"] = np.inf
    return rows


def smoother(net: str, series: str, label: str) -> list[Claim]:
    """Return the claims that a normalisation smooths the landscape: each statistic is standard / normalised.

    Gradient differences and beta are summed over the parameter tensors, as the paper seems to have plotted them;
    Euclidean norms, which it does not give, are a part.
    """

    def compared(measure: Measure) -> Ratio:
        return Ratio(measure, "standard", series)

    widths = []
    for quantity, name in WIDTHS.items():
        ratio = compared(MedianWidth(AS_PLOTTED.get(quantity, quantity)))
        euclidean = [at_equal_accuracy(net, compared(MedianWidth(quantity)))] if quantity in AS_PLOTTED else []
        widths.append(
            Claim(
                name=f"{net}_{series}_narrows_{quantity}",
                statement=f"{label} narrows the {NETS[net]}'s {name} along the gradient",
                statistic=at_equal_accuracy(net, ratio),
                above=1.0,
                parts=[*parts_of_run(net, ratio), *euclidean],
                reasons=_reasons(ratio) if net == "dln" else [],
                evidence=[
                    at_equal_accuracy(net, compared(Median("gradient_norm"))),
                    *([AtEqualLoss(ratio)] if net == "dln" else []),
                ],
            )
        )
    slope = compared(Median("effective_lipschitz"))
    lipschitz = Claim(
        name=f"{net}_{series}_lowers_lipschitz",
        statement=f"{label} makes the {NETS[net]}'s loss more Lipschitz along the gradient",
        statistic=at_equal_accuracy(net, slope),
        above=1.0,
        note="Effective Lipschitzness is the largest |change of J| / (s ||g||) over the step sizes; lower is smoother.",
        parts=parts_of_run(net, slope),
        evidence=[at_equal_accuracy(net, compared(Median("gradient_norm")))],
    )
    return [*widths, lipschitz, _lowers_beta(net, series, label)]


def _lowers_beta(net: str, series: str, label: str) -> Claim:
    """Return the claim on effective beta: its maximum for the VGG, the share of steps with the larger one for the DLN.

    One early spike decides the deep linear nets' maxima. A maximum also grows with the number of steps in a bin, which
    differs between networks: a quantile is a part.
    """
    beta = AS_PLOTTED["effective_beta"]
    largest, larger = Ratio(Largest(beta), "standard", series), ShareLarger(beta, "standard", series)
    euclidean = Ratio(Largest("effective_beta"), "standard", series)
    typical = at_equal_accuracy(net, Ratio(Median(beta), "standard", series))
    upper = at_equal_accuracy(net, Ratio(UpperDecile(beta), "standard", series))
    claim = Claim(
        name=f"{net}_{series}_lowers_beta",
        statement=f"{label} lowers the {NETS[net]}'s effective beta, i.e. makes it smoother",
        statistic=larger if net == "dln" else at_equal_accuracy(net, largest),
    )
    if net == "dln":
        return replace(claim, above=0.5, parts=over_parts(larger), evidence=[largest, typical])
    others = [at_equal_accuracy(net, euclidean), upper, typical]
    return replace(claim, above=1.0, parts=[*parts_of_run(net, largest), *others])


def like_batch_norm(net: str, series: str) -> list[Claim]:
    """Return the claims that a normalisation narrows the ranges as BatchNorm does, and lowers beta as it does."""
    name, claims = display_name(series), []
    for quantity, label in WIDTHS.items():
        width = Ratio(MedianWidth(AS_PLOTTED.get(quantity, quantity)), series, "batch")
        claims.append(
            Claim(
                name=f"{net}_{series}_{quantity}_like_batch",
                statement=f"The {name} norm narrows the {NETS[net]}'s {label} to a width similar to BatchNorm's",
                statistic=at_equal_accuracy(net, width),
                below=SIMILAR,
                parts=parts_of_run(net, width),
            )
        )
    beta = Ratio(Median(AS_PLOTTED["effective_beta"]), series, "batch")
    return [
        *claims,
        Claim(
            name=f"{net}_{series}_beta_like_batch",
            statement=f"The {NETS[net]}'s effective beta with the {name} norm is similar to BatchNorm's",
            statistic=at_equal_accuracy(net, beta),
            above=1 / SIMILAR,
            below=SIMILAR,
            parts=parts_of_run(net, beta),
        ),
    ]


def _reasons(ratio: Ratio) -> list[Claim]:
    """Return why a range is narrow or wide early or late: its distances are in units of the gradient."""
    outcomes = (
        ("shorter, so the same step sizes cover less distance", None, 1.0, Kind.FAILS),
        ("longer, so the same step sizes cover more distance", 1.0, None, Kind.HOLDS),
    )
    length = Ratio(Median("gradient_norm"), ratio.series, ratio.other)
    return [
        Claim(
            statement=f"{part.words.capitalize()}, the standard network's gradient is {outcome}",
            statistic=During(length, part),
            above=above,
            below=below,
            given=((During(ratio, part), kind),),
        )
        for part in (EARLY, LATE)
        for outcome, above, below, kind in outcomes
    ]
