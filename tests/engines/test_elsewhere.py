"""Runs that are handed over: how far they are, what fails, and that a file stops them; by an engine in threads."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from filelock import FileLock

from normscape.config import compose_run
from normscape.engines import elsewhere
from normscape.engines.elsewhere import ElsewhereEngine
from normscape.engines.task import Task
from normscape.errors import Interrupted
from normscape.overview.tally import Tally
from normscape.process.entry import COMMAND
from normscape.runs import RunDirectory
from patience import wait_until

QUICK = ["run=mlp_batch", "scale=smoke", "tracker=none", "device=cpu", "probe=[]"]


class Threads(ElsewhereEngine):
    """One run at a time, in a thread."""

    def __init__(self, interrupt=lambda: False):
        self._pool, self._interrupt = ThreadPoolExecutor(1), interrupt
        self.withdrawn, self.tasks = 0, []

    def submit(self, tasks):
        self.tasks = list(tasks)
        return [self._pool.submit(task) for task in tasks]

    def ended(self, handle):
        if self._interrupt():
            self._interrupt = lambda: False
            raise KeyboardInterrupt
        return handle.result() if handle.done() and not handle.cancelled() else None

    def withdraw(self, handle):
        self.withdrawn += handle.cancel()
        return handle.cancelled()

    def require(self, configs):
        pass

    def described(self, configs):
        return "in a thread"


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    monkeypatch.setattr(elsewhere, "POLL_SECONDS", 0.01)
    monkeypatch.setattr("normscape.engines.task.LOOK_SECONDS", 0.0)


def configs(*settings, seeds=3):
    return [compose_run([*QUICK, *settings, f"seed={seed}"]) for seed in range(seeds)]


def test_one_that_fails_is_said_at_once_and_the_others_go_on(capsys, monkeypatch):
    runs = configs("steps=2")
    monkeypatch.setattr("normscape.session.build", failing(lambda config: config.seed == 0))
    tally = Tally(runs, [0] * 3)
    (failure,) = Threads().run(runs, tally)
    assert failure.startswith("mlp_batch seed 0: RuntimeError: no such luck")
    said = capsys.readouterr().err.splitlines()
    assert said.index(failure) < said.index("3 of 3 runs have ended, 1 failed")
    assert sum(": finished after 2 steps" in line for line in said) == 2
    directory = RunDirectory.of(runs[0])
    assert directory.status["status"] == "failed"
    assert "no such luck" in (directory.path / "failure.txt").read_text()
    assert [RunDirectory.of(run).summary is not None for run in runs] == [False, True, True]


def failing(which):
    from normscape.session import build

    def built(config, device):
        if which(config):
            raise RuntimeError("no such luck")
        return build(config, device)

    return built


@pytest.mark.parametrize("terminal", ["there", "gone"])
def test_an_interrupt_saves_what_is_trained_begins_nothing_more_and_leaves_nothing(tmp_path, monkeypatch, terminal):
    def broken(tally, text):
        raise BrokenPipeError

    if terminal == "gone":
        monkeypatch.setattr(Tally, "message", broken)
    runs = configs("steps=1000000", "checkpoint_seconds=0")
    first = RunDirectory.of(runs[0])
    engine = Threads(interrupt=lambda: first.status["step"] > 0)
    with pytest.raises(Interrupted, match="what was trained is saved"):
        engine.run(runs, Tally(runs, [0] * 3))
    assert engine.withdrawn == 2
    wait_until(lambda: first.status["status"] == "interrupted")
    assert [RunDirectory.of(run).path.exists() for run in runs] == [True, False, False]
    assert not list((tmp_path / "runs" / ".locks").glob("stop-*"))


def test_a_task_names_the_user_s_own_command(monkeypatch, tmp_path):
    monkeypatch.setenv(COMMAND, "train.py -m seed=0,1")
    (run,) = configs("steps=1", seeds=1)
    task = Task(run, tmp_path / "stop")
    monkeypatch.setenv(COMMAND, "another's")
    assert task().failure is None
    origin = json.loads((RunDirectory.of(run).path / "provenance.json").read_text())
    assert origin["command"] == "train.py -m seed=0,1"


def test_a_relative_folder_of_runs_is_the_user_s_and_not_that_of_the_process(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    runs = configs("steps=1", "runs_dir=here", seeds=1)
    engine = Threads()
    assert engine.run(runs, Tally(runs, [0])) == []
    assert Path(engine.tasks[0].config.runs_dir) == tmp_path / "here"


class Refused(Threads):
    """Takes one task, and is then interrupted, or refuses the rest."""

    def __init__(self, error):
        super().__init__()
        self._error = error

    def submit(self, tasks):
        self.tasks = list(tasks)
        raise self._error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("no second array")])
def test_what_was_handed_over_stops_if_the_rest_cannot_be(error):
    """The tasks look for the file of their own accord; nobody else waits for them any more."""
    runs = configs("steps=2")
    engine = Refused(error)
    with pytest.raises((Interrupted, RuntimeError)):
        engine.run(runs, Tally(runs, [0] * 3))
    engine.tasks[0]()
    assert engine.tasks[0].stop.exists()
    assert all(RunDirectory.of(run).summary is None for run in runs)


def test_a_run_that_another_process_trains_is_handed_over_again_behind_the_others(tmp_path, monkeypatch):
    """A place on a cluster is not spent on waiting while there are runs that nobody has begun."""
    runs = configs("steps=2", f"runs_dir={tmp_path}")
    (tmp_path / ".locks").mkdir()
    lock = FileLock(tmp_path / ".locks" / f"{RunDirectory.of(runs[0]).identity}.lock")
    lock.acquire()
    tally = Tally(runs, [0] * 3)
    order, ended = [], tally.ended

    def released(config, failure):
        ended(config, failure)
        order.append(config.seed)
        if len(order) == 2:
            lock.release()

    monkeypatch.setattr(tally, "ended", released)
    engine = Threads()
    assert engine.run(runs, tally) == []
    assert order == [1, 2, 0]
    assert [task.waiting for task in engine.tasks] == [True]
