"""What a run leaves behind: tidy rows, and arrays beside them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from normscape.errors import UserError
from normscape.storage.layers import array_name


class Row(NamedTuple):
    """One measured number. ``layer``, a number or a module path, and ``step_size`` are None where there is none."""

    step: int
    quantity: str
    layer: int | str | None
    step_size: float | None
    value: float


class Snapshot(NamedTuple):
    """One measured array of fixed shape, e.g. the quantiles of a layer's activations at a step."""

    step: int
    quantity: str
    layer: int | str | None
    values: Tensor


COLUMNS = list(Row._fields)


@dataclass
class Records:
    """Rows and snapshots in the order in which they were measured."""

    rows: list[Row] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)

    def add(self, measured: Iterable[Row | Snapshot]) -> list[Row]:
        """Add what was measured, all of it or nothing, and return its rows."""
        items = list(measured)
        rows = [item for item in items if isinstance(item, Row)]
        self.rows += rows
        self.snapshots += [item for item in items if isinstance(item, Snapshot)]
        return rows

    def shape_of(self, quantity: str, layer: int | str | None) -> torch.Size | None:
        """Return the shape of a quantity's snapshots, or None if there is none yet."""
        known = (item.values.shape for item in self.snapshots if (item.quantity, item.layer) == (quantity, layer))
        return next(known, None)

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
        layers = "string" if any(isinstance(row.layer, str) for row in self.rows) else "Int64"  # "0" may be a path
        return table.astype({"step": "int64", "layer": layers, "step_size": "float64", "value": "float64"})

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


OWN = ("train_loss", "train_accuracy", "test_accuracy", "learning_rate")
"""Quantities that the training loop itself records."""


def checked(
    measured: Iterable[Any], step: int, probe: str, records: Records, seen: set[Any]
) -> Iterator[Row | Snapshot]:
    """Yield what a probe measured of a step, each number as a float, or refuse what would be lost or mixed up.

    ``seen`` holds what all probes of the step have yielded so far.

    Raises
    ------
    UserError
        For what is neither `Row` nor `Snapshot`, belongs to another step, has a name that the run itself uses, occurs
        twice, is not a number, or is an array of a different shape than before or whose name is another one's.
    """
    for item in measured:
        if not isinstance(item, Row | Snapshot):
            raise UserError(f"{_what(probe, item)}; expected a normscape Row or Snapshot")
        if not isinstance(item.quantity, str) or not item.quantity or item.quantity in OWN:
            raise UserError(
                f"{_what(probe, item)}; expected a name of its own for the quantity, not one of {', '.join(OWN)}"
            )
        if item.step != step:
            raise UserError(f"{_what(probe, item)}; expected the step that was measured, {step}")
        if (
            isinstance(item.layer, bool)
            or item.layer == ""
            or not isinstance(item.layer, int | str | np.integer | None)
        ):
            raise UserError(f"{_what(probe, item)}; expected the layer's number or path, or None")
        key = (type(item), *item[1:-1])
        if key in seen:
            raise UserError(
                f"{_what(probe, item)} a second time in a step; expected each quantity, layer and step size once"
            )
        seen.add(key)
        yield _number(item, probe) if isinstance(item, Row) else _array(item, probe, records)


def _what(probe: str, item: Any) -> str:
    """Return what a probe yielded in words; only for a refusal, since it takes longer than most measurements."""
    return f"probe {probe}: it yielded {type(item).__name__}{tuple(item)[:4] if isinstance(item, tuple) else ''}"


def _number(row: Row, probe: str) -> Row:
    try:
        size = None if row.step_size is None else float(row.step_size)
        return Row(int(row.step), row.quantity, _layer(row.layer), size, float(row.value))
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{_what(probe, row)}; expected a number as its value, not {row.value!r}") from error


def _layer(layer: Any) -> int | str | None:
    return int(layer) if isinstance(layer, np.integer) else layer


def _array(snapshot: Snapshot, probe: str, records: Records) -> Snapshot:
    if not isinstance(snapshot.values, Tensor):
        raise UserError(f"{_what(probe, snapshot)}; expected a tensor as its values")
    layer, values = _layer(snapshot.layer), snapshot.values.detach().cpu()
    if "/" in f"{snapshot.quantity}{layer}" or layer == "steps":  # as names in arrays.npz use them
        raise UserError(f"{_what(probe, snapshot)}; expected a quantity and a layer without '/', and no layer 'steps'")
    values = values.to_dense() if values.layout is not torch.strided else values
    values = values.float() if values.dtype in (torch.bfloat16, torch.float16) else values
    shape = records.shape_of(snapshot.quantity, layer)
    if shape not in (None, values.shape):
        raise UserError(
            f"{_what(probe, snapshot)}; expected the shape of the first one, {tuple(shape or ())}, "
            f"not {tuple(values.shape)}"
        )
    return Snapshot(int(snapshot.step), snapshot.quantity, layer, values)
