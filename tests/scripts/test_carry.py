"""What is carried to a machine without network: data that is checked, packages of the lock, one line for a mistake."""

import sys
from pathlib import Path

import numpy as np
import pytest

from normscape.errors import UserError
from normscape.storage.parts import pack

PROJECT = Path(__file__).parents[2]
sys.path.append(str(PROJECT / "scripts"))

import carry  # noqa: E402
import wheels  # noqa: E402


def test_a_file_is_packed_and_joined(tmp_path, capsys):
    (tmp_path / "file").write_bytes(bytes(range(200)))
    carry.main(["pack", str(tmp_path / "file"), str(tmp_path / "parts"), "--mebibytes=0.0001"])
    carry.main(["join", str(tmp_path / "parts"), str(tmp_path / "there")])
    assert (tmp_path / "there" / "file").read_bytes() == bytes(range(200))
    assert len(list((tmp_path / "parts").glob("*.part*"))) == 3
    assert capsys.readouterr().out.splitlines()[-1] == f"{tmp_path / 'there' / 'file'}: joined and checked"


def test_cifar_that_is_not_as_it_is_known_is_refused_before_and_after(tmp_path):
    array = tmp_path / "cifar10.npy"
    np.save(array, np.zeros((10, 3073), dtype=np.uint8))
    with pytest.raises(UserError, match=r"cifar10.npy: not CIFAR-10 as it is known"):
        carry.main(["pack", str(array), str(tmp_path / "parts")])
    pack(array, tmp_path / "parts", 10_000)
    with pytest.raises(UserError, match=r"parts: its cifar10.npy is not CIFAR-10 as it is known"):
        carry.main(["join", str(tmp_path / "parts"), str(tmp_path / "there")])
    assert not (tmp_path / "there" / "cifar10.npy").exists()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("pack", "pack: expected what and folder"),
        ("join a", "join: expected folder with parts and where"),
        ("stamp a", "stamp: expected nothing more"),
        ("unpack a b", "invalid choice: 'unpack'"),
        ("pack nothing there", "nothing: expected a file, or a store with a folder runs"),
        ("join nothing there", "nothing: expected a folder with parts and their list"),
        ("pack a b --mebibytes=0", "--mebibytes 0: expected a number above 0"),
        ("pack a b --mebibytes=nan", "--mebibytes nan: expected a number above 0"),
        ("pack a b --mebibyte", "argument --mebibytes"),
    ],
)
def test_a_mistake_is_one_line(line, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        carry.main(line.split())
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_the_packages_are_those_of_the_lock_for_the_python_there():
    locked = {python: wheels.read_lock(python) for python in ("3.11", "3.12")}
    versions = {python: lines["numpy"].split()[0] for python, lines in locked.items()}
    assert versions["3.11"] != versions["3.12"]
    assert "--hash=sha256:" in locked["3.12"]["hydra-core"]
    assert "colorama" not in locked["3.12"]  # of Windows alone


def test_what_is_needed_is_all_but_what_comes_with_torch():
    needed = set(wheels.needed())
    assert {"hydra-core", "omegaconf", "antlr4-python3-runtime", "pooch", "filelock", "rich", "pandas"} <= needed
    assert not needed & {"torch", "torchvision", "numpy", "pillow", "wandb", "pytest", "triton"}
    assert needed <= {*wheels.read_lock("3.12"), "colorama"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("folder --python=three", "--python three: expected a version such as 3.12"),
        ("folder hydra", "hydra: not in requirements.lock"),
    ],
)
def test_a_mistake_with_wheels_is_one_line(line, said):
    with pytest.raises(UserError, match=said):
        wheels.main(line.split())
