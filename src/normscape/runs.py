"""A run on disk: identity, lock, checkpoint, resume, result.

A run's directory is ``<name>-s<seed>-<identity>``. The identity is a hash of every setting that can change a number, so
the same setup under another name, tracker or device is the same run, and a changed setting is another one. Files:

- ``config.json``, the settings; ``provenance.json``, code, versions, machine and data checksum, and what of these was
  when the run was resumed;
- ``status.json``, training, interrupted, failed, finished or diverged, with the step; ``failure.txt``, a traceback;
- ``checkpoint.pt``, the state at the last checkpoint;
- ``metrics.csv``, tidy rows, and ``arrays.npz``, stacked snapshots, when the run is over;
- ``summary.json``, written last: the run is over.
"""

import hashlib
import inspect
import json
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from filelock import FileLock, Timeout
from hydra.utils import get_object

from normscape.config import COMPONENTS, RunConfig
from normscape.errors import UserError
from normscape.loop import State
from normscape.records import Records

NUMERICS = 1
"""Part of every identity; raised by a change of the code that changes the numbers of a run."""

NOT_IDENTITY = ("name", "scale", "measure", "tracker", "group", "device", "threads", "checkpoint_seconds", "runs_dir")
"""Settings that say how, where or under which name, not what; ``scale`` and ``measure`` stand resolved elsewhere."""

NOT_CHANGING = ("run", "seed", *(name for name in NOT_IDENTITY if name not in ("scale", "measure")))
"""Settings of a command line that a run's name and place tell anyway, or that change no number of it."""


def settings(config: RunConfig) -> dict[str, Any]:
    """Return the settings that can change a number of the run."""
    kept = {key: value for key, value in asdict(config).items() if key not in NOT_IDENTITY}
    kept["data"] = {key: value for key, value in config.data.items() if key != "root"}
    if not config.schedule:  # a constant rate, as all runs had before there were schedules
        del kept["schedule"]
    return kept


