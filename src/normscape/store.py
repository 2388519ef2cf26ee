"""A store of runs that is carried from machine to machine: ``<store>/runs``, whole at every moment.

What travels is one archive. Of a run that has ended it holds all but the checkpoint, which nobody needs any more; of
one that has not, what it continues from. Files are put in place one by one, each atomically, and what marks a run as
ended comes last: a process that is killed on the way leaves runs that have ended or that continue.
"""

import gzip
import json
import shutil
import tarfile
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from normscape.errors import UserError
from normscape.runs import CHECKPOINTS, RunDirectory
from normscape.storage.directories import directories_of, run_directories
from normscape.storage.files import read_json, replacing
from normscape.storage.parts import join, pack

ARCHIVE = "runs.tar.gz"
LAST = ("status.json", "summary.json")
"""Written after all other files of a run: a summary marks it as ended."""

COMPRESSION = 1
"""Of gzip: weights hardly get any smaller, and the time is that of a machine that is lent by the minute."""


def runs_in(store: Path) -> list[RunDirectory]:
    """Return the runs of a store."""
    return [RunDirectory(path) for path in run_directories(store / "runs")[0]]


@contextmanager
def only_one(store: Path) -> Iterator[None]:
    """Hold a store for one process, making it if it is not there; UserError if another one is at work on it."""
    try:
        (store / "runs").mkdir(parents=True, exist_ok=True)
        lock = FileLock(store / ".lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(f"{store}: another process is at work on this store; wait for its end") from None
    except OSError as error:
        raise UserError(f"{store}: cannot be written to ({error.strerror}); give another folder") from error
    try:
        yield
    finally:
        lock.release()


def require_whole(store: Path) -> None:
    """Raise `UserError` for the first file of a store that is damaged or half there."""
    for run in runs_in(store):
        run.require_whole()
        read_json(run.path / "status.json")
        read_json(run.path / "provenance.json")


def that_fit(store: Path, most_bytes: float, known: Container[str] = ()) -> tuple[list[RunDirectory], list[str]]:
    """Choose the runs whose files have so many bytes together at most; return them, and the names of the others.

    Runs that have ended come first, then those that are furthest; last come ended ones whose names are ``known``, where
    the store goes to.
    """

    def order(run: RunDirectory) -> tuple[bool, bool, float]:
        ended, status = run.summary is not None, run.status
        return ended and run.path.name in known, not ended, -status["step"] / max(1, status.get("steps", 1))

    chosen, left = [], []
    for run in sorted(runs_in(store), key=order):
        size = sum(path.stat().st_size for path in _travelling(run))
        if size <= most_bytes:
            most_bytes -= size
            chosen.append(run)
        else:
            left.append(run.path.name)
    return chosen, left


def pack_store(store: Path, folder: Path, part_bytes: int, chosen: Sequence[RunDirectory] | None = None) -> list[Path]:
    """Pack what of a store travels, or of some of its runs, in parts, and return their paths."""
    runs = runs_in(store) if chosen is None else chosen
    archive = store / ARCHIVE
    try:
        with (
            replacing(archive) as file,
            gzip.GzipFile(fileobj=file, mode="wb", compresslevel=COMPRESSION) as smaller,
            tarfile.open(fileobj=smaller, mode="w|") as content,
        ):
            for path in [path for run in runs for path in _travelling(run)]:
                content.add(path, str(path.relative_to(store / "runs")))
        return pack(archive, folder, part_bytes)
    finally:
        archive.unlink(missing_ok=True)


def _travelling(run: RunDirectory) -> list[Path]:
    left_out = CHECKPOINTS if run.summary is not None else CHECKPOINTS[1:]
    files = [path for path in sorted(run.path.iterdir()) if path.is_file() and not path.is_symlink()]
    files = [path for path in files if path.name not in left_out and path.name[0] != "."]
    return _in_order(files)


def _in_order(files: list[Path]) -> list[Path]:
    return sorted(files, key=lambda path: LAST.index(path.name) + 1 if path.name in LAST else 0)


def join_store(folder: Path, store: Path) -> int:
    """Take over the runs that lie packed in a folder, and return how many.

    A run of which the store has more, being trained further or ended, stays as it is.
    """
    taken = 0
    archive = store / ARCHIVE
    with only_one(store):
        try:
            join(folder, ARCHIVE, archive)
            with tarfile.open(archive, "r:gz") as content:
                for run, members in _by_run(content, folder).items():
                    taken += _take(content, members, store / "runs" / run)
        finally:
            archive.unlink(missing_ok=True)
    return taken


def _by_run(content: tarfile.TarFile, folder: Path) -> dict[str, list[tarfile.TarInfo]]:
    by_run: dict[str, list[tarfile.TarInfo]] = {}
    for member in content:
        run, _, name = member.name.partition("/")
        if not member.isfile() or not run or not name or "/" in name or run.startswith("."):
            raise UserError(f"{folder}: {member.name!r} is no file of a run; pack the store again")
        by_run.setdefault(run, []).append(member)
    return by_run


def _take(content: tarfile.TarFile, members: list[tarfile.TarInfo], path: Path) -> bool:
    """Put the files of a run in place, unless there is as much of it already; return whether they were."""
    identity = path.name.rpartition("-")[2]
    here = RunDirectory(next(iter(directories_of(path.parent, identity)), path))
    names = {member.name.partition("/")[2]: member for member in members}
    if here.summary is not None:
        return False
    if "summary.json" not in names and _step(content, names.get("status.json")) <= here.status["step"]:
        return False
    for name in [file.name for file in _in_order([Path(name) for name in names])]:
        source = content.extractfile(names[name])
        assert source is not None  # a file, as was checked
        with replacing(here.path / name) as file:
            shutil.copyfileobj(source, file)
    return True


def _step(content: tarfile.TarFile, status: tarfile.TarInfo | None) -> int:
    """Return the step of a packed run; 0 if it has no status yet."""
    source = content.extractfile(status) if status else None
    return int(json.loads(source.read())["step"]) if source else 0
