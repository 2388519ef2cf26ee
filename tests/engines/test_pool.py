"""Runs side by side, asked to stop, or killed: what was trained is saved, and one run never costs another."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock
from rich.console import Console

import holding_tracker
from normscape.config import compose_run
from normscape.engines.pool import execute_all
from normscape.errors import Interrupted
from normscape.overview.progress import ProgressDisplay
from normscape.runs import RunDirectory
from normscape.session import Session
from patience import PATIENCE_SECONDS, wait_until

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
STEPS = 1_000_000  # days: no machine is through before it is stopped


def statuses(runs):
    return [json.loads(path.read_text()) for path in sorted(runs.glob("*/status.json"))]


def two_of_four(tmp_path, start, *settings):
    """Start the four runs of figure 1, two side by side, and wait until two of them train."""
    runs = tmp_path / "runs"
    command = [sys.executable, str(EXPERIMENTS / "reproduce.py"), "1", "--scale=smoke", "--workers=2"]
    command += [f"--results={tmp_path}", "tracker=none", "checkpoint_seconds=0", f"runs_dir={runs}", *settings]
    process = start(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    wait_until(lambda: len(statuses(runs)) == 2 or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    return process, runs


def workers_of(process):
    """Return the processes that train, and not those with which Python keeps its books."""
    lines = {path.parent.name: path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if readable(path)}
    return [int(number) for number, line in lines.items() if parent(number) == process.pid and b"spawn_main" in line]


def readable(path):
    try:
        return bool(path.read_bytes())
    except OSError:
        return False


def parent(number):
    try:
        return int(Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def assert_saved(runs):
    assert [status["status"] for status in statuses(runs)] == ["interrupted", "interrupted"]
    assert all(0 < status["step"] < STEPS for status in statuses(runs))


@pytest.mark.parametrize(("number", "group"), [(signal.SIGINT, True), (signal.SIGTERM, True), (signal.SIGTERM, False)])
def test_one_signal_saves_what_is_being_trained_and_begins_nothing_more(tmp_path, start, number, group):
    """As a terminal sends it, to all processes; or as a scheduler may, to the one that it has started."""
    process, runs = two_of_four(tmp_path, start, f"steps={STEPS}")
    (os.killpg if group else os.kill)(process.pid, number)
    _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130
    assert said.strip().splitlines()[-1] == "normscape: stopped; what was trained is saved; start again to continue"
    assert "Traceback" not in said
    assert_saved(runs)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes in /proc")
def test_workers_whose_parent_is_killed_save_and_end(tmp_path, start):
    process, runs = two_of_four(tmp_path, start, f"steps={STEPS}")
    workers = workers_of(process)
    assert len(workers) == 2
    process.kill()
    process.communicate()
    wait_until(lambda: not any(Path(f"/proc/{number}").exists() for number in workers))
    assert_saved(runs)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes in /proc")
def test_a_worker_that_is_killed_costs_its_own_run_alone(tmp_path, start):
    folder = tmp_path / "holding"
    folder.mkdir()
    process, runs = two_of_four(tmp_path, start, "steps=12", *holding_tracker.overrides(4, folder))
    wait_until(lambda: holding_tracker.held(folder) == 2)
    os.kill(workers_of(process)[0], signal.SIGKILL)
    (folder / "released").touch()
    _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 2
    assert "normscape: 1 of 4 runs failed; start again to continue. vgg_" in said
    assert said.strip().endswith("its process died (exit code -9)")
    assert sorted(status["status"] for status in statuses(runs)) == ["finished", "finished", "finished", "training"]


@pytest.mark.parametrize("workers", [1, 2])
def test_when_it_is_time_what_is_being_trained_is_saved_and_nothing_more_is_begun(tmp_path, workers):
    runs = tmp_path / "runs"
    settings = [
        "scale=smoke",
        "tracker=none",
        f"steps={STEPS}",
        f"runs_dir={runs}",
        "run=dln_standard",
        "arithmetic=plain",
    ]
    configs = [compose_run([*settings, f"seed={seed}"]) for seed in range(3)]
    with pytest.raises(Interrupted, match=r"stopped"):
        execute_all(configs, {"cpu": workers}, until=time.time() + 20)
    for status in statuses(runs):
        assert (status["status"], status["step"] > 0) == ("interrupted", True)
    assert len(statuses(runs)) <= workers


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("arithmetic", ["plain", "reduced"])  # one after the other, or as one
def test_what_would_not_get_anywhere_is_not_begun_and_others_are(tmp_path, workers, arithmetic):
    runs = tmp_path / "runs"
    settings = ["scale=smoke", "tracker=none", f"runs_dir={runs}", "run=dln_standard", "probe=[]"]
    settings += [f"arithmetic={arithmetic}"]
    configs = [compose_run([*settings, f"seed={seed}"]) for seed in range(3)]
    least = {0: PATIENCE_SECONDS, 1: 3 * PATIENCE_SECONDS, 2: PATIENCE_SECONDS}
    until = time.time() + 2 * PATIENCE_SECONDS
    assert execute_all(configs, {"cpu": workers}, until, lambda config: least[config.seed]) == []
    assert [RunDirectory.of(config).summary is not None for config in configs] == [True, False, True]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_request_to_stop_while_a_run_is_finished_stops_the_others(tmp_path, monkeypatch, number):
    """The run has taken its last step, so that it is not asked any more; what is done of it is kept."""
    quick = ["run=mlp_batch", "scale=smoke", "steps=2", "probe=[]", "tracker=none", "device=cpu"]
    runs = [compose_run([*quick, f"runs_dir={tmp_path}", f"seed={seed}"]) for seed in range(2)]
    conclude = Session.conclude

    def concluded(session):
        os.kill(os.getpid(), number)
        conclude(session)

    monkeypatch.setattr(Session, "conclude", concluded)
    with pytest.raises(Interrupted):
        execute_all(runs, {"cpu": 1})
    assert [RunDirectory.of(run).summary is not None for run in runs] == [True, False]


class _Releases(ProgressDisplay):
    """Lets go of a run that another process has, once all others have ended."""

    def __init__(self, lock, others):
        super().__init__(Console(quiet=True))
        self._lock, self._others, self.order = lock, others, []

    def ended(self, config, failure):
        super().ended(config, failure)
        self.order.append(config.seed)
        if len(self.order) == self._others:
            self._lock.release()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("net", ["mlp_batch", "dln_batch"])  # one after the other, or as one
def test_a_run_that_another_shell_has_just_begun_is_given_back_for_the_next(tmp_path, monkeypatch, net, workers):
    """Both shells saw it free at the same moment, and its lock went to the other one."""
    quick = [f"run={net}", "scale=smoke", "steps=2", "probe=[]", "tracker=none", "device=cpu", f"runs_dir={tmp_path}"]
    runs = [compose_run([*quick, f"seed={seed}"]) for seed in range(4)]
    lock = FileLock(tmp_path / ".locks" / f"{RunDirectory.of(runs[0]).identity}.lock")
    (tmp_path / ".locks").mkdir()
    lock.acquire()
    looks, taken = itertools.count(), RunDirectory.taken.fget
    monkeypatch.setattr(RunDirectory, "taken", property(lambda run: next(looks) >= len(runs) and taken(run)))
    display = _Releases(lock, others=3)
    assert execute_all(runs, {"cpu": workers}, display=display) == []
    assert display.order[-1] == 0
    assert sorted(display.order) == [0, 1, 2, 3]
