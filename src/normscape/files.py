"""Files that are complete at every moment."""

import json
import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from normscape.errors import UserError


@contextmanager
def replacing(path: Path) -> Iterator[Any]:
    """Open a temporary binary file that replaces ``path`` atomically when the block succeeds."""
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
    """Write JSON atomically; infinity and NaN, for which JSON has no number, as words."""
    with replacing(path) as file:
        file.write((json.dumps(worded(content), indent=2, allow_nan=False) + "\n").encode())


def worded(value: Any) -> Any:
    """Return a value for JSON, with infinity and NaN as words."""
    if isinstance(value, dict):
        return {key: worded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [worded(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path: Path) -> Any:
    """Return the content of a JSON file, or None if there is no such file; `UserError` if it is damaged."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as error:
        raise UserError(
            f"{path}: cannot be read as JSON ({error}); restore it, or remove what it belongs to"
        ) from error
