"""A sweep on a real Ray of this machine, with GPUs that Ray only counts."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from normscape.config import compose_run
from normscape.engines.on_ray import RayEngine
from normscape.errors import UserError
from normscape.runs import RunDirectory
from patience import PATIENCE_SECONDS, wait_until

pytest.importorskip("ray", reason="make env EXTRAS=ray")

TRAIN = Path(__file__).parents[2] / "experiments" / "train.py"
QUICK = ["run=mlp_batch", "scale=smoke", "tracker=none", "probe=[]"]
SWEEP = ["-m", *QUICK, "seed=0,1", "hydra/launcher=ray", "hydra.launcher.init={num_cpus:2}", "checkpoint_seconds=0"]

pytestmark = pytest.mark.slow


@pytest.fixture
def on_ray(start):
    def call(*arguments):
        command = [sys.executable, str(TRAIN), *arguments]
        return start(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return call


def test_a_sweep_on_ray_ends_with_its_table(on_ray):
    sweep = on_ray(*SWEEP, "steps=3", "device=cpu")
    output, said = sweep.communicate(timeout=PATIENCE_SECONDS)
    assert sweep.returncode == 0, said
    assert "2 at a time on Ray" in output
    assert "2 of 2 runs have ended" in said
    for seed in (0, 1):
        run = RunDirectory.of(compose_run([*QUICK, "steps=3", f"seed={seed}"]))
        assert run.summary["status"] == "finished"
        assert json.loads((run.path / "provenance.json").read_text())["command"].startswith(
            "train.py -m run=mlp_batch "
        )


def test_an_interrupt_saves_what_is_trained_and_leaves_nothing(on_ray):
    sweep = on_ray(*SWEEP, "steps=1000000", "device=cpu")
    configs = [compose_run([*QUICK, "steps=1000000", f"seed={seed}"]) for seed in (0, 1)]
    wait_until(lambda: all(RunDirectory.of(run).status["step"] for run in configs) or sweep.poll() is not None)
    sweep.send_signal(signal.SIGTERM)
    _, said = sweep.communicate(timeout=PATIENCE_SECONDS)
    assert sweep.returncode == 130, said
    assert said.splitlines()[-1] == "normscape: stopped; what was trained is saved; start again to continue"
    assert [RunDirectory.of(run).status["status"] for run in configs] == ["interrupted"] * 2


def test_gpus_are_shared_out_and_one_that_is_not_there_is_refused_at_once():
    configs = [compose_run([*QUICK, f"seed={seed}"]) for seed in range(4)]
    engine = RayEngine(gpus_per_run=0.5, init={"num_gpus": 1, "num_cpus": 8})
    try:
        engine.require(configs)
        assert engine.described(configs) == "2 at a time on Ray"
        engine._gpus = 2
        with pytest.raises(UserError, match=r"gpus_per_run=2: this Ray has 1 GPUs; expected"):
            engine.require(configs)
    finally:
        engine.close()
