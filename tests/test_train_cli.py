"""The command line of experiments/train.py: what it leaves, what it refuses, what a sweep does when a job fails."""

import json
import math
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from normscape.config import compose_run

TRAIN = Path(__file__).parents[1] / "experiments" / "train.py"
QUICK = ["scale=smoke", "run=mlp_batch", "tracker=none", "device=cpu", "steps=3"]
UNMEASURED = [*QUICK, "probe=[]"]
FILES = {"config.json", "provenance.json", "status.json", "checkpoint.pt", "metrics.csv", "arrays.npz", "summary.json"}

RAISING_NORM = """
from torch import nn

class Raises(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.passes = 0

    def forward(self, x):
        self.passes += self.training
        if self.passes > 1:
            raise RuntimeError("no such luck\\nsecond line")
        return x
"""


@pytest.fixture
def runs(tmp_path):
    return tmp_path / "runs"


@pytest.fixture
def train(runs, monkeypatch, capfd):
    """Call the script in this process; return its exit code, output and errors."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", [str(TRAIN), *arguments])
        # no lines on how far a slow machine is
        monkeypatch.setattr("normscape.overview.progress.LINE_SECONDS", math.inf)
        code = 0
        try:
            runpy.run_path(str(TRAIN), run_name="__main__")
        except SystemExit as leaving:
            code = leaving.code or 0
        output, errors = capfd.readouterr()
        return code, output, errors

    return call


def directories(runs):
    return sorted(path for path in runs.glob("*-s*")) if runs.exists() else []


def written(runs):
    return {path: path.stat().st_mtime_ns for directory in directories(runs) for path in directory.iterdir()}


def read(path):
    return json.loads(path.read_text())


def test_one_run_leaves_its_files(train, runs):
    code, output, errors = train(*QUICK)
    assert (code, output) == (0, "")
    assert len(errors.splitlines()) == 1
    assert errors.startswith("mlp_batch,steps=3 seed 0: finished after 3 steps in ")
    (directory,) = directories(runs)
    assert directory.name.startswith("mlp_batch,steps=3-s0-")
    names = {path.name for path in directory.iterdir()}
    assert names == FILES | {"ridge_layer01.png", "ridge_layer03.png"}
    assert read(directory / "summary.json")["status"] == "finished"
    config = read(directory / "config.json")
    assert [config[key] for key in ("name", "net", "series", "scale", "steps")] == [
        "mlp_batch,steps=3",
        "mlp",
        "batch",
        "smoke",
        3,
    ]
    assert read(directory / "provenance.json")["command"].startswith("train.py scale=smoke run=mlp_batch")
    assert {path.name for path in runs.iterdir()} == {directory.name, ".locks"}
    before = written(runs)
    assert train(*QUICK)[0] == 0
    assert written(runs) == before


@pytest.mark.parametrize(
    ("overrides", "net", "series"),
    [
        ("run=vgg_standard", "vgg", "standard"),
        ("run=vgg_standard optimizer.lr=0.3 seed=1 +model.in_channels=3", "vgg,model.in_channels=3", "standard"),
        ("run=vgg_standard norm=l1", "vgg", "standard,norm=l1"),
        ("norm._target_=mypackage.MyNorm", "vgg", "batch,norm._target_=mypackage.MyNorm"),
        ("run=dln_l1 norm.p=3 +norm.affine=false ~norm.eps", "dln", "l1,norm.p=3,norm.affine=false,no-norm.eps"),
        ("run=mlp_batch model=resnet18 model.architecture=x", "mlp,model=resnet18,model.architecture=x", "batch"),
        ("net=mine series=mine norm=l1 normal=3", "mine", "mine,norm=l1"),
    ],
)
def test_a_label_says_what_was_changed_of_what_it_names(overrides, net, series):
    labelled = runpy.run_path(str(TRAIN))["labelled"]
    given = dict(item.split("=") for item in overrides.split() if item.startswith(("run=", "net=", "series=")))
    config = compose_run([f"{key}={value}" for key, value in given.items()])
    found = labelled(config, overrides.split())
    assert (found.net, found.series) == (net, series)


@pytest.mark.parametrize(
    "arguments",
    [
        ["optimizer.lrr=1"],
        ["+optimizer.lrr=1"],
        ["norm=btach"],
        ["model._target_=nowhere.Model"],
        ["seed=0,1"],
        ["-m", "norm=standard,btach"],
        ["-m", "probe.activations.layers=[1],[99]"],
        ["-m", "seed=0,-1"],
        ["-m", "optimizer.lr=0.1,nan"],
        ["seed=1.5"],
        ["name="],
        ["device=gpu"],
        ["threads=100000"],
        ["measure.ics_layers=[]"],
        ["--config-dir", "nowhere"],
        ["--config-path", "nowhere"],
        ["--config-name", "nothing"],
        ["hydra.searchpath=[nowhere]"],
        ["-m", "optimizer.lr=interval(0,1)"],
        ["-m", "hydra/launcher=rya"],
        ["-m", "hydra/launcher=local", "hydra.launcher.runs=2"],
        ["-m", "hydra/launcher=local", "hydra.launcher.runs_at_once=two"],
        ["--dry-runn"],
    ],
    ids=" ".join,
)
def test_a_mistake_is_one_line_before_anything_is_written(train, tmp_path, arguments):
    code, output, errors = train(*QUICK, *arguments)
    assert (code, output) == (2, "")
    assert len(errors.splitlines()) == 1
    assert errors.startswith("normscape: ")
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_trains_every_combination_once(train, runs):
    sweep = ["-m", *UNMEASURED, "seed=0,1", "norm=standard,l1"]
    assert train(*sweep)[0] == 0
    found = [(read(path / "config.json")["seed"], read(path / "config.json")["norm"]) for path in directories(runs)]
    assert sorted((seed, norm.get("p", 0)) for seed, norm in found) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert {path.name.rsplit("-", 2)[0] for path in directories(runs)} == {
        f"mlp_batch,steps=3,probe=[],norm={norm}" for norm in ("standard", "l1")
    }
    before = written(runs)
    code, output, errors = train(*sweep)
    assert (code, errors) == (0, "")
    assert output.startswith("Runs: all 4 finished.\n")
    assert all(path.name in output for path in directories(runs))
    assert written(runs) == before


def test_a_sweep_goes_on_after_a_failing_job(runs, tmp_path):
    (tmp_path / "raising_norm.py").write_text(RAISING_NORM)
    targets = "norm._target_=raising_norm.Raises,normscape.norms.Standard"
    command = [sys.executable, str(TRAIN), "-m", *UNMEASURED, "norm=standard", targets]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert "Traceback" not in done.stdout + done.stderr
    *others, last = done.stderr.splitlines()
    assert len([line for line in others if ": finished after 3 steps" in line]) == 1
    line = (
        "mlp_batch,steps=3,probe=[],norm=standard,norm._target_=raising_norm.Raises seed 0: RuntimeError: no such luck"
    )
    assert last.startswith(f"normscape: 1 of 2 runs failed: {line} second line (traceback: ")
    assert last.endswith("failure.txt)")
    assert [other for other in others if other.startswith(line)] == others[:1]
    assert "1 of 2 runs have ended, 1 failed" in others[1]
    again = done.stdout.splitlines()[-1].strip()
    assert again.startswith("python experiments/train.py scale=smoke run=mlp_batch ")
    assert " norm=standard norm._target_=raising_norm.Raises group=sweep-" in again
    failed = {path.name: path for path in directories(runs) if not (path / "summary.json").exists()}
    (directory,) = failed.values()
    assert "raising_norm.Raises" in directory.name
    assert 'raise RuntimeError("no such luck' in (directory / "failure.txt").read_text()
    assert read(directory / "status.json")["status"] == "failed"
    assert len(directories(runs)) == 2


def test_the_same_settings_under_another_name_are_the_same_run(train, runs):
    common = ["scale=smoke", "tracker=none", "device=cpu", "steps=1"]
    assert train(*common, "run=vgg_batch", "optimizer.lr=0.5")[0] == 0
    before = written(runs)
    assert train(*common, "run=vgg_batch_lr0.5")[0] == 0
    assert written(runs) == before
    assert len(directories(runs)) == 1


def test_a_run_that_diverges_is_a_result(train, runs):
    code, _, errors = train(*QUICK, "norm=standard", "optimizer.lr=1e9", "steps=50", "log_every=1")
    assert code == 0
    assert "diverged after" in errors
    (directory,) = directories(runs)
    summary = read(directory / "summary.json")
    assert summary["status"] == "diverged"
    assert 0 < summary["diverged_at"] + 1 == summary["step"] < 50
    assert {path.name for path in directory.iterdir()} >= FILES


def test_an_interruption_is_one_line_and_goes_on(train, runs, monkeypatch):
    from normscape import execute

    monkeypatch.setattr(execute, "stop_signals", stopping_at_once(execute.stop_signals))
    code, _, errors = train(*UNMEASURED)
    assert code == 130
    assert (
        errors.strip()
        == "normscape: mlp_batch,steps=3,probe=[] seed 0: stopped at step 1 of 3; start it again to continue"
    )
    monkeypatch.undo()
    monkeypatch.setenv("NORMSCAPE_RUNS", str(runs))
    assert train(*UNMEASURED)[0] == 0
    assert read(directories(runs)[0] / "summary.json")["status"] == "finished"


def stopping_at_once(stop_signals):
    from contextlib import contextmanager

    @contextmanager
    def stopping():
        with stop_signals():
            yield lambda: True

    return stopping


def test_help_and_config_are_shown_without_training(train, tmp_path):
    code, output, errors = train("--help")
    assert (code, errors) == (0, "")
    assert "vgg_batch_lr0.5" in output
    code, output, errors = train("--cfg", "job", "scale=smoke", "seed=7")
    assert (code, errors) == (0, "")
    assert "seed: 7" in output.splitlines()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["metrics.csv", "arrays.npz", "config.json", "status.json", "provenance.json"])
def test_a_finished_run_of_which_a_file_is_damaged_is_one_line(train, runs, name):
    assert train(*UNMEASURED)[0] == 0
    (path,) = directories(runs)
    (path / name).write_bytes((path / name).read_bytes()[:-9])
    code, output, errors = train(*UNMEASURED)
    assert (code, output) == (2, "")
    (line,) = errors.splitlines()
    assert line.startswith("normscape: mlp_batch")
    assert str(path / name) in line


def test_more_samples_a_step_than_there_are_is_refused(train, runs):
    """Its identity would say another number than the steps have."""
    code, output, errors = train(*UNMEASURED, "batch_size=100000")
    assert (code, output) == (2, "")
    assert errors.startswith("normscape: mlp_batch,")
    assert "batch_size=100000: synthetic has 512 training samples; expected at most as many" in errors
    assert len(errors.splitlines()) == 1
    assert directories(runs) == []
    assert train(*UNMEASURED, "batch_size=512")[0] == 0
