"""Each network where it is faster, at the same time: VGGs on a GPU, the deep linear nets on the CPU beside it."""

from types import SimpleNamespace

import pytest

import holding_tracker
from normscape.config import compose_run
from normscape.engines import lanes, pool
from normscape.engines.pool import execute_all
from normscape.errors import UserError
from normscape.identity import identity
from normscape.launch import train_missing
from normscape.runs import RunDirectory

QUICK = ["scale=smoke", "tracker=none", "probe=[]", "device=cpu"]


def run(name, *settings):
    return compose_run([f"run={name}", *QUICK, *settings])


def vggs_on_a_gpu(config):
    return SimpleNamespace(type="cuda" if config.net == "vgg" else "cpu")


@pytest.fixture
def a_gpu(monkeypatch):
    """Plan as if there were one; whoever computes looks for itself."""
    for module in (lanes, pool):
        monkeypatch.setattr(module, "device_of", vggs_on_a_gpu)
    monkeypatch.setattr(lanes, "default_workers", lambda device: {"cuda": 1, "cpu": 4}[device])


def test_the_deep_linear_nets_are_for_the_cpu_and_remain_the_runs_that_they_were():
    config = compose_run(["run=dln_batch", "scale=smoke"])
    assert config.device == "cpu"
    assert compose_run(["run=vgg_batch", "scale=smoke"]).device == "auto"
    there = compose_run(["run=dln_batch", "scale=smoke", "device=cuda"])
    assert (there.device, identity(there)) == ("cuda", identity(config))


@pytest.mark.usefixtures("a_gpu")
def test_runs_on_the_cpu_leave_a_core_to_those_on_a_gpu():
    vgg, dln = run("vgg_batch"), run("dln_batch")
    assert lanes.side_by_side([vgg] * 3 + [dln] * 5) == {"cuda": 1, "cpu": 3}
    assert lanes.side_by_side([dln] * 5) == {"cpu": 4}
    assert lanes.side_by_side([vgg, dln]) == {"cuda": 1, "cpu": 1}
    for workers, there in ((1, (1, 3)), (2, (2, 2)), (3, (3, 1)), (9, (5, 1))):
        assert tuple(lanes.side_by_side([vgg] * 5 + [dln] * 5, workers).values()) == there
    assert lanes.side_by_side([dln] * 5, workers=2) == {"cpu": 2}
    assert lanes.side_by_side([]) == {}
    assert lanes.in_words({"cuda": 1, "cpu": 3}) == "1 (cuda) and 3 (cpu)"
    seconds = lanes.lane_seconds([vgg, vgg, dln, dln, dln], [5.0, 6.0, 9.0, 9.0, 9.0], {"cuda": 1, "cpu": 3})
    assert seconds == 11.0


@pytest.mark.usefixtures("a_gpu")
def test_both_train_at_the_same_time_and_one_at_a_time_on_the_gpu(tmp_path):
    """The first VGG is held until the first deep linear net has ended and the second one is about to begin."""
    order = []

    def about_to_begin(config):
        order.append(config.name)
        if config.name == "dln_batch":
            (tmp_path / "released").touch()
        return 0.0

    held = run("vgg_standard", *holding_tracker.overrides(4, tmp_path))
    configs = [held, run("vgg_batch"), run("dln_standard"), run("dln_batch")]
    assert execute_all(configs, {"cuda": 1, "cpu": 1}, least_seconds=about_to_begin) == []
    assert order == ["vgg_standard", "dln_standard", "dln_batch", "vgg_batch"]
    assert all(RunDirectory.of(config).summary is not None for config in configs)


def test_a_sweep_over_folders_is_refused():
    """Runs are looked for in one; the same run in two folders would be trained once."""
    runs = [compose_run(["run=mlp_batch", "scale=smoke", f"runs_dir={name}"]) for name in ("a", "b")]
    with pytest.raises(UserError, match=r"^runs_dir=a,b: expected one folder for all runs"):
        train_missing(runs, None, print)
