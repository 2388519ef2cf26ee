"""How a run has ended, in a few numbers that a table of runs sorts by."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from normscape.evidence.marks import steps_to_reach
from normscape.storage.records import Row
from normscape.trackers.protocol import MILESTONES


def outcome(rows: Sequence[Row], ended: Mapping[str, Any]) -> dict[str, float | str]:
    """Return what a table of runs sorts by; what a run has not measured, or not reached, is left out.

    Parameters
    ----------
    rows
        Everything that the run has measured.
    ended
        At least its ``status``; ``diverged_at`` and ``wall_seconds`` where they are known.

    Returns
    -------
    dict
        ``status``, ``diverged_at`` (the step) and ``wall_seconds``; ``test_accuracy_best`` and ``test_accuracy_final``,
        from 0 to 1; ``steps_to_50`` and so on for all `MILESTONES`, the first step at which the mean of five
        neighbouring logged mini-batches reaches that training accuracy (`normscape.evidence.marks.steps_to_reach`);
        ``effective_beta_max``, the largest effective beta-smoothness along the gradient; and ``ics_median``, the median
        over steps and layers of the internal covariate shift ||G - G'||.
    """
    labels = ("status", "diverged_at", "wall_seconds")
    found: dict[str, float | str] = {name: ended[name] for name in labels if ended.get(name) is not None}
    test, training = (_curve(rows, f"{split}_accuracy") for split in ("test", "train"))
    numbers = {"test_accuracy_best": test.max(), "test_accuracy_final": test.iloc[-1] if len(test) else math.nan}
    numbers |= {f"steps_to_{level}": steps_to_reach(training, level / 100) for level in MILESTONES}
    numbers |= {"effective_beta_max": _finite(rows, "effective_beta").max(initial=-math.inf)}
    shifts = _finite(rows, "ics_l2")
    numbers |= {"ics_median": np.median(shifts) if len(shifts) else math.nan}
    return found | {name: float(value) for name, value in numbers.items() if math.isfinite(value)}


def _curve(rows: Sequence[Row], quantity: str) -> "pd.Series[float]":
    values = {row.step: row.value for row in rows if row.quantity == quantity and row.layer is None}
    return pd.Series(values, dtype="float64")


def _finite(rows: Sequence[Row], quantity: str) -> np.ndarray:
    values = np.array([row.value for row in rows if row.quantity == quantity], dtype=np.float64)
    return values[np.isfinite(values)]
