"""What BatchNorm's two terms take away in one layer, over its units, and of how many of these a theorem holds."""

import math

import torch
from torch import Tensor

from normscape.probes.around_norm import Curvatures, Gradients
from normscape.theory import Statement, theorem_4_1, theorem_4_2
from normscape.theory.lipschitz import gradient_terms
from normscape.theory.smoothness import curvature

OVER_ALL_UNITS = (
    "gradient_mean_share",
    "gradient_scale_share",
    "gradient_share_of_units",
    "batch_norm_gain",
    "silent_units",
    "theorem_4_1_residual",
    "theorem_4_1_slack",
    "theorem_4_1_holds",
    "theorem_4_2_aligned",
)
CONDITIONS = ("order", "norms", "curved", "reading", "reading_as_printed")
OVER_CHOSEN_UNITS = (
    "curvature_projection_share",
    "curvature_second_share",
    "curvature_share_of_units",
    "theorem_4_2_residual",
    "theorem_4_2_slack",
    "theorem_4_2_holds",
    *(f"theorem_4_2_{name}" for name in CONDITIONS),
)
"""The quantities of `of_gradients` and `of_curvatures`; `normscape.Theory` says what they are."""


def of_gradients(found: Gradients) -> dict[str, Tensor]:
    """Return what is measured over all units of a layer."""
    whole, along_one, along_yhat = gradient_terms(found.g, found.y)
    speaking = whole > 0
    statement = theorem_4_1(found.g, found.h, found.y, found.gamma)
    values = {
        "gradient_mean_share": along_one.sum() / whole.sum(),
        "gradient_scale_share": along_yhat.sum() / whole.sum(),
        "gradient_share_of_units": median(((along_one + along_yhat) / whole)[speaking]),
        "batch_norm_gain": median((found.gamma / found.y.sigma).square()),
        "silent_units": share(~speaking),
        **judged("theorem_4_1", statement, speaking),
        "theorem_4_2_aligned": share((found.y.along(found.g) > 0)[speaking]),
    }
    if found.change is not None:
        values["observation_4_3_residual"] = torch.tensor(found.change)
    return values


def of_curvatures(gradients: Gradients, found: Curvatures) -> dict[str, Tensor]:
    """Return what is measured over the units whose curvature is known, of which the gradients are too."""
    y, g, h, gamma = gradients.y, gradients.g, gradients.h, gradients.gamma
    forms = curvature(g, found.products, y, gamma)
    speaking = g.square().sum(1) > 0
    statement = theorem_4_2(g, h, found.form, found.products, y, gamma)
    total = forms.whole.sum()
    total = torch.where(total > 0, total, math.nan)  # of a form that is not positive there is no share
    taken = (1 - (forms.projected - forms.second) / forms.whole)[speaking & (forms.whole > 0)]
    return {
        "curvature_projection_share": 1 - forms.projected.sum() / total,
        "curvature_second_share": forms.second.sum() / total,
        "curvature_share_of_units": median(taken),
        **judged("theorem_4_2", statement, speaking),
        **{f"theorem_4_2_{name}": share(statement.conditions[name][speaking]) for name in CONDITIONS},
    }


def judged(name: str, statement: Statement, speaking: Tensor) -> dict[str, Tensor]:
    """Return the largest residual of some units, their median slack, and of how many the printed form holds."""
    some = speaking & (statement.size > 0)
    residuals = statement.residual[some]
    return {
        f"{name}_residual": residuals.max() if len(residuals) else torch.tensor(math.nan),
        f"{name}_slack": median(statement.slack[some]),
        f"{name}_holds": share(statement.holds_as_printed[some]),
    }


def share(true: Tensor) -> Tensor:
    """Return the share of units of which something is true; NaN if there is no unit."""
    return true.double().mean()


def median(values: Tensor) -> Tensor:
    """Return the median over units; NaN if there is no unit."""
    return values.nanquantile(0.5) if len(values) else torch.tensor(math.nan)
