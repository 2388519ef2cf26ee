"""The number that a run returns to a sweeper that looks for the best settings."""

import math

from normscape.config import RunConfig
from normscape.errors import UserError, suggest
from normscape.overview.outline import outline
from normscape.runs import RunDirectory


def objective(config: RunConfig) -> float:
    """Return the last value of the quantity ``objective`` of a run that has ended; nan if the run has none.

    A run that has diverged is as bad as can be: an accuracy of 0, any other quantity infinite.
    """
    directory = RunDirectory.of(config)
    if directory.summary is None or directory.summary["status"] == "diverged":
        return 0.0 if config.objective.endswith("accuracy") else math.inf
    return last(directory, config.objective)


def last(directory: RunDirectory, quantity: str) -> float:
    """Return the last value of a quantity of the whole network in a run that has ended; nan if it has none."""
    table = directory.table()
    values = table.loc[(table["quantity"] == quantity) & table["layer"].isna(), "value"]
    return float(values.iloc[-1]) if len(values) else math.nan


def require_objective(config: RunConfig) -> None:
    """Raise `UserError` if a run will have no value of its objective."""
    planned = outline(config)
    if planned is None:  # of a network that is no chain, this is known when it runs
        return
    known = sorted({row.quantity for row in planned.records.rows if row.layer is None})
    if config.objective not in known:
        raise UserError(
            f"objective={config.objective}: {config.name} has no such value{suggest(config.objective, known)}"
        )
