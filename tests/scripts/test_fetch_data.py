"""Fetching data: each set by its name, all without one, and a wrong name in one line."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "scripts"))

import fetch_data

from normscape.data import digits
from normscape.data.cifar import load
from normscape.errors import UserError


@pytest.fixture
def fetched(monkeypatch):
    """What is fetched, and to where."""
    found = []
    monkeypatch.setattr(load, "load_records", lambda folder: found.append(("cifar10", folder)) or range(60_000))
    monkeypatch.setattr(digits, "load_files", lambda folder: found.append(("mnist", folder)) or dict.fromkeys("abcd"))
    return found


def test_without_a_name_everything_is_fetched(fetched, tmp_path, capsys):
    fetch_data.main(["--root", str(tmp_path)])
    assert fetched == [("cifar10", tmp_path), ("mnist", tmp_path / "mnist")]
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"CIFAR-10: 60000 images in {tmp_path}")
    assert second.startswith(f"MNIST: 4 files in {tmp_path / 'mnist'}, all checked (")


def test_what_is_named_alone_is_fetched(fetched, tmp_path):
    fetch_data.main(["mnist", "--root", str(tmp_path)])
    assert [name for name, _ in fetched] == ["mnist"]


def test_an_unknown_name_is_one_line_before_anything_is_fetched(fetched, tmp_path):
    with pytest.raises(UserError, match=r"^cifar: no such data set; did you mean 'cifar10'"):
        fetch_data.main(["mnist", "cifar", "--root", str(tmp_path)])
    assert not fetched
