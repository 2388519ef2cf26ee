"""A run on disk: lock, checkpoint, resume, result.

A run's directory is ``<name>-s<seed>-<identity>`` (`normscape.identity`). Files:

- ``config.json``, the settings; ``provenance.json``, code, versions, machine and data checksum, and the same for each
  time the run was resumed;
- ``status.json``, training, interrupted, failed, finished or diverged, with the step; ``failure.txt``, a traceback;
- ``checkpoint.pt``, the state at the last checkpoint, and until the run has ended ``checkpoint.before.pt``, the one
  before it;
- ``metrics.csv``, tidy rows, and ``arrays.npz``, stacked snapshots, once the run has ended;
- ``summary.json``, written last: the run has ended.
"""

import hashlib
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from filelock import FileLock, Timeout

from normscape.checkpoint import Checkpoints, read_checkpoint, require_undamaged
from normscape.config import RunConfig
from normscape.errors import Interrupted, UserError
from normscape.identity import identity
from normscape.loop import State
from normscape.storage.directories import directories_of, directory_name
from normscape.storage.files import read_json, replacing, unwritable, write_json
from normscape.storage.layers import numbered

AGAIN = "remove the run's folder, and it is trained again"
FAILURE = "failure.txt"
CHECKPOINTS = ("checkpoint.pt", "checkpoint.before.pt")
"""The last one, and the one before it."""

MISSING = {"quantity": [], "layer": [""], "step_size": [""], "value": ["", "nan"]}
"""What stands for no value in ``metrics.csv``, by column: a quantity or a layer may be called ``NA``."""

WAIT_SECONDS = 0.5
"""How often a process that waits for a run looks whether it is to stop."""


