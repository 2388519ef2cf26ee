"""A run on disk: lock, checkpoint, resume, result.

A run's directory is ``<name>-s<seed>-<identity>`` (`normscape.identity`). Files:

- ``config.json``, the settings; ``provenance.json``, code, versions, machine and data checksum, and the same for each
  time the run was resumed;
- ``status.json``, training, interrupted, failed, finished or diverged, with the step; ``failure.txt``, a traceback;
- ``checkpoint.pt``, the state at the last checkpoint;
- ``metrics.csv``, tidy rows, and ``arrays.npz``, stacked snapshots, once the run has ended;
- ``summary.json``, written last: the run has ended.
"""

import hashlib
import io
import pickle
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from filelock import FileLock, Timeout

from normscape.checkpoint import Checkpoints
from normscape.config import RunConfig
from normscape.errors import Interrupted, UserError
from normscape.files import read_json, replacing, write_json
from normscape.identity import identity
from normscape.loop import State
from normscape.names import file_name

AGAIN = "remove the run's folder, and it is trained again"
WAIT_SECONDS = 0.5
"""How often a process that waits for a run looks whether it is to stop."""


@dataclass(frozen=True)
class RunDirectory:
    """The files of one run."""

    path: Path

    @classmethod
    def of(cls, config: RunConfig) -> "RunDirectory":
        """Return the run's directory, which may not exist yet; an existing one is found under any name."""
        root, key = Path(config.runs_dir).absolute(), identity(config)
        found = sorted(root.glob(f"*-{key}")) if root.is_dir() else []
        return cls(found[0] if found else root / f"{file_name(config.name)}-s{config.seed}-{key}")

    @property
    def identity(self) -> str:
        """The identity of the run."""
        return self.path.name.rsplit("-", 1)[-1]

    @property
    def summary(self) -> dict[str, Any] | None:
        """The outcome of the run, or None if it has not ended."""
        summary = read_json(self.path / "summary.json")
        if summary is None or (isinstance(summary, dict) and "status" in summary):
            return summary
        raise UserError(f"{self.path / 'summary.json'}: not the summary of a run; {AGAIN}")

    @property
    def status(self) -> dict[str, Any]:
        """The last recorded status of the run: at least ``status`` and ``step``."""
        return read_json(self.path / "status.json") or {"status": "new", "step": 0}

    def table(self) -> pd.DataFrame:
        """Return the rows of a run that has ended, with the columns of `normscape.records.Row`.

        Raises
        ------
        UserError
            If its file is not the one that the run wrote.
        """
        table = pd.read_csv(io.BytesIO(self._whole("metrics.csv")), dtype={"layer": "string", "step_size": "float64"})
        numbered = table["layer"].dropna().str.fullmatch(r"\d+").all()
        return table.astype({"layer": "Int64"}) if numbered else table

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the stacked snapshots of a run that has ended; `UserError` if its file is not the one it wrote."""
        with np.load(io.BytesIO(self._whole("arrays.npz"))) as file:
            return dict(file)

    def require_whole(self) -> None:
        """Raise `UserError` if a file that the run has written, or that it would continue from, is not whole."""
        if self.summary is not None:
            for name in ("metrics.csv", "arrays.npz"):
                self._whole(name)
        elif (file := self.path / "checkpoint.pt").exists():
            _require_undamaged(file)

    def _whole(self, name: str) -> bytes:
        """Return the content of a file of a run that has ended, if it is what the run's summary says of it."""
        try:
            content = (self.path / name).read_bytes()
        except OSError as error:
            raise UserError(f"{self.path / name}: cannot be read ({error.strerror}); {AGAIN}") from error
        summary = self.summary or {}
        if summary.get("identity", self.identity) != self.identity:
            raise UserError(f"{self.path}: holds the files of run {summary['identity']}; {AGAIN}")
        if "files" not in summary:  # of a run from before checksums were kept
            return content
        kept = (summary["files"] or {}).get(name) or {}
        if kept != _trace(name, content):
            sizes = f"{_trace(name, content)['size']}, expected {kept.get('size', 'none')}"
            raise UserError(f"{self.path / name}: not the file that the run wrote ({sizes}); {AGAIN}")
        return content

    @contextmanager
    def lock(self, on_wait: Callable[[], None], stopped: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Hold the run for one process; the lock of a killed process is free.

        ``on_wait`` is called if it is taken; whether to go on waiting is asked now and then: Interrupted if not.
        """
        self._lock_file.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._lock_file)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            on_wait()
            while not lock.is_locked:
                if stopped():
                    raise Interrupted(f"{self.path.name}: stopped while another process trains it") from None
                with suppress(Timeout):
                    lock.acquire(timeout=WAIT_SECONDS)
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
        """Write the state so that after a kill at any moment either this checkpoint or the previous one is complete."""
        content = checkpoints.content(self.identity)
        with replacing(self.path / "checkpoint.pt") as file:
            torch.save(content, file)

    def load_checkpoint(self, checkpoints: Checkpoints, device: torch.device) -> None:
        """Continue from the last checkpoint, if there is one; clean up after a killed process."""
        for leftover in self.path.glob(".*.tmp"):
            leftover.unlink()
        file = self.path / "checkpoint.pt"
        if not file.exists():
            return
        _require_undamaged(file)
        try:
            content = torch.load(file, map_location=device, weights_only=True)
            if content["identity"] != self.identity:
                raise UserError(f"{file}: belongs to run {content['identity']}, not to {self.identity}; remove it")
            checkpoints.load(content)
        except (RuntimeError, KeyError, ValueError, pickle.UnpicklingError) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise UserError(f"{file}: not a checkpoint of this version ({reason}); remove the run's folder") from error

    def save_result(self, state: State, summary: dict[str, Any]) -> None:
        """Write rows, arrays and, last, the summary, which marks the run as ended and keeps the files' checksums."""
        arrays = io.BytesIO()
        np.savez_compressed(arrays, **state.records.arrays())  # type: ignore[arg-type]
        contents = {"metrics.csv": state.records.table().to_csv(index=False).encode(), "arrays.npz": arrays.getvalue()}
        for name, content in contents.items():
            with replacing(self.path / name) as file:
                file.write(content)
        (self.path / "failure.txt").unlink(missing_ok=True)
        traces = {name: _trace(name, content) for name, content in contents.items()}
        write_json(self.path / "summary.json", {**summary, "identity": self.identity, "files": traces})


def _require_undamaged(checkpoint: Path) -> None:
    """Compare each part of a checkpoint with the checksum that torch wrote beside it and does not look at again."""
    try:
        with zipfile.ZipFile(checkpoint) as content:
            damaged = content.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
        raise UserError(f"{checkpoint}: not a whole checkpoint ({error}); {AGAIN}") from error
    if damaged:
        raise UserError(f"{checkpoint}: damaged ({damaged} is not what was written); {AGAIN}")


def _trace(name: str, content: bytes) -> dict[str, str]:
    """Return what a summary keeps of a file."""
    size = f"{len(content.splitlines()) - 1} rows" if name.endswith(".csv") else f"{len(content)} bytes"
    return {"size": size, "sha256": hashlib.sha256(content).hexdigest()}
