"""All runs under a folder as one tidy table: what differs between their settings, and how they ended."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from normscape.errors import UserError
from normscape.runs import RunDirectory
from normscape.storage.directories import run_directories
from normscape.storage.files import read_json

BEST = {"test_accuracy": max, "train_accuracy": max, "train_loss": min}
"""The quantities of a whole network that the table has, and which of their values is best."""

LABELS = ("name", "net", "series", "scale", "seed")
"""Columns that the table has whether or not they differ."""


UNREADABLE = (UserError, OSError, ValueError, KeyError, TypeError, AttributeError)
"""What reading a damaged file can raise; what reads many runs says so in a line and goes on with the others."""


def gather(folder: Path, say: Callable[[str], None] | None = None) -> pd.DataFrame:
    """Return a table of all runs in a folder, one row each.

    Columns: ``run``, the name of its directory; the labels; each setting that differs between the runs, by its key,
    e.g. ``optimizer.lr``; ``status``, ``step``, ``diverged`` and ``diverged_at``; ``wall_seconds``; and for each
    quantity of `BEST` its last and its best finite value, as ``test_accuracy_final`` and ``test_accuracy_best``. A run
    that has not ended has no values yet.

    Parameters
    ----------
    folder
        Of the runs.
    say
        Is told, in a line each, which runs are left out: copies, and those whose files are not what they wrote. Without
        it the first of the latter raises.

    Raises
    ------
    UserError
        If there is no run in the folder that can be read, or, without ``say``, one that cannot.
    """
    if say is None:
        return tidy(runs_in(folder))
    if copies := left_out(folder):
        say(copies)
    rows, damaged = [], []
    for path in runs_in(folder):
        try:
            rows.append(_row(path))
        except UNREADABLE as error:
            damaged.append(unreadable(path, error))
    if not rows:
        raise UserError(f"{folder}: no run in it can be read; {'; '.join(damaged)}")
    for line in damaged:
        say(f"left out: {line}")
    return _tidied(rows)


def unreadable(path: Path, error: Exception) -> str:
    """Return in one line why a run cannot be read."""
    reason = str(error) if isinstance(error, UserError) else f"{path}: cannot be read ({error!r})"
    return " ".join(reason.split())


def runs_in(folder: Path) -> list[Path]:
    """Return the directories of the runs in a folder; `UserError` if there is none."""
    found, _ = run_directories(folder)
    if not found:
        raise UserError(f"{folder}: no run in it; expected a folder of runs, e.g. runs")
    return found


def tidy(paths: Sequence[Path]) -> pd.DataFrame:
    """Return the table of `gather` of some directories of runs."""
    return _tidied([_row(path) for path in paths])


def _tidied(rows: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> pd.DataFrame:
    """Return the table of some runs, from the settings of each and how it ended."""
    settings = pd.DataFrame([own for own, _ in rows])
    differing = [key for key in settings if key in LABELS or settings[key].map(str).nunique() > 1]
    ordered = sorted(differing, key=lambda key: (key not in LABELS, LABELS.index(key) if key in LABELS else 0))
    table = pd.concat([settings[ordered], pd.DataFrame([ends for _, ends in rows])], axis=1)
    return table.set_index("run").reset_index()


def left_out(folder: Path) -> str | None:
    """Say which folders are not in the table, since they are copies, or not called as the run called itself."""
    copies = run_directories(folder)[1]
    return f"left out, copied or renamed: {', '.join(copies)}" if copies else None


def _row(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    config = read_json(path / "config.json")
    if not isinstance(config, dict):
        what = "missing" if config is None else "not the settings of a run"
        raise UserError(f"{path / 'config.json'}: {what}; restore it, or remove the run's folder")
    directory = RunDirectory(path)
    if (summary := directory.summary) is not None:
        directory.require_whole()
    status = directory.status
    ends: dict[str, Any] = {"run": path.name, **{key: status.get(key) for key in ("status", "step", "wall_seconds")}}
    ends["diverged"] = status["status"] == "diverged"
    ends["diverged_at"] = (summary or {}).get("diverged_at")
    return dict(flat(config)), {**ends, **(_values(directory) if summary else {})}


def _values(directory: RunDirectory) -> dict[str, float]:
    table = directory.table()
    whole = table[table["layer"].isna() & table["step_size"].isna()]
    found = {}
    for quantity, best in BEST.items():
        values = [float(value) for value in whole.loc[whole["quantity"] == quantity, "value"]]
        finite = [value for value in values if math.isfinite(value)]
        found[f"{quantity}_final"] = values[-1] if values else math.nan
        found[f"{quantity}_best"] = best(finite) if finite else math.nan
    return found


def flat(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield settings with the whole key of each, e.g. ``optimizer.lr``."""
    for key, value in node.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", json.dumps(value) if isinstance(value, list | dict) else value
