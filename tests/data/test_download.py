import os
from pathlib import Path

import pytest

from normscape.data import download
from normscape.data.download import SourceError, data_root, fetch


def test_data_root_is_the_argument_then_the_variable_then_the_checkout(monkeypatch, tmp_path):
    monkeypatch.setenv("NORMSCAPE_DATA", str(tmp_path / "named"))
    assert data_root(str(tmp_path)) == tmp_path
    assert data_root() == tmp_path / "named"
    monkeypatch.delenv("NORMSCAPE_DATA")
    assert data_root() == Path(__file__).parents[2] / ".data"


def test_data_root_of_an_installed_wheel_is_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.delenv("NORMSCAPE_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(download, "__file__", str(tmp_path / "site-packages" / "normscape" / "data" / "download.py"))
    assert data_root().name == "normscape"
    assert ".data" not in data_root().parts


def fake_npm(folder, monkeypatch, script):
    folder.mkdir()
    npm = folder / "npm"
    npm.write_text(f"#!/bin/sh\n{script}\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_npm_pack_leaves_one_archive(tmp_path, monkeypatch):
    fake_npm(tmp_path / "bin", monkeypatch, '[ "$1" = view ] || echo "$2" > package-1.0.tgz')
    assert fetch("npm:package@1.0", tmp_path).read_text() == "package@1.0\n"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'npm error code ENOTFOUND\nnpm error network a\nnpm error network b' >&2; exit 1", "ENOTFOUND$"),
        ("echo 'npm error bad flag' >&2; exit 1", "npm view package@1.0: npm error bad flag$"),
        ("exit 3", "npm view package@1.0: exit status 3$"),
        ("exec sleep 600", "npm view package@1.0: no end after 0 s$"),
        ("exit 0", "npm pack package@1.0 left 0 archives"),
    ],
)
def test_what_npm_could_not_do_is_said_in_one_line(tmp_path, monkeypatch, script, message):
    if "sleep" in script:
        monkeypatch.setattr(download, "NPM_ANSWER_SECONDS", 0.2)
    fake_npm(tmp_path / "bin", monkeypatch, script)
    with pytest.raises(SourceError, match=message) as caught:
        fetch("npm:package@1.0", tmp_path)
    assert "\n" not in str(caught.value)


def test_without_npm_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match="npm is not installed"):
        fetch("npm:package@1.0", tmp_path)


def test_a_local_file_is_used_where_it_lies(tmp_path):
    path = tmp_path / "with space.tar.gz"
    path.write_bytes(b"x")
    assert fetch(str(path), tmp_path) == fetch(path.as_uri(), tmp_path) == path
    with pytest.raises(SourceError, match=f"no file {tmp_path}/absent"):
        fetch(str(tmp_path / "absent"), tmp_path)
