"""Results to which seeds are added: the runs that they have stay as they are, and are not trained again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from normscape.errors import UserError
from normscape.evidence.results import Results, run_entries
from normscape.evidence.table import COLUMNS, RESTORE, gather
from normscape.identity import identity
from normscape.schema import RunConfig

DRAWN = "activation_quantile"
"""The quantity that a figure's table has of its first seed alone (`normscape.evidence.finished.first_seed`)."""

Key = tuple[str, int]
"""A run's label and its seed."""


@dataclass(frozen=True)
class Kept:
    """The runs that a figure's results have.

    Attributes
    ----------
    rows
        Their rows of its table.
    entries
        Settings and origin of each, as `normscape.evidence.results.by_run` takes them.
    again
        Runs that the results had, and that are to be trained anew.
    """

    rows: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=COLUMNS))
    entries: Mapping[Key, tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=dict)
    again: frozenset[Key] = frozenset()

    @classmethod
    def of(cls, results: Results) -> "Kept":
        """Return what some results have; nothing if there are no results, or their figure is of no run.

        Raises
        ------
        UserError
            If they are damaged, or of a figure whose rows compare runs of several seeds.
        """
        if results.kept() is None or not results.figure.runs:
            return cls()
        if results.table_file is None:
            raise UserError(f"--add: {results.file} has no table beside it; {RESTORE}")
        if getattr(results.figure.module, "ACROSS_SEEDS", False):
            reason = "its table compares runs of several seeds with each other"
            raise UserError(f"--add: {results.figure.label}: {reason}; make it anew, without --add")
        manifest = results.manifest()
        entries: dict[Key, tuple[dict[str, Any], dict[str, Any]]] = {}
        for name, seed, entry in run_entries(manifest):
            config = {**manifest["runs"][name]["config"], **entry.get("config", {}), "name": name, "seed": seed}
            origin = {key: value for key, value in entry.items() if key != "config"}
            entries[name, seed] = config, {"tabulated_by": manifest["tabulated_by"]["commit"], **origin}
        return cls(results.table(manifest), entries)

    def seeds(self, run: str) -> list[int]:
        """Return the seeds that it has of a run, by its label, or is to have again."""
        return [seed for name, seed in (*self.entries, *self.again) if name == run]

    def __contains__(self, config: RunConfig) -> bool:
        return (config.name, config.seed) in self.entries

    def require_same(self, results: Results, configs: Sequence[RunConfig]) -> None:
        """Raise `UserError` unless each of its runs is the one that the code and the settings of today make."""
        for config in (config for config in configs if config in self):
            was, now = self.entries[config.name, config.seed][1].get("identity"), identity(config)
            if was != now:
                changed = f"{config.name} seed {config.seed} is run {was} there, and would be {now} now"
                cure = "--add --renew makes such runs anew, and without --add all are"
                raise UserError(f"--add: {results.file}: {changed}; {cure}")

    def of_today(self, configs: Sequence[RunConfig]) -> "Kept":
        """Return those of its runs that today's code and settings would make; the others are to be trained again."""
        mine = {(config.name, config.seed): identity(config) for config in configs if config in self}
        again = {key for key, now in mine.items() if self.entries[key][1].get("identity") != now}
        keys = zip(self.rows["run"], self.rows["seed"], strict=True)
        rows = self.rows[[key not in again for key in keys]].reset_index(drop=True)
        return Kept(rows, {key: entry for key, entry in self.entries.items() if key not in again}, frozenset(again))

    def with_new(self, rows: pd.DataFrame, order: Sequence[Key]) -> pd.DataFrame:
        """Return its rows and those of new runs, run by run in an order; drawn distributions of the first seed alone.

        Raises
        ------
        UserError
            If a run's new rows are of a quantity that those kept of it lack: other code made that table.
        """
        for run in dict.fromkeys(name for name, _ in self.entries):
            had, has = (set(table.loc[table["run"] == run, "quantity"]) for table in (self.rows, rows))
            if lacking := sorted(has - had - {DRAWN}):
                raise UserError(
                    f"--add: the results have no {', '.join(lacking)} of {run}; make them anew without --add"
                )
        return of_first_seed(run_by_run(gather([self.rows, rows]), order))


def run_by_run(rows: pd.DataFrame, order: Sequence[Key]) -> pd.DataFrame:
    """Return the rows of some runs in the order of these; the rows of a run stay in theirs.

    Rows of runs that the figure does not declare any more are left out; those of another seed would be a fault.
    """
    place = {key: number for number, key in enumerate(order)}
    labels = {run for run, _ in order}
    keys = [*zip(rows["run"], rows["seed"], strict=True)]
    if lost := {key for key in keys if key not in place and key[0] in labels}:
        raise ValueError(f"rows of runs that are not asked for: {sorted(lost)[:3]}")
    places = np.array([place.get(key, -1) for key in keys], dtype=int)
    return rows.iloc[np.argsort(places, kind="stable")[(places < 0).sum() :]].reset_index(drop=True)


def of_first_seed(rows: pd.DataFrame) -> pd.DataFrame:
    """Leave out drawn distributions of all seeds but the first."""
    drawn = rows["quantity"] == DRAWN
    kept: pd.DataFrame = rows[~drawn | (rows["seed"] == rows.loc[drawn, "seed"].min())]
    return kept.reset_index(drop=True)
