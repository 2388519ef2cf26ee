"""make verify: the same run is the same, a digit is a difference, and another run is not compared."""

import hashlib
import importlib.util
import shutil
import sys
from pathlib import Path

import pytest
import torch

from normscape.errors import UserError
from normscape.process import portable
from normscape.storage.files import read_json, write_json

PROJECT = Path(__file__).parents[2]
sys.path.append(str(PROJECT / "scripts"))

import verify  # noqa: E402


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with figure 10 at the smoke scale, made now."""
    spec = importlib.util.spec_from_file_location("reproduce_for_verify", PROJECT / "experiments" / "reproduce.py")
    reproduce = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = reproduce
    spec.loader.exec_module(reproduce)
    folder = tmp_path_factory.mktemp("results")
    settings = ["tracker=none", "device=cpu", f"runs_dir={folder / 'runs'}"]
    reproduce.main(["10", "--scale=smoke", "--workers=1", f"--results={folder}", *settings])
    return folder / "santurkar2018" / "smoke"


@pytest.fixture
def results(made, tmp_path):
    return shutil.copytree(made, tmp_path / "santurkar2018" / "smoke")


def verified(results, capsys, *arguments):
    code = verify.main([str(results), *arguments])
    return code, capsys.readouterr().out


def change_manifest(results, run, **changes):
    file = results / "fig10.json"
    content = read_json(file)
    for entry in content["manifest"]["runs"][run]["seeds"].values():
        entry.update(changes)
    write_json(file, content)


def accept_table(results):
    """Give the manifest the checksum of the table that is there."""
    file = results / "fig10.json"
    content = read_json(file)
    content["manifest"]["table"]["sha256"] = hashlib.sha256((results / "fig10.csv").read_bytes()).hexdigest()
    write_json(file, content)


def test_what_is_made_here_is_the_same_here(results, capsys):
    code, said = verified(results, capsys)
    assert code == 0
    assert said.count(": the same (") == 2


@pytest.mark.parametrize(
    ("hardware", "means"),
    [
        ({"instruction_set": "AVX512", "device": "cpu"}, "expected: made with native kernels for AVX512"),
        ({"device": "cpu"}, "for an instruction set not recorded in its manifest"),
        (
            {"instruction_set": torch.backends.cpu.get_cpu_capability(), "device": "cpu", "kernel_limits": {}},
            "not expected: made with native kernels",
        ),
        pytest.param(
            None,
            "portable kernels should give the same, here and there",
            marks=pytest.mark.skipif(not portable.has_avx2(), reason="no x86 processor with AVX2"),
        ),
    ],
)
def test_a_digit_is_a_difference_and_its_reason_is_named(results, capsys, hardware, means):
    if hardware:
        change_manifest(results, "dln_batch", hardware=hardware)
    (table,) = results.glob("fig10.csv")
    lines = table.read_text().splitlines()
    last = next(number for number, line in enumerate(lines) if line.startswith("dln_batch"))
    lines[last] = lines[last][:-1] + str((int(lines[last][-1]) + 1) % 10)
    table.write_text("\n".join(lines) + "\n")
    with pytest.raises(UserError, match="not the table that its manifest describes"):
        verify.main([str(results), "--runs", "dln_batch-s0"])
    accept_table(results)
    code, said = verified(results, capsys, "--runs", "dln_batch-s0")
    assert code == 1
    assert "dln_batch-s0: different, 9" in said
    assert means in said


def test_what_cannot_be_compared_is_one_line(results, tmp_path):
    change_manifest(results, "dln_batch", directory="dln_batch-s0-000000000000")
    with pytest.raises(UserError, match="dln_batch-s0: cannot be compared; the code now gives"):
        verify.main([str(results), "--runs", "dln_batch-s0"])
    with pytest.raises(UserError, match="--runs dln_bach-s0: no such committed run; did you mean 'dln_batch-s0'"):
        verify.main([str(results), "--runs", "dln_bach-s0"])
    with pytest.raises(UserError, match="--count 0: expected 1 or more"):
        verify.main([str(results), "--count", "0"])
    with pytest.raises(UserError, match="expected a folder of results"):
        verify.main([str(tmp_path / "nothing")])
