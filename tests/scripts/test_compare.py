"""The scripts that compare results and runs: the same is the same, and one digit is a difference."""

import gzip
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from normscape.errors import UserError
from normscape.runs import RunDirectory
from normscape.storage.files import read_json, write_json

PROJECT = Path(__file__).parents[2]
SCRIPTS = PROJECT / "scripts"
sys.path.append(str(SCRIPTS))

import compare_results  # noqa: E402
import compare_runs  # noqa: E402

RESULTS = PROJECT / "results" / "santurkar2018" / "laptop"
FIGURES = ("fig01", "fig10")


@pytest.fixture
def results(tmp_path):
    """Copies of the committed results of two figures, one with a compressed table."""
    for side in ("old", "new"):
        (tmp_path / side).mkdir()
        for figure in FIGURES:
            for file in (*RESULTS.glob(f"{figure}.json"), *RESULTS.glob(f"{figure}.csv*")):
                shutil.copy(file, tmp_path / side)
        plain = tmp_path / side / "fig10.csv"
        if plain.exists():  # a small one, of few seeds
            (tmp_path / side / "fig10.csv.gz").write_bytes(gzip.compress(plain.read_bytes(), mtime=0))
            plain.unlink()
    return tmp_path / "old", tmp_path / "new"


def changed(file, change):
    content = read_json(file)
    change(content)
    write_json(file, content)


def compared(results):
    return compare_results.main([str(folder) for folder in results])


def test_the_same_results_are_the_same_whatever_their_words(results, capsys):
    changed(
        results[1] / "fig01.json",
        lambda content: content["claims"]["tests_better"].update(claim="Other words", statistic="too"),
    )
    assert compared(results) == 0
    assert capsys.readouterr().out == "2 figures: every claim and every row is the same\n"


def test_manifests_that_list_claims_are_compared_too(results, capsys):
    def listed(content):
        named = [{"name": name, **claim} for name, claim in content["claims"].items()]
        content["claims"] = [*named, {"name": "spacing_of_snapshots", "value": 3}]  # dropped since

    changed(results[0] / "fig01.json", listed)
    assert compared(results) == 0, capsys.readouterr().out


def test_a_changed_value_a_lost_claim_and_a_changed_part_are_named(results, capsys):
    names = list(read_json(results[0] / "fig01.json")["claims"])
    changed(results[1] / "fig01.json", lambda content: content["claims"][names[0]].update(value=1.23456))
    changed(results[1] / "fig01.json", lambda content: content["claims"].pop(names[-1]))
    assert compared(results) == 1
    said = capsys.readouterr().out
    assert f"fig01: claim {names[0]}: [" in said
    assert "1.23456" in said
    assert f"fig01: claim {names[-1]} is only in {results[0]}" in said

    def other_part(content):
        with_parts = next(claim for claim in content["claims"].values() if claim["parts"])
        with_parts["parts"][0]["values"][0] += 0.1

    shutil.copy(results[0] / "fig10.json", results[1])
    changed(results[1] / "fig10.json", other_part)
    assert compared(results) == 1
    assert "2 numbers of its parts, reasons or evidence differ" in capsys.readouterr().out


def test_a_changed_row_and_a_lost_column_are_named_and_a_new_column_is_none(results, capsys):
    table = pd.read_csv(results[1] / "fig01.csv", dtype=str, keep_default_na=False)
    table.assign(other="vgg").to_csv(results[1] / "fig01.csv", index=False)
    assert compared(results) == 0
    with gzip.open(results[1] / "fig10.csv.gz", "rt") as file:
        lines = file.read().splitlines()
    with gzip.open(results[1] / "fig10.csv.gz", "wt") as file:
        file.write("\n".join([*lines[:-1], lines[-1] + "1"]) + "\n")
    table.drop(columns="seed").to_csv(results[1] / "fig01.csv", index=False)
    capsys.readouterr()
    assert compared(results) == 1
    said = capsys.readouterr().out
    assert "fig10: 1 rows are missing and 1 are new" in said
    assert "fig01: the table no longer has column seed" in said


def test_a_folder_without_results_is_named(tmp_path, capsys):
    with pytest.raises(UserError, match=f"^{tmp_path}: expected a folder with results"):
        compare_results.main([str(tmp_path), str(RESULTS)])
    assert capsys.readouterr().out == ""


ROWS = "step,quantity,layer,step_size,value\n0,train_loss,,,2.5\n0,ics_l2,3,,0.5\n1,train_loss,,,nan\n"


def traces(folder):
    content = (folder / "metrics.csv").read_bytes()
    size = f"{len(content.splitlines()) - 1} rows"
    found = {"metrics.csv": {"size": size, "sha256": hashlib.sha256(content).hexdigest()}}
    if (file := folder / "arrays.npz").exists():
        content = file.read_bytes()
        found["arrays.npz"] = {"size": f"{len(content)} bytes", "sha256": hashlib.sha256(content).hexdigest()}
    return found


