"""Carry out one run: continue from its last checkpoint, train, save everything."""

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch

from normscape.build import build, device_of
from normscape.checkpoint import Checkpoints
from normscape.config import RunConfig
from normscape.data.dataset import Dataset
from normscape.directories import said_of_others
from normscape.drawing.ridges import save_ridge_plots
from normscape.errors import Interrupted, UserError
from normscape.files import read_json, replacing, require_writable, write_json
from normscape.identity import identity, settings
from normscape.interrupts import stop_signals
from normscape.loop import State, train
from normscape.progress import Reporter, duration
from normscape.provenance import commit, provenance
from normscape.records import Records, Row
from normscape.rehearsal import rehearse
from normscape.runs import FAILURE, RunDirectory
from normscape.trackers import RunInfo, Tracker, metric_name


def execute(config: RunConfig, reporter: Reporter, stopped: Callable[[], bool] = lambda: False) -> RunDirectory:
    """Carry out a run and return its directory.

    A run that has ended is not trained again; one that another process is training is waited for; one with a checkpoint
    continues from there. ``stopped`` is asked between two steps.

    Raises
    ------
    UserError
        If the config asks for what cannot be built.
    Interrupted
        If the process was asked to stop (SIGINT or SIGTERM), or ``stopped`` says so; the run is saved.
    """
    directory = RunDirectory.of(config)
    label = f"{config.name} seed {config.seed}"
    if directory.summary is not None:
        said = f"{_warned(directory)}{said_of_others(directory.path, directory.identity)}"
        reporter.message(f"{label}: already {directory.summary['status']}; {directory.path}{said}")
    else:
        require_writable(Path(config.runs_dir).absolute(), "runs_dir")
        waiting = f"{label}: another process trains this run; waiting"
        with directory.lock(on_wait=lambda: reporter.message(waiting), stopped=stopped):
            directory = RunDirectory.of(config)  # another process may have made it, under another name
            if directory.summary is None:
                with stop_signals() as asked:
                    train_it = partial(_train, config, directory, label, reporter, lambda: asked() or stopped())
                    _recorded_failures(directory, train_it)
    return directory


def _recorded_failures(directory: RunDirectory, work: Callable[[], None]) -> None:
    """Do the work; keep what went wrong in the run's directory, as far as it can be written, before passing it on."""
    failure = directory.path / FAILURE
    try:
        with suppress(OSError):
            failure.unlink(missing_ok=True)  # of an earlier time
        work()
    except Exception as error:
        if isinstance(error, UserError) and not (directory.path / "config.json").exists():
            raise  # before anything was begun
        with suppress(OSError, UserError):
            if not isinstance(error, UserError):
                with replacing(failure) as file:
                    file.write(traceback.format_exc().encode(errors="backslashreplace"))
            status = {**directory.status, "status": "failed", "error": f"{type(error).__name__}: {error}"}
            write_json(directory.path / "status.json", status)
        raise


def _train(
    config: RunConfig, directory: RunDirectory, label: str, reporter: Reporter, stopped: Callable[[], bool]
) -> None:
    device = device_of(config)
    components = build(config, device)
    plan, state, tracker = components.plan, components.state, components.tracker
    checkpoints = Checkpoints(state)
    if said := directory.load_checkpoint(checkpoints, device):
        reporter.message(f"{label}: {said}")
    rehearse(plan, state)
    write_json(directory.path / "config.json", _begun_settings(directory, config))
    _note_origin(directory, plan.dataset, device, state.step, reporter)
    saver = _Saver(directory, state, checkpoints, plan.steps, config.checkpoint_seconds)
    tracker.start(_run_info(config))
    with _finished_on_error(tracker):

        def on_step(step: int, rows: list[Row]) -> bool:
            _mirror(tracker, rows)
            reporter.update(label, step, plan.steps)
            saver.save_now_and_then()
            return not stopped()

        if not train(plan, state, on_step):
            saver.save("interrupted")
            raise Interrupted(f"{label}: stopped at step {state.step} of {plan.steps}; start it again to continue")
        final = saver.save("finished" if state.diverged_at is None else "diverged")
        for name, picture in save_ridge_plots(state.records.arrays(), directory.path, title=label):
            tracker.image(state.step, name, picture)
    tracker.finish(exit_code=0)
    directory.save_result(state, {**final, "diverged_at": state.diverged_at})
    reporter.message(f"{label}: {_outcome(state.records, final)}; {directory.path}")


