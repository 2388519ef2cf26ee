"""Carry out one run: continue from its last checkpoint, train, save everything."""

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from normscape.build import build, device_of
from normscape.checkpoint import Checkpoints
from normscape.config import RunConfig
from normscape.data.dataset import Dataset
from normscape.errors import Interrupted, UserError
from normscape.files import read_json, write_json
from normscape.interrupts import stop_signals
from normscape.loop import State, train
from normscape.mirror import by_step, end, group_of, hint, labelled_settings, run_info
from normscape.progress import Reporter, duration
from normscape.provenance import commit, provenance
from normscape.records import Records, Row
from normscape.rehearsal import rehearse
from normscape.runs import RunDirectory
from normscape.trackers import Tracker


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
        reporter.message(f"{label}: already {directory.summary['status']}; {directory.path}{_warned(directory)}")
        if missing := hint([config]):
            reporter.message(missing)
    else:
        waiting = f"{label}: another process trains this run; waiting"
        with directory.lock(on_wait=lambda: reporter.message(waiting), stopped=stopped):
            directory = RunDirectory.of(config)  # another process may have made it, under another name
            if directory.summary is None:
                with stop_signals() as asked:
                    train_it = partial(_train, config, directory, label, reporter, lambda: asked() or stopped())
                    _recorded_failures(directory, train_it)
    return directory


def _recorded_failures(directory: RunDirectory, work: Callable[[], None]) -> None:
    """Do the work; keep what went wrong in the run's directory before passing it on."""
    try:
        work()
    except UserError:
        raise
    except Exception as error:
        directory.path.mkdir(parents=True, exist_ok=True)
        (directory.path / "failure.txt").write_text(traceback.format_exc())
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
    directory.load_checkpoint(checkpoints, device)
    rehearse(plan, state)
    write_json(directory.path / "config.json", labelled_settings(config))
    _note_origin(directory, plan.dataset, device, state.step, reporter)
    saver = _Saver(directory, state, checkpoints, config)
    tracker.start(run_info(config, directory, state.records.rows))
    with _finished_on_error(tracker):

        def on_step(step: int, rows: list[Row]) -> bool:
            for measured, values in by_step(rows):
                tracker.log(measured, values)
            reporter.update(label, step, plan.steps)
            saver.save_now_and_then()
            return not stopped()

        if not train(plan, state, on_step):
            saver.save("interrupted")
            raise Interrupted(f"{label}: stopped at step {state.step} of {plan.steps}; start it again to continue")
        final = saver.save("finished" if state.diverged_at is None else "diverged")
        ended = {**final, "diverged_at": state.diverged_at}
        end(tracker, state.records.rows, state.records.arrays(), ended, directory.path, title=label)
    directory.save_result(state, ended)
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

    def __init__(self, directory: RunDirectory, state: State, checkpoints: Checkpoints, config: RunConfig) -> None:
        self._directory, self._state, self._steps = directory, state, config.steps
        self._every, self._group = config.checkpoint_seconds, group_of(config)
        self._checkpoints, self._unkept = checkpoints, True
        self._spent = float(directory.status.get("wall_seconds", 0.0))
        self._began = self._saved = time.monotonic()

    def save(self, status: str) -> dict[str, Any]:
        """Save now, and return what the status file says."""
        self._directory.save_checkpoint(self._checkpoints)
        self._saved = time.monotonic()
        seconds = round(self._spent + self._saved - self._began, 2)
        content = {"status": status, "step": self._state.step, "steps": self._steps, "wall_seconds": seconds}
        write_json(self._directory.path / "status.json", {**content, "group": self._group})
        return content

    def save_now_and_then(self) -> None:
        """Save if the last save was long enough ago; after the first step, check that everything can be saved."""
        if self._unkept:
            self._checkpoints.require_whole()
            self._unkept = False
        if time.monotonic() - self._saved >= self._every:
            self.save("training")


def _outcome(records: Records, final: dict[str, Any]) -> str:
    last = {row.quantity: row for row in records.rows}
    shown = [f"{q} {last[q].value:.4g}" for q in ("train_loss", "train_accuracy", "test_accuracy") if q in last]
    return f"{final['status']} after {final['step']} steps in {duration(final['wall_seconds'])}, {', '.join(shown)}"


@contextmanager
def _finished_on_error(tracker: Tracker) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        tracker.summarize({"status": "interrupted" if isinstance(error, Interrupted) else "failed"})
        tracker.finish(exit_code=1)
        raise
