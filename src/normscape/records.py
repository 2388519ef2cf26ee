"""What a run leaves behind: tidy rows, and arrays beside them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor


class Row(NamedTuple):
    """One measured number. ``layer`` and ``step_size`` are None where the quantity has none."""

    step: int
    quantity: str
    layer: int | None
    step_size: float | None
    value: float


class Snapshot(NamedTuple):
    """One measured array of fixed shape, e.g. the quantiles of a layer's activations at a step."""

    step: int
    quantity: str
    layer: int | None
    values: Tensor


COLUMNS = list(Row._fields)


@dataclass
class Records:
    """Rows and snapshots in the order in which they were measured."""

    rows: list[Row] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)

    def add(self, measured: Iterable[Row | Snapshot]) -> list[Row]:
        """Take in what was measured and return its rows."""
        items = list(measured)
        rows = [item for item in items if isinstance(item, Row)]
        self.rows += rows
        self.snapshots += [item for item in items if isinstance(item, Snapshot)]
        return rows

    def state_dict(self) -> dict[str, Any]:
        """Return plain lists and tensors, for a checkpoint."""
        return {"rows": [tuple(row) for row in self.rows], "snapshots": [tuple(item) for item in self.snapshots]}

    @classmethod
    def from_state_dict(cls, state: dict[str, Any]) -> "Records":
        """Rebuild the records of a checkpoint."""
        return cls([Row(*row) for row in state["rows"]], [Snapshot(*item) for item in state["snapshots"]])

    def table(self) -> pd.DataFrame:
        """Return the rows as a table with the columns of `Row`; a missing layer or step size is NA."""
        table = pd.DataFrame(self.rows, columns=COLUMNS)
        return table.astype({"step": "int64", "layer": "Int64", "step_size": "float64", "value": "float64"})

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return, for each quantity and layer, its snapshots stacked as ``(snapshots, ...)`` and their steps."""
        series: dict[str, list[Snapshot]] = {}
        for item in self.snapshots:
            series.setdefault(array_name(item.quantity, item.layer), []).append(item)
        arrays: dict[str, NDArray[np.generic]] = {}
        for name, items in series.items():
            arrays[name] = torch.stack([item.values for item in items]).numpy()
            arrays[f"{name}/steps"] = np.array([item.step for item in items])
        return arrays


def array_name(quantity: str, layer: int | None) -> str:
    """Return the key of a quantity's array in ``arrays.npz``, e.g. ``activation_quantiles/layer03``."""
    return quantity if layer is None else f"{quantity}/layer{layer:02d}"
