"""A file in parts that are small enough to be carried, and the same file joined from them and checked.

Beside the parts ``<name>.part01``, ``<name>.part02``, ... lies ``<name>.parts.json`` with size and SHA-256 of each part
and of the whole. It is written last: parts without it, or that it does not describe, are no file.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from normscape.errors import UserError
from normscape.storage.files import read_json, replacing, require_writable, write_json

MEBIBYTE = 1 << 20
CHUNK_BYTES = 8 * MEBIBYTE
LIST = ".parts.json"


def pack(file: Path, folder: Path, part_bytes: int) -> list[Path]:
    """Write a file in parts into a folder, which may hold the parts of its former content, and return their paths.

    The parts are made beside the file and then moved, so that the folder is never without a complete set for longer
    than that takes.
    """
    require_writable(folder, "parts")
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".parts-") as scratch:
        entries = list(_cut(file, Path(scratch), part_bytes))
        whole = {"name": file.name, "bytes": file.stat().st_size, "sha256": _digest(file)}
        for entry in entries:
            shutil.move(Path(scratch) / entry["name"], folder / entry["name"])
    write_json(folder / f"{file.name}{LIST}", {**whole, "parts": entries})
    names = [entry["name"] for entry in entries]
    for left in folder.glob(f"{file.name}.part[0-9]*"):
        if left.name not in names:
            left.unlink()
    return [folder / name for name in names]


def _cut(file: Path, folder: Path, part_bytes: int) -> Iterator[dict[str, Any]]:
    with file.open("rb") as whole:
        number = 0
        while True:
            number += 1
            part, left = folder / f"{file.name}.part{number:02d}", part_bytes
            with part.open("wb") as target:
                while left and (chunk := whole.read(min(CHUNK_BYTES, left))):
                    left -= target.write(chunk)
            size = part.stat().st_size
            if not size and number > 1:
                part.unlink()
                return
            yield {"name": part.name, "bytes": size, "sha256": _digest(part)}
            if left:
                return


def packed(folder: Path) -> list[str]:
    """Return the names of the files that lie in parts in a folder."""
    return sorted(path.name.removesuffix(LIST) for path in folder.glob(f"*{LIST}"))


def join(folder: Path, name: str, target: Path) -> None:
    """Write the file that lies in parts in a folder to ``target``, if every part and the whole are what they were.

    Raises
    ------
    UserError
        If a part is missing or damaged, or the list of parts is; names it. ``target`` is then as it was.
    """
    listed = _list(folder, name)
    with replacing(target) as file:
        whole = hashlib.sha256()
        for entry in listed["parts"]:
            _append(folder / entry["name"], entry, file, whole)
        if whole.hexdigest() != listed["sha256"]:
            raise UserError(f"{folder / (name + LIST)}: its parts do not make {name}; pack it again")


def _list(folder: Path, name: str) -> Any:
    path = folder / f"{name}{LIST}"
    listed = read_json(path)
    if listed is None:
        raise UserError(f"{path}: there is no such list of parts; it travels with them")
    try:
        known = listed["name"] == name and [set(part) for part in listed["parts"]]
        if known and all(keys == {"name", "bytes", "sha256"} for keys in known) and "sha256" in listed:
            return listed
    except (TypeError, KeyError):
        pass
    raise UserError(f"{path}: not a list of parts of {name}; pack it again")


def _append(part: Path, entry: dict[str, Any], file: BinaryIO, whole: Any) -> None:
    found, size = hashlib.sha256(), 0
    try:
        with part.open("rb") as source:
            while chunk := source.read(CHUNK_BYTES):
                for digest in (found, whole):
                    digest.update(chunk)
                size += file.write(chunk)
    except OSError as error:
        raise UserError(f"{part}: a part that cannot be read ({error.strerror}); bring it again") from error
    if size != entry["bytes"]:
        raise UserError(f"{part}: has {size} bytes of {entry['bytes']}; bring it again")
    if found.hexdigest() != entry["sha256"]:
        raise UserError(f"{part}: not the part that was packed (SHA-256); bring it again")


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
