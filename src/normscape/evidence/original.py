"""A paper's own curves, digitised, in the columns of our tables."""

import hashlib
import io
from pathlib import Path
from typing import Any

import pandas as pd

from normscape.errors import UserError
from normscape.evidence.table import COLUMNS, TYPES

CHECKSUMS = "SHA256SUMS"
"""In the folder of the curves: the SHA-256 of each of its files, as ``sha256sum`` writes and checks them."""

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


OF_ONE_UNIT = ("mean_change", "variance_change", "mean_drift", "variance_drift")
"""What the paper plots of one unit of a layer; it stands beside ours of the drawn unit, ``unit_...``, too."""


def read_original(folder: Path, *stems: str) -> pd.DataFrame | None:
    """Return the paper's own curves of some panels with the columns of our tables (seed 0); None if there are none.

    A stem is the beginning of a file's name: ``fig03`` for all panels of figure 3, ``fig05_a`` for one.

    Raises
    ------
    UserError
        If a file is not the one whose checksum is kept beside it.
    """
    files = sorted(file for stem in stems for file in folder.glob(f"{stem}*.csv"))
    if not files:
        return None
    known = checksums(folder)
    raw = pd.concat([_whole(file, known) for file in files], ignore_index=True)
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
    of_unit = table[table["quantity"].isin(OF_ONE_UNIT)]
    table = pd.concat([table, of_unit.assign(quantity="unit_" + of_unit["quantity"])], ignore_index=True)
    return table.reindex(columns=COLUMNS).astype(TYPES)


def checksums(folder: Path) -> dict[str, str] | None:
    """Return the SHA-256 that is kept of each file in a folder of curves, None if none is."""
    file = folder / CHECKSUMS
    if not file.exists():
        return None
    lines = (line.partition("  ") for line in file.read_text(errors="replace").splitlines())
    return {name: sha256 for sha256, _, name in lines}


def _whole(file: Path, known: dict[str, str] | None) -> pd.DataFrame:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}); git checkout {file.parent} restores it") from error
    if known is not None and known.get(file.name) != hashlib.sha256(content).hexdigest():
        raise UserError(f"{file}: not the curve that was digitised; git checkout {file.parent} restores it")
    return pd.read_csv(io.BytesIO(content))
