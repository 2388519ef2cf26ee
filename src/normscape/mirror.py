"""A run as its tracker sees it, while it trains and afterwards: the same names, numbers, summary and pictures."""

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from normscape.config import RunConfig
from normscape.drawing.ridges import save_ridge_plots
from normscape.errors import UserError
from normscape.identity import identity, settings
from normscape.outcome import outcome
from normscape.runs import RunDirectory
from normscape.storage.directories import run_directories
from normscape.storage.files import read_json, write_json
from normscape.storage.records import Row
from normscape.trackers import RunInfo, Tracker, WandbTracker, metric_name
from normscape.trackers.fragments import Fragment, fragments
from normscape.trackers.wishes import is_disabled

NOTE = "wandb.json"
"""The file of a run in which the tracker keeps where its mirror in W&B is, and whether it is whole."""


def labelled_settings(config: RunConfig) -> dict[str, Any]:
    """Return the settings that make the run, and what tables and dashboards call it by."""
    labels = {"name": config.name, "net": config.net, "series": config.series, "scale": config.scale.name}
    return {**settings(config), **labels}


def group_of(config: RunConfig) -> str:
    """Return the W&B group of a run: the figure or sweep that asked for it, else its name."""
    return config.group or config.name


def run_info(config: RunConfig, directory: RunDirectory, rows: Iterable[Row]) -> RunInfo:
    """Return what a tracker may know of a run that begins, or continues after ``rows``."""
    own = labelled_settings(config)
    return _info(own, identity(config), group_of(config), Path(config.runs_dir).absolute(), directory, rows)


def _info(
    config: Mapping[str, Any], run_id: str, group: str, runs: Path, directory: RunDirectory, rows: Iterable[Row]
) -> RunInfo:
    name, scale, seed = (config[key] for key in ("name", "scale", "seed"))
    return RunInfo(
        run_id=run_id,
        name=f"{name}-s{seed}",
        group=group,
        job_type="train",
        tags=(name, scale, f"seed{seed}"),
        config=dict(config),
        directory=runs,
        past=by_step(rows),
        note=directory.path / NOTE,
    )


def by_step(rows: Iterable[Row]) -> list[tuple[int, dict[str, float]]]:
    """Return rows as a tracker takes them: the values of each step by their names, in the order of the steps."""
    steps: dict[int, dict[str, float]] = {}
    for row in rows:
        steps.setdefault(row.step, {})[metric_name(row.quantity, row.layer, row.step_size)] = row.value
    return sorted(steps.items())


def end(
    tracker: Tracker, rows: Sequence[Row], arrays: Mapping[str, Any], ended: Mapping[str, Any], folder: Path, title: str
) -> None:
    """Mirror how a run has ended, and its pictures, which are drawn in ``folder``; the tracker is finished.

    ``ended`` has at least ``status`` and ``step``; see `normscape.outcome.outcome`.
    """
    for name, picture in save_ridge_plots(arrays, folder, title=title):
        tracker.image(int(ended["step"]), name, picture)
    diverged = ended["status"] == "diverged"
    tracker.summarize(outcome(rows, ended), tags=("diverged",) if diverged else ())
    tracker.finish(exit_code=int(diverged))


def tracker_of(directory: RunDirectory, mode: str | None = None) -> WandbTracker:
    """Return what mirrors a run in the project, and for the entity, that it was trained for."""
    note = _note(directory)
    return WandbTracker(note.get("project"), mode, note.get("entity"))


def mirror_ended(directory: RunDirectory, tracker: Tracker) -> bool:
    """Mirror a run that has ended from its own files; return whether all of it is there.

    Raises
    ------
    UserError
        If its files are not whole.
    """
    config, ended = read_json(directory.path / "config.json"), directory.summary
    if ended is None or not isinstance(config, dict) or not {"name", "scale", "seed"} <= config.keys():
        raise UserError(f"{directory.path}: not a run that has ended")
    rows, arrays = rows_of(directory.table()), directory.arrays()
    group = str(directory.status.get("group") or config["name"])
    runs = directory.path.parent.absolute()
    tracker.start(_info(config, directory.identity, group, runs, directory, rows))
    with tempfile.TemporaryDirectory() as folder:
        end(tracker, rows, arrays, ended, Path(folder), title=f"{config['name']} seed {config['seed']}")
    return is_mirrored(directory)


