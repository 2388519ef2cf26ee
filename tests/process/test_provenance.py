"""A manifest records what decides a run's bits."""

import shlex
import sys

import pytest
import torch

from normscape.config import CONFIGS
from normscape.process import provenance as provenance_module
from normscape.process.entry import COMMAND
from normscape.process.provenance import code_digest, commit, provenance
from normscape.storage.files import write_json


def test_the_instruction_set_and_its_limits_are_recorded(monkeypatch):
    for name in ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_CBWR"):
        monkeypatch.delenv(name, raising=False)
    hardware = provenance(torch.device("cpu"))["hardware"]
    assert hardware["instruction_set"] == torch.backends.cpu.get_cpu_capability()
    assert hardware["kernel_limits"] == {}
    assert ("avx2" in hardware["vector_extensions"]) == torch.cpu._is_avx2_supported()
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert provenance()["hardware"]["kernel_limits"] == {"ONEDNN_MAX_CPU_ISA": "AVX2"}


def test_versions_and_commit_are_recorded():
    origin = provenance()
    assert torch.__version__.startswith(origin["versions"]["torch"])
    assert set(origin) == {"commit", "command", "versions", "hardware", "written"}


def test_the_libraries_that_compute_are_recorded():
    versions = provenance()["versions"]
    assert {"blas", "mkl", "onednn"} <= set(versions)
    assert versions["onednn"] in torch.__config__.show()


def test_a_copy_without_git_knows_the_commit_that_it_was_stamped_with(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))  # where there is no git
    monkeypatch.setattr(provenance_module, "STAMP", tmp_path / "code.json")
    assert commit() is None
    digest = code_digest(CONFIGS.parent)
    for stamp, found in (
        ({"commit": "abc", "sha256": digest}, "abc"),
        ({"commit": "abc", "sha256": "another"}, "abc+changes"),
        ({"commit": "abc+changes", "sha256": "another"}, "abc+changes"),
        ({"commit": "abc"}, None),
    ):
        write_json(tmp_path / "code.json", stamp)
        assert commit() == found


def test_a_copy_within_a_checkout_of_another_commit_says_what_it_was_stamped_with(tmp_path, monkeypatch):
    """There, git calls what differs a change; the digest says that it is the code of the stamp."""
    said = {"rev-parse": "other", "ls-files": "provenance.py", "status": "M src/normscape/loop.py"}
    monkeypatch.setattr(provenance_module, "_git", lambda command, *rest: said[command])
    monkeypatch.setattr(provenance_module, "STAMP", tmp_path / "code.json")
    assert commit() == "other+changes"
    write_json(tmp_path / "code.json", {"commit": "abc", "sha256": "another"})
    assert commit() == "other+changes"
    write_json(tmp_path / "code.json", {"commit": "abc", "sha256": code_digest(CONFIGS.parent)})
    assert commit() == "abc"
    write_json(tmp_path / "code.json", {"commit": "abc+changes", "sha256": code_digest(CONFIGS.parent)})
    assert commit() == "other+changes"
    said["status"] = ""
    assert commit() == "other"


def test_a_changed_file_of_the_code_changes_its_digest(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("x = 1\n")
    before = code_digest(tmp_path)
    for made in ("__pycache__/a.pyc", "a.egg-info/PKG-INFO"):
        (tmp_path / "src" / made).parent.mkdir()
        (tmp_path / "src" / made).write_text("")
    assert code_digest(tmp_path) == before
    (tmp_path / "src" / "page.js").write_text("")
    assert code_digest(tmp_path) != before
    (tmp_path / "src" / "page.js").unlink()
    (tmp_path / "src" / "a.py").write_text("x = 2\n")
    assert code_digest(tmp_path) != before


@pytest.mark.parametrize(
    ("given", "recorded"),
    [
        (["--out", "/home/ann/out", "/home/ann"], "--out ~/out ~"),
        (["--out=/home/ann/out", "data.root=/home/ann"], "--out=~/out data.root=~"),
        (["probes=[/home/ann/a b,/home/ann]"], "'probes=[~/a b,~]'"),
        (["/home/anna", "/mnt/home/ann", "x/home/ann/y"], "/home/anna /mnt/home/ann x/home/ann/y"),
    ],
)
def test_a_recorded_command_does_not_say_where_its_user_s_home_is(given, recorded, monkeypatch):
    monkeypatch.delenv(COMMAND, raising=False)
    monkeypatch.setattr(sys, "argv", ["/home/ann/experiments/train.py", *given])
    for home in ("/home/ann", "/home/ann/"):
        monkeypatch.setenv("HOME", home)
        assert provenance()["command"] == f"train.py {recorded}"
    for home in ("/", ""):
        monkeypatch.setenv("HOME", home)
        assert provenance()["command"] == f"train.py {shlex.join(given)}"