def _note_origin(
    directory: RunDirectory, dataset: Dataset, device: torch.device, step: int, reporter: Reporter
) -> None:
    """Record where the run comes from; a resumed run keeps its first record and adds another."""
    file = directory.path / "provenance.json"
    here = {**provenance(device), "data": {"name": dataset.name, "checksum": dataset.checksum}}
    begun = read_json(file) if step else None
    if begun is None:
        write_json(file, here)
        return
    if begun["data"] != here["data"]:
        was, now = begun["data"], here["data"]
        raise UserError(
            f"data: the run began with {was['name']} {was['checksum']} and would continue with {now['name']} "
            f"{now['checksum']}; restore the data, or remove {directory.path}"
        )
    write_json(file, {**begun, "resumed": [*begun.get("resumed", []), {"from_step": step, **here}]})
    if begun["hardware"] != here["hardware"] or begun["commit"] != here["commit"]:
        where = f"{directory.path.name}: continues from step {step}"
        reporter.message(f"{where} on other hardware, threads or code than it began with; its bits may differ")


def _warned(directory: RunDirectory) -> str:
    """Warn that the code may no longer produce this run: its identity does not cover uncommitted changes."""
    then, now = (read_json(directory.path / "provenance.json") or {}).get("commit"), commit()
    if any((revision or "").endswith("+changes") for revision in (then, now)):
        return " (the code had or has uncommitted changes; if they affect its numbers, remove its folder)"
    return ""


class _Saver:
    """Writes checkpoint and status of a run, and knows how long it has trained in total."""

    def __init__(
        self, directory: RunDirectory, state: State, checkpoints: Checkpoints, steps: int, every_seconds: float
    ) -> None:
        self._directory, self._state, self._steps, self._every = directory, state, steps, every_seconds
        self._checkpoints, self._unkept = checkpoints, True
        self._spent = float(directory.status.get("wall_seconds", 0.0))
        self._began = self._saved = time.monotonic()

    def save(self, status: str) -> dict[str, Any]:
        """Save now, and return what the status file says."""
        self._directory.save_checkpoint(self._checkpoints)
        self._saved = time.monotonic()
        seconds = round(self._spent + self._saved - self._began, 2)
        content = {"status": status, "step": self._state.step, "steps": self._steps, "wall_seconds": seconds}
        write_json(self._directory.path / "status.json", content)
        return content

    def save_now_and_then(self) -> None:
        """Save if the last save was long enough ago; after the first step, check that everything can be saved."""
        if self._unkept:
            self._checkpoints.require_whole()
            self._unkept = False
        if time.monotonic() - self._saved >= self._every:
            self.save("training")


def _labelled_settings(config: RunConfig) -> dict[str, Any]:
    """Return the settings that make the run, and what tables and dashboards call it by."""
    labels = {"name": config.name, "net": config.net, "series": config.series, "scale": config.scale.name}
    return {**settings(config), **labels}


def _begun_settings(directory: RunDirectory, config: RunConfig) -> dict[str, Any]:
    """Return the settings with the label with which the run was begun, by which its directory is called."""
    begun = read_json(directory.path / "config.json")
    name = begun["name"] if isinstance(begun, dict) and "name" in begun else config.name
    return {**_labelled_settings(config), "name": name}


def _run_info(config: RunConfig) -> RunInfo:
    tags = (config.name, config.scale.name, f"seed{config.seed}")
    return RunInfo(
        run_id=identity(config),
        name=f"{config.name}-s{config.seed}",
        group=config.group or config.name,
        job_type="train",
        tags=tags,
        config=_labelled_settings(config),
        directory=Path(config.runs_dir).absolute(),
    )


def _mirror(tracker: Tracker, rows: list[Row]) -> None:
    for step in sorted({row.step for row in rows}):
        values = {metric_name(row.quantity, row.layer, row.step_size): row.value for row in rows if row.step == step}
        tracker.log(step, values)


def _outcome(records: Records, final: dict[str, Any]) -> str:
    last = {row.quantity: row for row in records.rows}
    shown = [f"{q} {last[q].value:.4g}" for q in ("train_loss", "train_accuracy", "test_accuracy") if q in last]
    return f"{final['status']} after {final['step']} steps in {duration(final['wall_seconds'])}, {', '.join(shown)}"


@contextmanager
def _finished_on_error(tracker: Tracker) -> Iterator[None]:
    try:
        yield
    except BaseException:
        tracker.finish(exit_code=1)
        raise
