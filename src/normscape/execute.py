"""Carry out runs: continue from their last checkpoints, train, save everything."""

import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

from normscape.build import device_of
from normscape.components import build_data
from normscape.config import RunConfig
from normscape.errors import Interrupted, TakenError, UserError
from normscape.forward import require_tf32
from normscape.identity import identity
from normscape.mirror import hint
from normscape.overview.progress import Reporter
from normscape.process.interrupts import stop_signals
from normscape.process.own_files import is_known
from normscape.process.provenance import commit
from normscape.reduced.loop import train_any
from normscape.runs import FAILURE, RunDirectory
from normscape.session import Session
from normscape.storage.directories import said_of_others
from normscape.storage.files import read_json, replacing, require_writable, write_json


def execute(
    config: RunConfig, reporter: Reporter, stopped: Callable[[], bool] = lambda: False, waiting: bool = True
) -> RunDirectory:
    """Carry out a run and return its directory.

    A run that has ended is not trained again; one that another process is training is waited for, if ``waiting``; one
    with a checkpoint continues from there. ``stopped`` is asked between two steps.

    Raises
    ------
    UserError
        If the config asks for what cannot be built.
    Interrupted
        If the process was asked to stop (SIGINT or SIGTERM), or ``stopped`` says so; the run is saved.
    TakenError
        If another process is training it, and it is not to be waited for.
    """
    (directory,) = execute_together([config], reporter, stopped, waiting)
    return directory


def execute_together(
    configs: Sequence[RunConfig],
    reporter: Reporter,
    stopped: Callable[[], bool] = lambda: False,
    waiting: bool = True,
) -> list[RunDirectory]:
    """Carry out runs that can be trained as one (`normscape.reduced.groups`), or a single run; see `execute`.

    Each run has its own directory, checkpoint and mirror, and the numbers that it has alone. If what one of them asks
    for cannot be built, none is trained.
    """
    with ExitStack() as held:
        missing = [
            (config, directory)
            for config in _in_order_of_locks(configs)
            if (directory := _held(config, held, reporter, stopped, waiting))
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


def _held(
    config: RunConfig, held: ExitStack, reporter: Reporter, stopped: Callable[[], bool], waiting: bool
) -> RunDirectory | None:
    """Lock a run; return its directory, or None if it has ended."""
    directory, label = RunDirectory.of(config), config.label

    def taken() -> None:
        if not waiting:
            raise TakenError
        reporter.message(f"{label}: another process trains this run; waiting")

    if directory.summary is not None:
        directory.require_whole()
        require_same_data([config])
        said = f"{_warned(directory)}{said_of_others(directory.path, directory.identity)}"
        reporter.message(f"{label}: already {directory.summary['status']}; {directory.path}{said}")
        if missing := hint([config]):
            reporter.message(missing)
        return None
    require_writable(Path(config.runs_dir).absolute(), "runs_dir")
    held.enter_context(directory.lock(taken, stopped))
    directory = RunDirectory.of(config)  # another process may have made it, under another name
    return directory if directory.summary is None else None


def require_same_data(configs: Sequence[RunConfig]) -> None:
    """Raise `UserError` if a run that has ended was trained on other data than the user's own code now gives."""
    checksums: dict[str, str] = {}
    for config in configs:
        if is_known(str(config.data.get("_target_"))):  # whose data are what they were
            continue
        if (key := str(config.data)) not in checksums:
            checksums[key] = build_data(config).checksum
        directory = RunDirectory.of(config)
        origin = read_json(directory.path / "provenance.json")
        was = origin["data"]["checksum"] if isinstance(origin, dict) and "data" in origin else None
        if was is not None and was != checksums[key]:
            again = f"restore the data, or remove {directory.path} to train it anew"
            raise UserError(
                f"data: {directory.path.name} was trained on {was}, and they now are {checksums[key]}; {again}"
            )


def _warned(directory: RunDirectory) -> str:
    """Warn that the code may no longer produce this run: its identity does not cover uncommitted changes."""
    then, now = (read_json(directory.path / "provenance.json") or {}).get("commit"), commit()
    if any((revision or "").endswith("+changes") for revision in (then, now)):
        return " (the code had or has uncommitted changes; if they affect its numbers, remove its folder)"
    return ""


def _recorded_failures(directories: Sequence[RunDirectory], work: Callable[[], None]) -> None:
    """Do the work; keep what went wrong in the runs' directories, as far as it can be written, before passing it on."""
    try:
        for directory in directories:
            with suppress(OSError):
                (directory.path / FAILURE).unlink(missing_ok=True)  # of an earlier time
        work()
    except Exception as error:
        for directory in directories:
            _record_failure(directory, error)
        raise


def _record_failure(directory: RunDirectory, error: Exception) -> None:
    if isinstance(error, UserError) and not (directory.path / "config.json").exists():
        return  # before anything was begun
    with suppress(OSError, UserError):
        if not isinstance(error, UserError):
            with replacing(directory.path / FAILURE) as file:
                file.write("".join(traceback.format_exception(error)).encode(errors="backslashreplace"))
        status = {**directory.status, "status": "failed", "error": f"{type(error).__name__}: {error}"}
        write_json(directory.path / "status.json", status)


def _train(runs: Sequence[tuple[RunConfig, RunDirectory]], reporter: Reporter, stopped: Callable[[], bool]) -> None:
    sessions: list[Session] = []
    for config, _ in runs:
        require_tf32(config, device_of(config))
    if len(runs) > 1:
        reporter.message(f"{len(runs)} runs are trained as one: {_names([config for config, _ in runs])}")
    try:
        for config, directory in runs:
            sessions.append(Session(config, directory, reporter, stopped, quiet=bool(sessions)))
        train_any(runs[0][0], [session.run for session in sessions])
    except BaseException as error:
        for session in sessions:
            session.fail(error)
        raise
    interrupted: list[str] = []
    for session in sessions:
        try:
            session.conclude()
        except Interrupted as stop:
            interrupted.append(str(stop))
    if interrupted:
        raise Interrupted("; ".join(sorted(interrupted)))


def _names(configs: Sequence[RunConfig]) -> str:
    names = Counter(config.name for config in configs)
    return ", ".join(f"{name} ({count} seeds)" if count > 1 else name for name, count in sorted(names.items()))
