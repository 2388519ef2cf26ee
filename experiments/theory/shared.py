"""What the figures of the theory share: nets, quantities, and what becomes of the layers of a network."""

from collections.abc import Mapping

import pandas as pd

from normscape.evidence.table import FACTS

NETS = {"vgg": "VGG", "mlp": "MLP", "dln": "DLN"}
"""The nets of the figures, and what sentences call them."""

SERIES = {"standard": "standard, BatchNorm inserted", "batch": "BatchNorm, its own"}
GRADIENT = {"gradient_mean_share": "mean term", "gradient_scale_share": "scale term"}
CURVATURE = {"curvature_projection_share": "projection", "curvature_second_share": "second term"}
SHARES = {**GRADIENT, **CURVATURE}
"""What the terms of theorems 4.1 and 4.2 take away, and what legends call them."""


def over_layers(rows: pd.DataFrame, reductions: Mapping[str, str]) -> pd.DataFrame:
    """Return, for each step of a run, one number over the layers of each quantity: ``median``, ``mean``, ``max``."""
    parts = []
    for quantity, reduction in reductions.items():
        mine = rows[rows["quantity"] == quantity]
        per_step = mine.groupby("step")["value"].agg(reduction).rename("value").reset_index()
        parts.append(per_step.assign(quantity=f"{quantity}_over_layers"))
    facts = {name: rows[name].iloc[0] for name in FACTS}
    return pd.concat(parts, ignore_index=True).assign(**facts).reindex(columns=rows.columns)
