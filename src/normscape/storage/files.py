"""Files that are complete at every moment, and that say when they are no longer what was written."""

import errno
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from normscape.errors import UserError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a full disk, a used up quota or a limit on the size of files come to."""

SEAL = "content_sha256"
"""The key under which a JSON file keeps the hash of all else in it."""

RESTORE = "restore it, or remove what it belongs to"


@contextmanager
def replacing(path: Path) -> Iterator[Any]:
    """Open a temporary binary file that replaces ``path`` atomically when the block succeeds.

    Raises
    ------
    UserError
        If it cannot be written, as on a full disk; what was there before stays as it was, and nothing else is left.
    """
    try:
        with _replacing(path) as file:
            yield file
    except (OSError, RuntimeError) as error:
        if (reason := _of_system(error)) is None:
            raise
        raise unwritable(path, reason) from error


def unwritable(path: Path, error: OSError) -> UserError:
    """Say in one line that something cannot be written, why, and what to do."""
    cure = "make room, and start again" if error.errno in FULL else "see that it can be, and start again"
    return UserError(f"{path}: cannot be written ({error.strerror or error}); {cure}")


def require_writable(folder: Path, what: str, *, make: bool = True) -> None:
    """Make a folder; raise `UserError` if nothing can be written there.

    Parameters
    ----------
    folder
        It and those above it are made if they are not there.
    what
        The option or setting that names it.
    make
        If it is false, nothing is made: the nearest folder that there is has to be one, and writable.
    """
    if not make:
        folder = next((place for place in (folder, *folder.parents) if place.exists()), folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(f"{what}: {folder} cannot be written to ({error.strerror}); give another folder") from error


def _of_system(error: BaseException | None) -> OSError | None:
    """Return what the system said, also where `torch.save` says that its own file has come to a wrong end."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error


@contextmanager
def _replacing(path: Path) -> Iterator[Any]:
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


def replace_all(contents: Mapping[Path, bytes]) -> None:
    """Write files that belong together, in their order: none is replaced unless all could be written.

    Raises
    ------
    UserError
        If one cannot be written; what was there before stays as it was, and nothing else is left.
    """
    with ExitStack() as opened:
        for path, content in reversed([*contents.items()]):  # the first is replaced first
            if path.is_dir():
                raise UserError(f"{path}: a folder, expected a file; move it away, and start again")
            file = opened.enter_context(replacing(path))
            try:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            except OSError as error:
                raise unwritable(path, error) from error


def json_bytes(content: Any) -> bytes:
    """Return JSON, sealed by its own hash; infinity and NaN, for which JSON has no number, as words."""
    plain = worded(content)
    sealed = {**plain, SEAL: _seal(plain)} if isinstance(plain, dict) else plain
    return (json.dumps(sealed, indent=2, allow_nan=False) + "\n").encode()


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically (`json_bytes`)."""
    with replacing(path) as file:
        file.write(json_bytes(content))


def _seal(content: dict[str, Any]) -> str:
    """Return a hash of a JSON object, in whatever order its keys are."""
    read_back = json.loads(json.dumps(content))  # whose keys are all text
    return hashlib.sha256(json.dumps(read_back, sort_keys=True).encode()).hexdigest()


def worded(value: Any) -> Any:
    """Return a value for JSON, with infinity and NaN as words."""
    if isinstance(value, dict):
        return {key: worded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [worded(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path: Path, cure: str = RESTORE) -> Any:
    """Return the content of a JSON file, or None if there is no such file; ``cure`` says what to do if it is damaged.

    Raises
    ------
    UserError
        If it cannot be read, or is not what was written: what was sealed has another hash. Files from before there
        were seals are read as they are.
    """
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, OSError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({error}); {cure}") from error
    if not isinstance(content, dict) or SEAL not in content:
        return content
    seal = content.pop(SEAL)
    if seal != _seal(content):
        raise UserError(f"{path}: not what was written there (another hash); {cure}")
    return content