def identity(config: RunConfig) -> str:
    """Return the run's identity, 12 hexadecimal digits.

    Classes of the user's own count by their source files too, bases included: edited, they make another run. What these
    import does not count; classes of this project count by `NUMERICS`.
    """
    content = {"numerics": NUMERICS, **_canonical(settings(config)), **_foreign_sources(config)}
    text = json.dumps(_worded(content), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _foreign_sources(config: RunConfig) -> dict[str, str]:
    """Return hashes of the source files of each target that neither this project nor torch brings, and of its bases."""
    nodes = [getattr(config, name) for name in COMPONENTS if name != "tracker"]
    targets = [node["_target_"] for node in [*nodes, *config.probe.values()]]
    return {
        f"source of {target}": "".join(map(_source_hash, _own_and_inherited(get_object(target))))
        for target in targets
        if not _is_known(target)
    }


def _is_known(module: str) -> bool:
    package = module.split(".")[0]
    return package in ("normscape", "torch") or package in sys.stdlib_module_names


def _own_and_inherited(target: Any) -> list[Any]:
    """Return a class and those that it inherits from, as far as they are the user's own; else the target alone."""
    classes = inspect.getmro(target) if inspect.isclass(target) else ()
    return [base for base in classes if not _is_known(base.__module__)] or [target]


def _source_hash(target: Any) -> str:
    try:
        file = inspect.getsourcefile(target)
    except TypeError:  # written in C
        file = None
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else ""


def changes(overrides: Sequence[str]) -> list[str]:
    """Return those of some Hydra overrides that change what a run computes, e.g. ``["optimizer.lr=0.3"]``."""
    plain = [override.replace("~", "no-").lstrip("+") for override in overrides]
    return [override for override in plain if not _is_neutral(override.removeprefix("no-").split("=")[0])]


def _is_neutral(key: str) -> bool:
    return key.split(".")[0] in NOT_CHANGING or key in ("scale", "data.root") or key.startswith("hydra")


def safe_name(text: str) -> str:
    """Return a text as part of a file's name: at most 100 characters, none of them awkward in a shell."""
    return "".join(c if c.isalnum() or c in "_.,=+-[]" else "_" for c in text)[:100]


def _canonical(value: Any) -> Any:
    """Return the value with 1.0 written as 1, as YAML and command lines do not care either."""
    if isinstance(value, dict):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@dataclass(frozen=True)
class RunDirectory:
    """The files of one run."""

    path: Path

    @classmethod
    def of(cls, config: RunConfig) -> "RunDirectory":
        """Return the run's directory, which may not exist yet; an existing one is found under any name."""
        root, key = Path(config.runs_dir).absolute(), identity(config)
        found = sorted(root.glob(f"*-{key}")) if root.is_dir() else []
        return cls(found[0] if found else root / f"{config.name}-s{config.seed}-{key}")

    @property
    def identity(self) -> str:
        """The identity of the run."""
        return self.path.name.rsplit("-", 1)[-1]

    @property
    def summary(self) -> dict[str, Any] | None:
        """What the run came to, or None while it is not over."""
        summary: dict[str, Any] | None = read_json(self.path / "summary.json")
        return summary

    @property
    def status(self) -> dict[str, Any]:
        """What was last said of the run: at least ``status`` and ``step``."""
        return read_json(self.path / "status.json") or {"status": "new", "step": 0}

    def table(self) -> pd.DataFrame:
        """Return the rows of a run that is over, with the columns of `normscape.records.Row`."""
        types = {"layer": "Int64", "step_size": "float64"}
        return pd.read_csv(self.path / "metrics.csv", dtype=types)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the stacked snapshots of a run that is over."""
        with np.load(self.path / "arrays.npz") as file:
            return dict(file)

    @contextmanager
    def lock(self, on_wait: Callable[[], None]) -> Iterator[None]:
        """Hold the run for one process; the lock of a killed process is free. ``on_wait`` is called if it is taken."""
        folder = self.path.parent / ".locks"
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f"{self.identity}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            on_wait()
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def save_checkpoint(self, state: State) -> None:
        """Write the state so that after a kill at any moment either this checkpoint or the last one is whole."""
        content = {
            "identity": self.identity,
            "model": state.model.state_dict(),
            "optimizer": state.optimizer.state_dict(),
            "records": state.records.state_dict(),
            "step": state.step,
            "diverged_at": state.diverged_at,
        }
        with replacing(self.path / "checkpoint.pt") as file:
            torch.save(content, file)

    def load_checkpoint(self, state: State, device: torch.device) -> None:
        """Continue ``state`` from the last checkpoint, if there is one; sweep up after a killed process."""
        for leftover in self.path.glob(".*.tmp"):
            leftover.unlink()
        file = self.path / "checkpoint.pt"
        if not file.exists():
            return
        content = torch.load(file, map_location=device, weights_only=True)
        if content["identity"] != self.identity:
            raise UserError(f"{file}: belongs to run {content['identity']}, not to {self.identity}; remove it")
        state.model.load_state_dict(content["model"])
        state.optimizer.load_state_dict(content["optimizer"])
        state.records = Records.from_state_dict(content["records"])
        state.records.snapshots = [item._replace(values=item.values.cpu()) for item in state.records.snapshots]
        state.step, state.diverged_at = content["step"], content["diverged_at"]

    def save_result(self, state: State, summary: dict[str, Any]) -> None:
        """Write rows, arrays and, last, the summary that says the run is over."""
        with replacing(self.path / "metrics.csv") as file:
            file.write(state.records.table().to_csv(index=False).encode())
        with replacing(self.path / "arrays.npz") as file:
            np.savez_compressed(file, **state.records.arrays())  # type: ignore[arg-type]
        (self.path / "failure.txt").unlink(missing_ok=True)
        write_json(self.path / "summary.json", summary)


@contextmanager
def replacing(path: Path) -> Iterator[Any]:
    """Open a temporary binary file that takes the place of ``path`` in one stroke when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_json(path: Path, content: Any) -> None:
    """Write JSON in one stroke; what JSON has no number for, infinity and NaN, as a word."""
    with replacing(path) as file:
        file.write((json.dumps(_worded(content), indent=2, allow_nan=False) + "\n").encode())


def _worded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _worded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_worded(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path: Path) -> Any:
    """Return the content of a JSON file, or None if there is no such file."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
