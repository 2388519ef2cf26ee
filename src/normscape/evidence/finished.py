"""The rows that a finished run gives to a figure's table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from normscape.errors import UserError
from normscape.evidence.table import COLUMNS
from normscape.schema import RunConfig


class Measurements(Protocol):
    """What a run has measured: the files of a finished run, or the outline of one to come."""

    def table(self) -> pd.DataFrame:
        """Return its rows, with the columns of `normscape.records.Row`."""

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Return its stacked snapshots."""


@dataclass(frozen=True)
class FinishedRun:
    """A finished run: its settings and what it measured."""

    config: RunConfig
    measurements: Measurements

    @property
    def label(self) -> str:
        """The run in a message."""
        return f"{self.config.name} seed {self.config.seed}"

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
        table = self.measurements.table()
        for quantity in quantities:
            if not (table["quantity"] == quantity).any():
                raise UserError(f"{self.label}: has no {quantity}; {_cure(quantity)}")
        return self.labelled(table[table["quantity"].isin(quantities)])

    def training_rows(self) -> pd.DataFrame:
        """Return what its training is judged by: accuracy where there are classes, else the loss."""
        accurate = (self.measurements.table()["quantity"] == "train_accuracy").any()
        return self.rows("train_accuracy" if accurate else "train_loss")

    def _snapshots(self, layer: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the quantile functions ``(T, Q)`` of the layer's unit and their steps ``(T,)``."""
        arrays, name = self.measurements.arrays(), f"activation_quantiles/layer{layer:02d}"
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

    def moment_changes(self, layer: int) -> pd.DataFrame:
        """Return how the mean and variance of a layer's unit move from snapshot to snapshot and since the first.

        ``mean_change`` and ``variance_change`` are absolute differences to the snapshot before, ``mean_drift`` and
        ``variance_drift`` signed differences to step 0. Source: paper, fig. 8.
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
                parts.append(frame.assign(quantity=f"{moment}_{name}", layer=layer))
        return self.labelled(pd.concat(parts, ignore_index=True))

    def quantiles(self, layer: int, levels: int, snapshots: int) -> pd.DataFrame:
        """Return rows ``activation_quantile`` of evenly chosen snapshots of a layer, at evenly chosen levels."""
        values, steps = self._snapshots(layer)
        times = np.unique(np.linspace(0, len(steps) - 1, min(snapshots, len(steps))).round().astype(int))
        chosen = np.linspace(0, values.shape[1] - 1, levels).round().astype(int)
        grid = pd.MultiIndex.from_product([steps[times], (chosen + 0.5) / values.shape[1]], names=["step", "level"])
        frame = pd.DataFrame({"value": values[np.ix_(times, chosen)].ravel()}, index=grid).reset_index()
        return self.labelled(frame.assign(quantity="activation_quantile", layer=layer))

    def distribution_changes(self, layer: int) -> pd.DataFrame:
        """Return how far the unit's distribution moved since the snapshot before, in two units.

        ``activation_distance`` is the Wasserstein-1 distance of successive snapshots, which is the mean absolute
        difference of their quantile functions; ``activation_change`` is the same in units of the unit's standard
        deviation within a batch (root mean square over all snapshots).
        """
        values, steps = self._snapshots(layer)
        with np.errstate(invalid="ignore", divide="ignore"):  # diverged or constant: NaN
            distance = np.abs(np.diff(values, axis=0)).mean(axis=1)
            change = distance / np.sqrt(values.var(axis=1).mean())
        moved = {"activation_distance": distance, "activation_change": change}
        frames = [pd.DataFrame({"step": steps[1:], "value": v, "quantity": name}) for name, v in moved.items()]
        return self.labelled(pd.concat(frames, ignore_index=True).assign(layer=layer))


def facts_of(config: RunConfig) -> dict[str, Any]:
    """Return what tells a run from others, column by column.

    Raises
    ------
    UserError
        If its optimiser has no learning rate of its own: then figures cannot tell its runs apart.
    """
    if "lr" not in config.optimizer:
        label = f"{config.name} seed {config.seed}"
        raise UserError(f"{label}: optimizer.lr is not set; a figure tells its runs apart by it")
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
