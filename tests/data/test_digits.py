"""MNIST from every kind of source: checked, kept, and refused in one line when nothing gives it."""

import gzip
import hashlib
import io
import tarfile

import numpy as np
import pytest
import torch

from normscape.data import digits, mnist, synthetic_digits
from normscape.data.digits import FILES, load_files
from normscape.data.download import data_root
from normscape.errors import UserError


def idx(values):
    """Return an array of bytes as an IDX file: 0, 0, 8 for bytes, how many dimensions, and their sizes."""
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    return bytes([0, 0, 8, values.ndim]) + sizes + values.tobytes()


GENERATOR = np.random.default_rng(0)
CONTENT = {
    name: idx(GENERATOR.integers(0, 256 if "images" in name else 10, shape, dtype=np.uint8))
    for name, shape in zip(FILES, [(6, 28, 28), (6,), (4, 28, 28), (4,)], strict=True)
}
EXPECTED = {name: hashlib.md5(content).hexdigest() for name, content in CONTENT.items()}


@pytest.fixture(autouse=True)
def _no_mirror(monkeypatch):
    monkeypatch.delenv("NORMSCAPE_MNIST_MIRROR", raising=False)


def archive(path, content=CONTENT):
    with tarfile.open(path, "w:gz") as file:
        for name, each in content.items():
            member = tarfile.TarInfo(f"package/data/{name}")
            member.size = len(each)
            file.addfile(member, io.BytesIO(each))
    return str(path)


def zipped(folder):
    folder.mkdir()
    for name, each in CONTENT.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(each))
    return f"{folder}/"


@pytest.mark.parametrize("make", [lambda path: archive(path / "a.tgz"), lambda path: zipped(path / "b")])
def test_each_kind_of_source_gives_the_files_and_is_asked_once(tmp_path, make):
    folder = tmp_path / "mnist"
    assert load_files(folder, [make(tmp_path)], EXPECTED) == CONTENT
    assert {path.name for path in folder.iterdir()} - {"lock"} == set(FILES)
    assert load_files(folder, [], EXPECTED) == CONTENT


def test_a_damaged_file_is_fetched_again(tmp_path):
    folder, source = tmp_path / "mnist", archive(tmp_path / "a.tgz")
    load_files(folder, [source], EXPECTED)
    (folder / "t10k-labels-idx1-ubyte").write_bytes(b"\0" * 12)
    assert load_files(folder, [source], EXPECTED) == CONTENT


def test_bad_sources_are_named_and_the_next_is_tried_the_mirror_first(tmp_path, capsys, monkeypatch):
    altered = archive(tmp_path / "altered.tgz", {**CONTENT, "t10k-labels-idx1-ubyte": b"\0" * 12})
    few = archive(tmp_path / "few.tgz", {})
    (tmp_path / "cut.tgz").write_bytes((tmp_path / "altered.tgz").read_bytes()[:3000])
    monkeypatch.setenv("NORMSCAPE_MNIST_MIRROR", str(tmp_path / "absent.tgz"))
    sources = [altered, few, str(tmp_path / "cut.tgz"), zipped(tmp_path / "good")]
    assert load_files(tmp_path / "mnist", sources, EXPECTED) == CONTENT
    said = capsys.readouterr().err.splitlines()
    told = [
        "there is no file",
        "t10k-labels-idx1-ubyte has MD5",
        "has no file train-images",
        "not whole",
        "all of it is right",
    ]
    assert all(what in line for what, line in zip(told, said, strict=True))


def test_without_a_source_it_says_where_to_put_the_files(tmp_path):
    with pytest.raises(UserError, match=r"no source gave MNIST.*train-images-idx3-ubyte.*NORMSCAPE_MNIST_MIRROR"):
        load_files(tmp_path / "mnist", [], EXPECTED)
    assert not list((tmp_path / "mnist").glob("*ubyte"))


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="NORMSCAPE_DATA"):
        load_files(tmp_path / "file" / "mnist", [], EXPECTED)


def test_images_are_binary_at_half_intensity_or_scaled_to_one(tmp_path, monkeypatch):
    monkeypatch.setattr(digits, "load_files", lambda folder: CONTENT)
    monkeypatch.setattr(digits, "TRAIN_IMAGES", 6)
    pixels = np.frombuffer(CONTENT["train-images-idx3-ubyte"][16:], dtype=np.uint8).reshape(6, 1, 28, 28)
    binary, grey = mnist(5, root=str(tmp_path)), mnist(binary=False, root=str(tmp_path))
    assert binary.train.inputs.tolist() == (pixels[:5] > 127).astype(int).tolist()
    assert torch.equal(binary.network_inputs(binary.train.inputs), binary.train.inputs.float())
    torch.testing.assert_close(grey.network_inputs(grey.train.inputs), torch.from_numpy(pixels.copy()) / 255)
    assert binary.train.targets.tolist() == list(CONTENT["train-labels-idx1-ubyte"][8:13])
    assert len({binary.checksum, grey.checksum, mnist(root=str(tmp_path)).checksum}) == 3


@pytest.mark.parametrize("count", [0, -1, 60_001, 1.5])
def test_train_images_out_of_range_is_a_user_error(count, tmp_path):
    with pytest.raises(UserError, match=f"train_images={count}: MNIST has 1 to 60000"):
        mnist(count, root=str(tmp_path))


def test_the_stand_in_is_stored_alike():
    data = synthetic_digits(20, 10)
    assert (data.train.inputs.shape, data.train.inputs.dtype) == ((20, 1, 28, 28), torch.uint8)
    assert data.train.inputs.unique().tolist() == [0, 1]
    assert 0.2 < data.train.inputs.float().mean() < 0.8
    assert (data.mean, len(data.test), data.train.targets.dtype) == (None, 10, torch.int64)


REAL = data_root() / "mnist"


@pytest.mark.skipif(not (REAL / next(iter(FILES))).exists(), reason=f"MNIST is not in {REAL}")
def test_the_real_data_set():
    data = mnist()
    assert data.train.inputs.shape == (60_000, 1, 28, 28)
    assert data.train.targets.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert data.test.targets.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
