"""The rows that a finished run gives to a figure's table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from normscape.errors import UserError
from normscape.evenly import evenly
from normscape.evidence.movements import Floats, moment_movements, movements
from normscape.evidence.table import COLUMNS
from normscape.schema import RunConfig
from normscape.storage.layers import numbered


class Measurements(Protocol):
    """What a run has measured: the files of a finished run, or the outline of one to come."""

    def table(self) -> pd.DataFrame:
        """Return its rows, with the columns of `normscape.storage.records.Row`."""

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Return its stacked snapshots."""


@dataclass(frozen=True)
class FinishedRun:
    """A finished run: its settings and what it measured."""

    config: RunConfig
    measurements: Measurements

    @cached_property
    def _table(self) -> pd.DataFrame:
        return self.measurements.table()

    @cached_property
    def _arrays(self) -> Mapping[str, NDArray[Any]]:
        return self.measurements.arrays()

    @property
    def label(self) -> str:
        """The run in a message."""
        return self.config.label

    @property
    def facts(self) -> dict[str, Any]:
        """What tells the run from others (see `facts_of`)."""
        return facts_of(self.config)

    def labelled(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return rows with the columns that tell this run from others in front."""
        return rows.assign(**self.facts).reindex(columns=COLUMNS)

    def rows(self, *quantities: str) -> pd.DataFrame:
        """Return the run's rows of some quantities.

        Raises
        ------
        UserError
            If it has none of one of them: no probe measures it, or the settings leave it out.
        """
        table = self._table
        for quantity in quantities:
            if not (table["quantity"] == quantity).any():
                raise UserError(f"{self.label}: has no {quantity}; {_cure(quantity)}")
        return self.labelled(numbered(table[table["quantity"].isin(quantities)]))

    def training_rows(self) -> pd.DataFrame:
        """Return what its training is judged by: accuracy where there are classes, else the loss."""
        accurate = (self._table["quantity"] == "train_accuracy").any()
        return self.rows("train_accuracy" if accurate else "train_loss")

    def snapshots(self, quantity: str, layer: int) -> tuple[Floats, NDArray[np.int64]]:
        """Return the snapshots ``(T, ...)`` of a quantity of the layer and their steps ``(T,)``."""
        arrays, name = self._arrays, f"{quantity}/layer{layer:02d}"
        if name not in arrays:
            raise self._no_activations(layer)
        return arrays[name].astype(np.float64), arrays[f"{name}/steps"]

    def _no_activations(self, layer: int) -> UserError:
        what = f"{self.label}: has no activations of layer {layer}"
        return UserError(f"{what}; measure.activation_layers must name it and probe must ask for activations")

    def step_size_range(self, *quantities: str) -> pd.DataFrame:
        """Return the least and the greatest value over the step sizes, at each step, of some quantities."""
        measured = self.rows(*quantities)
        if measured["step_size"].nunique() < 2:
            raise UserError(
                f"{self.label}: has one step size, which spans no range; measure.lr_multiples must name more"
            )
        measured["value"] = measured["value"].fillna(np.inf)  # beyond what float32 holds, not missing
        rows = measured.groupby(["quantity", "step"], as_index=False)["value"]
        edges = [getattr(rows, edge)().assign(edge=edge) for edge in ("min", "max")]
        return self.labelled(pd.concat(edges, ignore_index=True))

    def moments_of_unit(self, layer: int) -> pd.DataFrame:
        """Return how the mean and variance of the drawn unit move from snapshot to snapshot and since the first.

        ``unit_mean_change`` and ``unit_variance_change`` are absolute differences to the snapshot before,
        ``unit_mean_drift`` and ``unit_variance_drift`` signed differences to step 0. Source: paper, fig. 8.
        """
        moments = self.rows("activation_mean", "activation_variance")
        wide = moments[moments["layer"] == layer].pivot_table(index="step", columns="quantity", values="value")
        if wide.empty:
            raise self._no_activations(layer)
        parts = []
        for moment in ("mean", "variance"):
            values = wide[f"activation_{moment}"].sort_index()
            for name, moved in (("change", values.diff().abs()), ("drift", values - values.iloc[0])):
                frame = moved.iloc[1:].rename("value").reset_index()
                parts.append(frame.assign(quantity=f"unit_{moment}_{name}", layer=layer))
        return self.labelled(pd.concat(parts, ignore_index=True))

    def movements(self, layer: int) -> pd.DataFrame:
        """Return how far the distributions of the layer's units moved (`normscape.evidence.movements`)."""
        quantiles, steps = self.snapshots("unit_quantiles", layer)
        moments, _ = self.snapshots("unit_moments", layer)
        return self._moved(layer, steps, movements(quantiles, moments, self._noise(layer)))

    def moment_movements(self, layer: int) -> pd.DataFrame:
        """Return how far the moments of the layer's units moved (`normscape.evidence.movements`)."""
        moments, steps = self.snapshots("unit_moments", layer)
        return self._moved(layer, steps, moment_movements(moments, self._noise(layer)))

    def _moved(self, layer: int, steps: NDArray[np.int64], moved: Mapping[str, Floats]) -> pd.DataFrame:
        frames = [pd.DataFrame({"step": steps[1:], "value": v, "quantity": name}) for name, v in moved.items()]
        return self.labelled(pd.concat(frames, ignore_index=True).assign(layer=layer))

    def _noise(self, layer: int) -> Floats | None:
        if f"unit_noise/layer{layer:02d}" not in self._arrays:
            return None
        return self.snapshots("unit_noise", layer)[0]

    def quantiles(self, layer: int, levels: int, snapshots: int) -> pd.DataFrame:
        """Return rows ``activation_quantile`` of evenly chosen snapshots of a layer, at evenly chosen levels."""
        values, steps = self.snapshots("activation_quantiles", layer)
        times = evenly(len(steps), snapshots)
        chosen = evenly(values.shape[1], levels)
        grid = pd.MultiIndex.from_product([steps[times], (chosen + 0.5) / values.shape[1]], names=["step", "level"])
        frame = pd.DataFrame({"value": values[np.ix_(times, chosen)].ravel()}, index=grid).reset_index()
        return self.labelled(frame.assign(quantity="activation_quantile", layer=layer))

    def percentiles(self, layer: int, levels: Sequence[float]) -> pd.DataFrame:
        """Return rows ``activation_quantile`` of the drawn unit of a layer, at every snapshot, at some levels.

        Between the levels that are stored, by linear interpolation.
        """
        values, steps = self.snapshots("activation_quantiles", layer)
        stored = (np.arange(values.shape[1]) + 0.5) / values.shape[1]
        found = np.array([np.interp(levels, stored, each) for each in values])
        grid = pd.MultiIndex.from_product([steps, levels], names=["step", "level"])
        frame = pd.DataFrame({"value": found.ravel()}, index=grid).reset_index()
        return self.labelled(frame.assign(quantity="activation_quantile", layer=layer))


def facts_of(config: RunConfig) -> dict[str, Any]:
    """Return what tells a run from others, column by column.

    Raises
    ------
    UserError
        If its optimiser has no learning rate of its own: then figures cannot tell its runs apart.
    """
    if "lr" not in config.optimizer:
        raise UserError(f"{config.label}: optimizer.lr is not set; a figure tells its runs apart by it")
    return {
        "run": config.name,
        "net": config.net,
        "series": config.series,
        "lr": float(config.optimizer["lr"]),
        "augment": config.augment,
        "scale": config.scale.name,
        "seed": config.seed,
    }


def first_seed(runs: Sequence[FinishedRun]) -> int:
    """Return the seed whose distributions are drawn."""
    return min(run.config.seed for run in runs)


def _cure(quantity: str) -> str:
    """Say which setting makes a run measure a quantity."""
    if quantity.startswith("ics"):
        return "probe and measure.ics_layers must ask for it"
    if quantity.startswith("activation"):
        return "probe and measure.activation_layers must ask for it"
    if quantity.endswith("accuracy"):
        return "its data and loss must have classes"
    return "a probe must measure it (probe=[activations,ics,landscape,landscape_random] is the default)"
