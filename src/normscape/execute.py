"""Carry out one run: continue from its last checkpoint, train, save everything."""

import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch

from normscape.build import build, device_of
from normscape.checkpoint import Checkpoints
from normscape.config import RunConfig
from normscape.data.dataset import Dataset
from normscape.drawing.ridges import save_ridge_plots
from normscape.errors import Interrupted, UserError
from normscape.files import read_json, write_json
from normscape.identity import identity, settings
from normscape.interrupts import stop_signals
from normscape.loop import State
from normscape.progress import Reporter, duration
from normscape.provenance import commit, provenance
from normscape.records import Records, Row
from normscape.reduced.loop import Run, train_any
from normscape.rehearsal import rehearse
from normscape.runs import RunDirectory
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
    (directory,) = execute_together([config], reporter, stopped)
    return directory


def execute_together(
    configs: Sequence[RunConfig], reporter: Reporter, stopped: Callable[[], bool] = lambda: False
) -> list[RunDirectory]:
    """Carry out runs that can be trained as one (`normscape.reduced.groups`), or a single run; see `execute`.

    Each run has its own directory, checkpoint and mirror, and the numbers that it has alone. If what one of them asks
    for cannot be built, none is trained.
    """
    with ExitStack() as held:
        missing = [
            (config, directory)
            for config in _in_order_of_locks(configs)
            if (directory := _held(config, held, reporter, stopped))
        ]
        if missing:
            with stop_signals() as asked:
                _recorded_failures(
                    [directory for _, directory in missing],
                    partial(_train, missing, reporter, lambda: asked() or stopped()),
                )
    return [RunDirectory.of(config) for config in configs]


def _in_order_of_locks(configs: Sequence[RunConfig]) -> list[RunConfig]:
    """Return runs in an order that is the same in every process, so that no two wait for each other."""
    return sorted(configs, key=identity)


def _held(config: RunConfig, held: ExitStack, reporter: Reporter, stopped: Callable[[], bool]) -> RunDirectory | None:
    """Lock a run; return its directory, or None if it has ended."""
    directory, label = RunDirectory.of(config), _label(config)
    if directory.summary is not None:
        reporter.message(f"{label}: already {directory.summary['status']}; {directory.path}{_warned(directory)}")
        return None
    waiting = f"{label}: another process trains this run; waiting"
    held.enter_context(directory.lock(on_wait=lambda: reporter.message(waiting), stopped=stopped))
    directory = RunDirectory.of(config)  # another process may have made it, under another name
    return directory if directory.summary is None else None


def _label(config: RunConfig) -> str:
    return f"{config.name} seed {config.seed}"


def _recorded_failures(directories: Sequence[RunDirectory], work: Callable[[], None]) -> None:
    """Do the work; keep what went wrong in the directories of the runs before passing it on."""
    try:
        work()
    except UserError:
        raise
    except Exception as error:
        for directory in directories:
            directory.path.mkdir(parents=True, exist_ok=True)
            (directory.path / "failure.txt").write_text(traceback.format_exc())
            status = {**directory.status, "status": "failed", "error": f"{type(error).__name__}: {error}"}
            write_json(directory.path / "status.json", status)
        raise


def _train(runs: Sequence[tuple[RunConfig, RunDirectory]], reporter: Reporter, stopped: Callable[[], bool]) -> None:
    sessions: list[_Session] = []
    if len(runs) > 1:
        reporter.message(f"{len(runs)} runs are trained as one: {_names([config for config, _ in runs])}")
    try:
        for config, directory in runs:
            sessions.append(_Session(config, directory, reporter, stopped, quiet=bool(sessions)))
        train_any(runs[0][0], [Run(each.plan, each.state, each.on_step) for each in sessions])
    except BaseException:
        for session in sessions:
            session.tracker.finish(exit_code=1)
        raise
    interrupted = sorted(str(error) for session in sessions if (error := session.conclude()))
    if interrupted:
        raise Interrupted("; ".join(interrupted))


def _names(configs: Sequence[RunConfig]) -> str:
    names = Counter(config.name for config in configs)
    return ", ".join(f"{name} ({count} seeds)" if count > 1 else name for name, count in sorted(names.items()))


class _Session:
    """One run from its last checkpoint to its end: what it is made of, and what happens after each step.

    A quiet one counts its steps without showing them: another one, with which it is trained as one, does.
    """

    def __init__(
        self,
        config: RunConfig,
        directory: RunDirectory,
        reporter: Reporter,
        stopped: Callable[[], bool],
        quiet: bool = False,
    ) -> None:
        self._directory, self._reporter, self._stopped, self._label = directory, reporter, stopped, _label(config)
        self._update = partial(reporter.update, quiet=True) if quiet else reporter.update
        device = device_of(config)
        components = build(config, device)
        self.plan, self.state, self.tracker = components.plan, components.state, components.tracker
        checkpoints = Checkpoints(self.state)
        directory.load_checkpoint(checkpoints, device)
        rehearse(self.plan, self.state)
        write_json(directory.path / "config.json", _labelled_settings(config))
        _note_origin(directory, self.plan.dataset, device, self.state.step, reporter)
        self._saver = _Saver(directory, self.state, checkpoints, self.plan.steps, config.checkpoint_seconds)
        self.tracker.start(_run_info(config))

    def on_step(self, step: int, rows: list[Row]) -> bool:
        """Mirror, report and save what a step added; return whether to go on."""
        if rows:
            _mirror(self.tracker, rows)
        self._update(self._label, step, self.plan.steps)
        self._saver.save_now_and_then()
        return not self._stopped()

    def conclude(self) -> Interrupted | None:
        """Write the result, or save the run if it was stopped, and return how to say so."""
        plan, state = self.plan, self.state
        if state.step < plan.steps and state.diverged_at is None:
            self._saver.save("interrupted")
            self.tracker.finish(exit_code=1)
            again = f"stopped at step {state.step} of {plan.steps}; start it again to continue"
            return Interrupted(f"{self._label}: {again}")
        with _finished_on_error(self.tracker):
            final = self._saver.save("finished" if state.diverged_at is None else "diverged")
            for name, picture in save_ridge_plots(state.records.arrays(), self._directory.path, title=self._label):
                self.tracker.image(state.step, name, picture)
        self.tracker.finish(exit_code=0)
        self._directory.save_result(state, {**final, "diverged_at": state.diverged_at})
        self._reporter.message(f"{self._label}: {_outcome(state.records, final)}; {self._directory.path}")
        return None


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