def save_run(folder, rows=ROWS, arrays=None):
    folder.mkdir()
    (folder / "metrics.csv").write_text(rows)
    np.savez(folder / "arrays.npz", **({"x": np.array([1.0, np.nan])} if arrays is None else arrays))
    write_json(folder / "summary.json", {"status": "finished", "files": traces(folder)})


@pytest.mark.parametrize(
    ("second", "code", "said"),
    [
        (ROWS, 0, "all 3 rows are the same\n"),
        (
            ROWS.replace("0.5", "0.500001"),
            1,
            "ics_l2: 1 of 1 rows differ, from step 0 on, by at most 2e-06 of the value\n",
        ),
        (ROWS.replace("1,train_loss,,,nan\n", ""), 1, "1 rows are only in the first run\n"),
    ],
)
def test_runs_are_compared_row_by_row(tmp_path, capsys, second, code, said):
    for name, text in (("a", ROWS), ("b", second)):
        save_run(tmp_path / name, text)
    assert compare_runs.main([str(tmp_path / "a"), str(tmp_path / "b")]) == code
    assert capsys.readouterr().out.startswith(said)


@pytest.mark.parametrize(
    ("arrays", "code", "said"),
    [
        ({"x": np.array([1.0, np.nan])}, 0, "all 1 arrays are the same\n"),
        ({"x": np.array([1.0, 2.0])}, 1, "x: differs\n"),
        ({"x": np.array([1.0, np.nan]), "y": np.zeros(1)}, 1, "y: only in the second run\n"),
    ],
)
def test_snapshots_of_runs_are_compared_too(tmp_path, capsys, arrays, code, said):
    save_run(tmp_path / "a")
    save_run(tmp_path / "b", arrays=arrays)
    assert compare_runs.main([str(tmp_path / "a"), str(tmp_path / "b")]) == code
    assert capsys.readouterr().out.endswith(said)
    content = (tmp_path / "b" / "arrays.npz").read_bytes()
    (tmp_path / "b" / "arrays.npz").write_bytes(content[:100])
    with pytest.raises(UserError, match=r"arrays.npz: not the file that the run wrote"):
        compare_runs.main([str(tmp_path / "a"), str(tmp_path / "b")])


def test_what_is_no_run_or_not_what_a_run_wrote_is_not_compared(tmp_path):
    with pytest.raises(UserError, match="expected the folder of a run that has ended"):
        compare_runs.main([str(tmp_path), str(tmp_path)])
    (tmp_path / "metrics.csv").write_text(ROWS)
    write_json(tmp_path / "summary.json", {"status": "finished", "files": traces(tmp_path)})
    (tmp_path / "metrics.csv").write_text(ROWS[:40])
    with pytest.raises(UserError, match=r"metrics.csv: not the file that the run wrote"):
        compare_runs.main([str(tmp_path), str(tmp_path)])
    (tmp_path / "summary.json").write_text("{")
    with pytest.raises(UserError, match=r"summary.json: cannot be read as JSON .*; remove the run's folder"):
        compare_runs.main([str(tmp_path), str(tmp_path)])


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("fig01.json", b"", "cannot be read as JSON"),
        ("fig01.json", b'{"claims": 3}', "not a manifest with claims"),
        ("fig10.csv.gz", b"\x1f\x8b cut", "not a table"),
        ("fig01.csv", b"", "not a table"),
    ],
)
def test_a_damaged_file_is_named_in_one_line(results, capsys, name, content, reason):
    (results[1] / name).write_bytes(content)
    with pytest.raises(UserError) as refused:
        compared(results)
    assert capsys.readouterr().out == ""
    assert f"{results[1] / name}: {reason}" in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_a_run_may_be_given_by_any_of_its_paths(tmp_path, monkeypatch, capsys):
    """Its identity is part of its folder's name, and neither a link nor a dot has that name."""
    run = tmp_path / "vgg_batch-s0-0123456789ab"
    save_run(run)
    ended = read_json(run / "summary.json")
    write_json(run / "summary.json", {**ended, "identity": "0123456789ab"})
    (tmp_path / "link").symlink_to(run)
    monkeypatch.chdir(run)
    for path in (".", str(tmp_path / "link"), f"../{run.name}/"):
        assert RunDirectory(Path(path)).identity == "0123456789ab"
        assert compare_runs.main([path, str(run)]) == 0
    assert "all 3 rows are the same" in capsys.readouterr().out


def test_what_nobody_reads_ends_in_silence(results):
    """As with `| head`: no traceback, and not the exit code of a difference."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, str(SCRIPTS / "compare_results.py"), *map(str, results)]
    ended = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (ended.returncode, ended.stderr) == (141, "")
