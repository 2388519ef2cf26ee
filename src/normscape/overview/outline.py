"""What a run will have measured when it has finished: its rows without their values, from its config alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from normscape.build import dry_model
from normscape.components import build_data, build_probes
from normscape.network import is_chain, network_of
from normscape.schema import RunConfig
from normscape.storage.records import Records, Row, Snapshot

WITH_CLASSES = [f"normscape.data.{name}" for name in ("cifar10", "mnist", "synthetic", "synthetic_digits")]
"""Data whose targets are classes, which is known without fetching or making them."""

MOST_STEPS = 64
"""Of each cadence so many steps are outlined: enough for every curve, and as little for a run of a million steps."""


@dataclass(frozen=True)
class Outline:
    """Rows and snapshots of the first measured steps of a run to come; every value is 0."""

    records: Records

    def table(self) -> pd.DataFrame:
        """Return the rows, with the columns of `Row`."""
        return self.records.table()

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Return the stacked snapshots."""
        return self.records.arrays()


def outline(config: RunConfig) -> Outline | None:
    """Return the outline of a run, None if its network is no chain, whose layers are known only when it runs."""
    model = dry_model(config)
    if not is_chain(model):
        return None
    network = network_of(model, lambda: None, numbered=True)
    records = Records()
    own = ["train_loss"]
    if _has_classes(config):
        own.append("train_accuracy")
        records.rows += [Row(step, "test_accuracy", None, None, 0.0) for step in _due(config, config.eval_every)]
        records.rows.append(Row(config.steps, "test_accuracy", None, None, 0.0))
    records.rows += [Row(step, name, None, None, 0.0) for step in _due(config, config.log_every) for name in own]
    for probe in build_probes(config, model):
        measured = list(probe.outline(network, float(config.optimizer.get("lr", np.nan))))
        for step in _due(config, probe.every):
            records.rows += [row._replace(step=step, value=0.0) for row in measured if isinstance(row, Row)]
            records.snapshots += [item._replace(step=step) for item in measured if isinstance(item, Snapshot)]
    return Outline(records)


def _due(config: RunConfig, every: int) -> range:
    return range(0, config.steps, every)[:MOST_STEPS]


def _has_classes(config: RunConfig) -> bool:
    return config.data["_target_"] in WITH_CLASSES or not build_data(config).train.targets.is_floating_point()
