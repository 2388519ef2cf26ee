"""One run from its last checkpoint to its end: what it is made of, and what happens after each of its steps."""

import time
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
from normscape.loop import State
from normscape.mirror import by_step, end, group_of, labelled_settings, run_info
from normscape.overview.progress import Reporter, duration
from normscape.process.provenance import provenance
from normscape.reduced.loop import Run
from normscape.rehearsal import rehearse
from normscape.runs import RunDirectory
from normscape.storage.files import read_json, write_json
from normscape.storage.records import Records, Row


class Session:
    """A run that is being carried out in its directory, which this process holds.

    Parameters
    ----------
    stopped
        Asked after every step.
    quiet
        Whether steps are counted without being shown: another run, with which it is trained as one, shows its own.

    Raises
    ------
    UserError
        If what the config asks for cannot be built, or the run cannot be continued.
    """

    def __init__(
        self,
        config: RunConfig,
        directory: RunDirectory,
        reporter: Reporter,
        stopped: Callable[[], bool],
        quiet: bool = False,
    ) -> None:
        self._directory, self._reporter, self._stopped, self._label = directory, reporter, stopped, config.label
        self._update = partial(reporter.update, quiet=True) if quiet else reporter.update
        device = device_of(config)
        components = build(config, device)
        self._plan, self._state, self._tracker = components.plan, components.state, components.tracker
        checkpoints = Checkpoints(self._state)
        if said := directory.load_checkpoint(checkpoints, device):
            reporter.message(f"{self._label}: {said}")
        rehearse(self._plan, self._state, components.norm)
        write_json(directory.path / "config.json", _begun_settings(directory, config))
        _note_origin(directory, self._plan.dataset, device, self._state.step, reporter)
        self._saver = _Saver(directory, self._state, checkpoints, config)
        self._tracker.start(run_info(config, directory, self._state.records.rows))

    @property
    def run(self) -> Run:
        """What a training loop is given."""
        return Run(self._plan, self._state, self._on_step)

    def _on_step(self, step: int, rows: list[Row]) -> bool:
        for measured, values in by_step(rows):
            self._tracker.log(measured, values)
        self._update(self._label, step, self._plan.steps)
        self._saver.save_now_and_then()
        return not self._stopped()

    def fail(self, error: BaseException) -> None:
        """End the mirror of a run whose training ended in an error."""
        self._tracker.summarize({"status": "interrupted" if isinstance(error, Interrupted) else "failed"})
        self._tracker.finish(exit_code=1)

    def conclude(self) -> None:
        """Write the result of a run that has ended.

        Raises
        ------
        Interrupted
            If it was stopped before; it is saved.
        """
        state, steps = self._state, self._plan.steps
        with self._failing_on_error():
            if state.step < steps and state.diverged_at is None:
                self._saver.save("interrupted")
                raise Interrupted(f"{self._label}: stopped at step {state.step} of {steps}; start it again to continue")
            final = self._saver.save("finished" if state.diverged_at is None else "diverged")
            ended = {**final, "diverged_at": state.diverged_at}
            folder, title = self._directory.path, self._label
            end(self._tracker, state.records.rows, state.records.arrays(), ended, folder, title=title)
        self._directory.save_result(state, ended)
        self._reporter.message(f"{self._label}: {_outcome(state.records, final)}; {self._directory.path}")

    @contextmanager
    def _failing_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.fail(error)
            raise


def _begun_settings(directory: RunDirectory, config: RunConfig) -> dict[str, Any]:
    """Return the settings with the label with which the run was begun, by which its directory is called."""
    begun = read_json(directory.path / "config.json")
    name = begun["name"] if isinstance(begun, dict) and "name" in begun else config.name
    return {**labelled_settings(config), "name": name}


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