def rows_of(table: pd.DataFrame) -> list[Row]:
    """Return the rows of a table of a run, as they were measured."""

    def place(value: Any) -> Any:
        return None if pd.isna(value) else value.item() if isinstance(value, np.generic) else value

    columns = [table[name] for name in ("step", "quantity", "layer", "step_size", "value")]
    return [
        Row(int(step), str(quantity), place(layer), place(size), float(value))
        for step, quantity, layer, size, value in zip(*columns, strict=True)
    ]


def is_mirrored(directory: RunDirectory) -> bool:
    """Whether a run is in W&B as it has ended: sent, or offline on this machine.

    What was mirrored offline elsewhere, or in a folder that is gone, is to be mirrored here.
    """
    note, ended = _note(directory), directory.summary
    whole = bool(ended and note.get("whole") and note.get("status") == ended["status"])
    return whole and (note.get("mode") == "online" or bool(note.get("sent")) or is_here(note))


def is_here(note: Mapping[str, Any]) -> bool:
    """Whether the fragment that a note tells of is on this machine."""
    return any(Path(str(note.get("directory")), "wandb").glob(f"*run-*-{note.get('id')}*"))


def note_sent(directory: RunDirectory) -> None:
    """Keep that all of a run's mirror has been sent, so that it does not have to stay on this machine."""
    write_json(directory.path / NOTE, {**_note(directory), "sent": True})


def notes(folder: Path) -> dict[str, tuple[RunDirectory, dict[str, Any]]]:
    """Return the runs in a folder that were to be mirrored, and where their mirrors are, by their ids in W&B."""
    runs = [RunDirectory(file.parent.absolute()) for file in sorted(folder.glob(f"*/{NOTE}"))]
    return {str(note["id"]): (run, note) for run in runs if "id" in (note := _note(run))}


def mirrors(folder: Path) -> list[Fragment]:
    """Return the mirrors of the runs in a folder: from the user's ``WANDB_DIR``, else there, and where notes tell."""
    told = [Path(str(note.get("directory"))) for _, note in notes(folder).values()]
    places = dict.fromkeys(path.absolute() for path in [Path(os.environ.get("WANDB_DIR") or folder), *told])
    return [fragment for place in places for fragment in fragments(place / "wandb")]


def asks_for_wandb(config: RunConfig) -> bool:
    """Whether a run is to be mirrored in W&B by its config."""
    return str(config.tracker.get("_target_", "")).endswith(f".{WandbTracker.__name__}")


def is_wanted(directory: RunDirectory) -> bool:
    """Whether a run was to be mirrored when it was trained, whatever became of it."""
    return bool(_note(directory))


def repair(folder: Path, say: Callable[[str], object]) -> None:
    """Mirror, offline, the runs in a folder that have ended and were to be mirrored, but are not whole.

    Those whose files are damaged are named and left out.
    """
    for path in run_directories(folder)[0]:
        run = RunDirectory(path.absolute())
        try:
            if run.summary is not None and is_wanted(run) and not is_mirrored(run):
                mirror_ended(run, tracker_of(run, mode="offline"))
        except UserError as error:
            say(f"left out: {error}")


def _note(directory: RunDirectory) -> dict[str, Any]:
    try:
        note = read_json(directory.path / NOTE)
    except UserError:  # it says nothing about the run
        return {}
    return note if isinstance(note, dict) else {}


def hint(configs: Iterable[RunConfig]) -> str:
    """Return a line about ended runs that are to be mirrored by their configs and are not; empty if there are none."""
    if is_disabled():
        return ""
    missing = sum(not is_mirrored(RunDirectory.of(config)) for config in configs if asks_for_wandb(config))
    finished = "1 finished run" if missing == 1 else f"{missing} finished runs"
    return f"not in W&B yet: {finished}; make mirror adds them" if missing else ""
