"""A sweep on a real SLURM: requeued runs go on, no row is lost or doubled, and the command is the user's own."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import holding_tracker
from normscape.config import compose_run
from normscape.engines.here import LocalEngine
from normscape.launch import train_missing
from normscape.runs import RunDirectory
from patience import PATIENCE_SECONDS, wait_until

sys.path.append(str(Path(__file__).parent))

import slurm_cluster

pytest.importorskip("submitit", reason="make env EXTRAS=slurm")

TRAIN = Path(__file__).parents[2] / "experiments" / "train.py"
QUICK = ["run=mlp_batch", "scale=smoke", "tracker=none", "device=cpu", "probe=[]", "steps=12"]
SWEEP = ["-m", *QUICK, "seed=0,1", "hydra/launcher=slurm", "hydra.launcher.memory_gb=1", "checkpoint_seconds=0"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not slurm_cluster.can_be_made(), reason="needs Debian's tools, and root"),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with slurm_cluster.Cluster(tmp_path_factory.mktemp("slurm")) as made:
        yield made


@pytest.fixture
def on_slurm(cluster, start, monkeypatch):
    monkeypatch.setenv("PATH", slurm_cluster.only_tool(cluster.tools))
    monkeypatch.setenv("SLURM_CONF", str(cluster.state / "slurm.conf"))

    def call(*arguments):  # `start` took its environment before SLURM's tools were in it
        command = ["env", f"PATH={os.environ['PATH']}", f"SLURM_CONF={os.environ['SLURM_CONF']}", sys.executable]
        return start([*command, str(TRAIN), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    yield call
    cluster.ask("scancel", "--user=root")


def jobs(cluster):
    return sorted(cluster.ask("squeue", "--noheader", "--array", "-o", "%i").split())


def test_runs_that_slurm_takes_back_are_requeued_and_end_as_if_they_had_not_been(cluster, on_slurm, tmp_path):
    folder = tmp_path / "holding"
    folder.mkdir()
    sweep = on_slurm(*SWEEP, *holding_tracker.overrides(4, folder))
    wait_until(lambda: holding_tracker.held(folder) == 2 or sweep.poll() is not None)
    assert sweep.poll() is None, sweep.communicate()
    for job, number in zip(jobs(cluster), ("USR2", "TERM"), strict=True):
        cluster.ask("scancel", f"--signal={number}", job)
    wait_until(lambda: len(jobs(cluster)) == 2)
    (folder / "released").touch()
    output, said = sweep.communicate(timeout=PATIENCE_SECONDS)
    assert sweep.returncode == 0, said
    assert "2 of 2 runs have ended" in said
    assert output.count("finished") >= 2
    for seed in (0, 1):
        run = RunDirectory.of(compose_run([*QUICK, f"seed={seed}"]))
        origin = json.loads((run.path / "provenance.json").read_text())
        assert [again["from_step"] for again in origin["resumed"]] == [5]
        assert origin["command"].startswith("train.py -m run=mlp_batch ")
        unbroken = compose_run([*QUICK, f"seed={seed}", f"runs_dir={tmp_path / 'unbroken'}"])
        assert train_missing([unbroken], LocalEngine(1), print) == {}
        expected = (RunDirectory.of(unbroken).path / "metrics.csv").read_bytes()
        assert (run.path / "metrics.csv").read_bytes() == expected


def test_an_interrupt_of_the_sweep_saves_what_is_trained_and_leaves_no_job(cluster, on_slurm):
    sweep = on_slurm(*[item.replace("steps=12", "steps=1000000") for item in SWEEP])
    configs = [compose_run([*QUICK[:-1], "steps=1000000", f"seed={seed}"]) for seed in (0, 1)]
    wait_until(lambda: all(RunDirectory.of(run).status["step"] for run in configs) or sweep.poll() is not None)
    sweep.send_signal(signal.SIGTERM)
    _, said = sweep.communicate(timeout=PATIENCE_SECONDS)
    assert sweep.returncode == 130, said
    assert said.splitlines()[-1] == "normscape: stopped; what was trained is saved; start again to continue"
    assert [RunDirectory.of(run).status["status"] for run in configs] == ["interrupted"] * 2
    wait_until(lambda: jobs(cluster) == [])


def test_a_gpu_that_slurm_has_not_is_refused_at_once(cluster, on_slurm):
    refused = on_slurm(*[item for item in SWEEP if item != "device=cpu"], "hydra.launcher.gpus_per_run=1")
    _, said = refused.communicate(timeout=PATIENCE_SECONDS)
    assert refused.returncode == 2
    assert said.splitlines()[-1].startswith("normscape: hydra.launcher.gpus_per_run=1: SLURM has no GPU; expected")
    assert jobs(cluster) == []
