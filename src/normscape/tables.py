"""The table behind a figure: the rows of several runs, told apart by series, learning rate and seed."""

import gzip
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from normscape.config import RunConfig
from normscape.errors import UserError
from normscape.files import replacing
from normscape.runs import RunDirectory

COLUMNS = ["run", "series", "lr", "seed", "step", "quantity", "layer", "step_size", "level", "edge", "value"]
"""``level`` is of a quantile, ``edge`` min or max of a band over step sizes; what a row has no use for is empty."""

LARGE_BYTES = 2**20

TYPES = {
    "layer": "Int64",
    "step_size": "float64",
    "level": "float64",
    "lr": "float64",
    "edge": "string",
    "value": "float64",
}

ORIGINAL_NAMES = {
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
tensors can give is sqrt(25) = 5 times (results/original, figs. 10 and 11).
"""


@dataclass(frozen=True)
class FinishedRun:
    """A run that is over: its settings and its directory."""

    config: RunConfig
    directory: RunDirectory

    @property
    def series(self) -> str:
        """The normalisation's name as figures use it: ``batch`` for ``vgg_batch_lr0.5``."""
        return re.sub(r"^[a-z]+_|_lr[0-9.e-]+$|_augmented$", "", self.config.name)

    def labelled(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return rows with the columns that tell this run from others in front."""
        return rows.assign(
            run=self.config.name, series=self.series, lr=float(self.config.optimizer["lr"]), seed=self.config.seed
        ).reindex(columns=COLUMNS)

    def rows(self, *quantities: str) -> pd.DataFrame:
        """Return the run's rows of some quantities."""
        table = self.directory.table()
        return self.labelled(table[table["quantity"].isin(quantities)])

    def _snapshots(self, layer: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the quantile functions ``(T, Q)`` of the layer's unit and their steps ``(T,)``."""
        arrays, name = self.directory.arrays(), f"activation_quantiles/layer{layer:02d}"
        if name not in arrays:
            label = f"{self.config.name} seed {self.config.seed}"
            raise UserError(f"{label}: has no activations of layer {layer}; probe.activations.layers must name it")
        return arrays[name].astype(np.float64), arrays[f"{name}/steps"]

    def band(self, *quantities: str) -> pd.DataFrame:
        """Return the least and the greatest value over the step sizes, at each step, of some quantities."""
        measured = self.rows(*quantities)
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
        with np.errstate(invalid="ignore", divide="ignore"):  # what diverged or never moves has changes that are NaN
            distance = np.abs(np.diff(values, axis=0)).mean(axis=1)
            change = distance / np.sqrt(values.var(axis=1).mean())
        moved = {"activation_distance": distance, "activation_change": change}
        frames = [pd.DataFrame({"step": steps[1:], "value": v, "quantity": name}) for name, v in moved.items()]
        return self.labelled(pd.concat(frames, ignore_index=True).assign(layer=layer))


def select(table: pd.DataFrame, **columns: object) -> pd.DataFrame:
    """Return the rows whose columns have the given values."""
    keep = np.ones(len(table), dtype=bool)
    for name, value in columns.items():
        keep &= (table[name] == value).fillna(value=False).to_numpy(dtype=bool)
    return table[keep]


def curve(table: pd.DataFrame, **columns: object) -> pd.Series:
    """Return the values of one seed's curve, indexed by step; ValueError if the columns leave more than one curve."""
    values = select(table, **columns).set_index("step")["value"].sort_index()
    if values.index.has_duplicates:
        raise ValueError(f"{columns} are several curves")
    return values


def write_table(table: pd.DataFrame, folder: Path, stem: str) -> Path:
    """Write a figure's table as ``<stem>.csv``, or ``<stem>.csv.gz`` if it is large, and return the file.

    9 significant digits, all that float32 has, which every claim and drawing is then made from.
    """
    text = table.to_csv(index=False, float_format="%.9g", lineterminator="\n").encode()
    large = len(text) > LARGE_BYTES
    paths = folder / f"{stem}.csv", folder / f"{stem}.csv.gz"
    with replacing(paths[large]) as file:
        file.write(gzip.compress(text, mtime=0) if large else text)
    paths[not large].unlink(missing_ok=True)
    return paths[large]


def table_file(folder: Path, stem: str) -> Path | None:
    """Return the file of a figure's table, None if there is none."""
    files = (folder / f"{stem}.csv", folder / f"{stem}.csv.gz")
    return next((file for file in files if file.exists()), None)


def read_table(path: Path) -> pd.DataFrame:
    """Read a figure's table."""
    return pd.read_csv(path, dtype=TYPES)


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
    names = raw["quantity"].map(lambda name: ORIGINAL_NAMES.get(name, (name, 1.0))[0])
    factors = raw["quantity"].map(lambda name: ORIGINAL_NAMES.get(name, (name, 1.0))[1])
    table = raw.assign(run="paper", seed=0, quantity=names, value=raw["y"] * factors)
    euclidean = table["quantity"].str.removesuffix("_tensor_sum")
    twins = table.assign(quantity=euclidean)[euclidean != table["quantity"]]  # the only values that the paper has
    table = pd.concat([table, twins], ignore_index=True)
    return table.reindex(columns=COLUMNS).astype(TYPES)