@dataclass(frozen=True)
class RunDirectory:
    """The files of one run."""

    path: Path

    @classmethod
    def of(cls, config: RunConfig) -> "RunDirectory":
        """Return the run's directory, which may not exist yet; it has the label with which the run was begun."""
        root, key = Path(config.runs_dir).absolute(), identity(config)
        return cls(next(iter(directories_of(root, key)), root / directory_name(config.name, config.seed, key)))

    @property
    def identity(self) -> str:
        """The identity of the run."""
        return self.path.resolve().name.rsplit("-", 1)[-1]

    @property
    def summary(self) -> dict[str, Any] | None:
        """The outcome of the run, or None if it has not ended."""
        summary = read_json(self.path / "summary.json", self.again)
        if summary is None or (isinstance(summary, dict) and "status" in summary):
            return summary
        raise UserError(f"{self.path / 'summary.json'}: not the summary of a run; {self.again}")

    @property
    def status(self) -> dict[str, Any]:
        """The last recorded status of the run: at least ``status`` and ``step``."""
        status = read_json(self.path / "status.json")
        if status is None:
            return self.summary or {"status": "new", "step": 0}
        if isinstance(status, dict) and "status" in status and type(status.get("step")) is int:
            return status
        raise UserError(f"{self.path / 'status.json'}: not the status of a run; remove it, the run goes on without")

    @property
    def again(self) -> str:
        """What to do where a file of the run is damaged."""
        if (self.path / "checkpoint.pt").exists():
            return "remove the run's summary.json, and its files are written again from its checkpoint"
        return AGAIN

    def table(self) -> pd.DataFrame:
        """Return the rows of a run that has ended, with the columns of `normscape.storage.records.Row`.

        Raises
        ------
        UserError
            If its file is not the one that the run wrote.
        """
        kinds: Any = {"layer": "string", "step_size": "float64", "value": "float64"}
        content = io.BytesIO(self._whole("metrics.csv"))
        return numbered(pd.read_csv(content, dtype=kinds, keep_default_na=False, na_values=MISSING))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the stacked snapshots of a run that has ended; `UserError` if its file is not the one it wrote."""
        with np.load(io.BytesIO(self._whole("arrays.npz"))) as file:
            return dict(file)

    def require_whole(self) -> None:
        """Raise `UserError` if a file that the run has written, or that it would continue from, is not whole."""
        if (summary := self.summary) is not None:
            for name in sorted({"metrics.csv", *(summary.get("files") or {})}):
                self._whole(name)
            for name in ("config.json", "provenance.json", "status.json"):
                read_json(self.path / name)
        elif files := [self.path / name for name in CHECKPOINTS if (self.path / name).exists()]:
            require_undamaged(files[0])

    def _whole(self, name: str) -> bytes:
        """Return the content of a file of a run that has ended, if it is what the run's summary says of it."""
        try:
            content = (self.path / name).read_bytes()
        except OSError as error:
            raise UserError(f"{self.path / name}: cannot be read ({error.strerror}); {self.again}") from error
        summary = self.summary or {}
        if summary.get("identity", self.identity) != self.identity:
            raise UserError(f"{self.path}: holds the files of run {summary['identity']}; {AGAIN}")
        if "files" not in summary:  # of a run from before checksums were kept
            return content
        kept = (summary["files"] or {}).get(name) or {}
        if kept != (trace := _trace(name, content)):
            has, had = trace["size"], kept.get("size", "none")
            sizes = f"{has}, expected {had}" if has != had else f"{has}, as it had, and others"
            raise UserError(f"{self.path / name}: not the file that the run wrote ({sizes}); {self.again}")
        return content

    @contextmanager
    def lock(self, on_wait: Callable[[], None], stopped: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Hold the run for one process; the lock of a killed process is free.

        ``on_wait`` is called if it is taken; whether to go on waiting is asked now and then: Interrupted if not.
        """
        try:
            self._lock_file.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self._lock_file)
            lock.acquire(timeout=0)
        except Timeout:
            on_wait()
            while not lock.is_locked:
                if stopped():
                    raise Interrupted(f"{self.path.name}: stopped while another process trains it") from None
                with suppress(Timeout):
                    lock.acquire(timeout=WAIT_SECONDS)
        except OSError as error:
            raise unwritable(self._lock_file, error) from error
        try:
            yield
        finally:
            lock.release()

    @property
    def taken(self) -> bool:
        """Whether another process has the run at this moment."""
        file = self._lock_file
        if not file.exists():
            return False
        lock = FileLock(file)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        lock.release()
        return False

    @property
    def _lock_file(self) -> Path:
        return self.path.parent / ".locks" / f"{self.identity}.lock"

    def save_checkpoint(self, checkpoints: Checkpoints) -> None:
        """Write the state so that at any moment a whole checkpoint is there, and the one before it is kept."""
        content = checkpoints.content(self.identity)
        last, before = (self.path / name for name in CHECKPOINTS)
        written = self.path / f".{last.name}.new.tmp"
        with replacing(written) as file:
            torch.save(content, file)
        try:
            if last.exists():
                os.replace(last, before)
            os.replace(written, last)
        except OSError as error:  # something else of that name
            raise unwritable(before if before.is_dir() else last, error) from error

    def load_checkpoint(self, checkpoints: Checkpoints, device: torch.device) -> str | None:
        """Continue from the last checkpoint that is whole, if there is one; clean up after a killed process.

        Returns
        -------
        str or None
            What there is to say: which file is damaged or missing, and what the run continues from instead.

        Raises
        ------
        UserError
            If there are checkpoints and none is whole, or it is not one of this run.
        """
        for leftover in self.path.glob(".*.tmp"):
            leftover.unlink()
        reasons: list[str] = []
        files = [self.path / name for name in CHECKPOINTS if (self.path / name).exists()]
        for file in files:
            try:
                content = read_checkpoint(file, self.identity, device)
            except UserError as error:
                reasons.append(str(error))
                continue
            checkpoints.load(content, file)
            return f"{reasons[0]}; continues from the one before it, step {content['step']}" if reasons else None
        if reasons:
            names = " and ".join(file.name for file in files)
            raise UserError(f"{reasons[0]}; remove {names}, and it is trained from step 0")
        step = self.status["step"] if self.path.exists() else 0
        return f"{self.path / CHECKPOINTS[0]}: missing; trained again from step 0, not from {step}" if step else None

    def save_result(self, state: State, summary: dict[str, Any]) -> None:
        """Write rows, arrays and, last, the summary, which marks the run as ended and keeps the files' checksums."""
        arrays = io.BytesIO()
        np.savez_compressed(arrays, **state.records.arrays())  # type: ignore[arg-type]
        contents = {"metrics.csv": state.records.table().to_csv(index=False).encode(), "arrays.npz": arrays.getvalue()}
        for name, content in contents.items():
            with replacing(self.path / name) as file:
                file.write(content)
        for name in (FAILURE, CHECKPOINTS[1]):
            (self.path / name).unlink(missing_ok=True)
        traces = {name: _trace(name, content) for name, content in contents.items()}
        write_json(self.path / "summary.json", {**summary, "identity": self.identity, "files": traces})


def _trace(name: str, content: bytes) -> dict[str, str]:
    """Return what a summary keeps of a file."""
    size = f"{max(0, len(content.splitlines()) - 1)} rows" if name.endswith(".csv") else f"{len(content)} bytes"
    return {"size": size, "sha256": hashlib.sha256(content).hexdigest()}
