"""A paper's own curves, digitised, in the columns of our tables."""

from pathlib import Path
from typing import Any

import pandas as pd

from normscape.evidence.table import COLUMNS, TYPES

NAMES = {
    "train_acc": ("train_accuracy", 0.01),
    "test_acc": ("test_accuracy", 0.01),
    "ics_cos": ("ics_cosine", 1.0),
    "loss": ("loss_landscape", 1.0),
    "grad_diff": ("gradient_difference_tensor_sum", 1.0),
    "beta": ("effective_beta_tensor_sum", 1.0),
    "mean_diff": ("mean_change", 1.0),
    "var_diff": ("variance_change", 1.0),
    "mean_cum": ("mean_drift", 1.0),
    "var_cum": ("variance_drift", 1.0),
}
"""Quantities of the digitised curves: our name, and the factor to our unit (a share from 0 to 1, not per cent).

That the paper sums the norms of the parameter tensors is inferred: at step 0 of the standard deep linear net the
plotted gradient norm is 4.95 times the Euclidean norm that the loss drop implies, and the most that a sum over 25
tensors can give is sqrt(25) = 5 times (figs. 10 and 11).
"""


def read_original(folder: Path, *stems: str) -> pd.DataFrame | None:
    """Return the paper's own curves of some panels with the columns of our tables (seed 0); None if there are none.

    A stem is the beginning of a file's name: ``fig03`` for all panels of figure 3, ``fig05_a`` for one.
    """
    files = sorted(file for stem in stems for file in folder.glob(f"{stem}*.csv"))
    if not files:
        return None
    raw = pd.concat([pd.read_csv(file) for file in files], ignore_index=True)
    at_step = raw["edge"].str.removeprefix("t=").where(raw["edge"].str.startswith("t="))  # fig. 11: x is a step size
    raw = raw.assign(
        step=at_step.astype("float64").fillna(raw["x"]),
        step_size=raw["x"].where(at_step.notna()),
        edge=raw["edge"].where(raw["edge"].isin(["min", "max"])),
    )
    names = raw["quantity"].map(lambda name: NAMES.get(name, (name, 1.0))[0])
    factors = raw["quantity"].map(lambda name: NAMES.get(name, (name, 1.0))[1])
    facts: dict[str, Any] = {"run": "paper", "augment": False, "scale": "paper", "seed": 0}
    table = raw.assign(**facts, quantity=names, value=raw["y"] * factors)
    return table.reindex(columns=COLUMNS).astype(TYPES)
