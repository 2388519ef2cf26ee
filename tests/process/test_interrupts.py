"""How processes are asked to stop: one line, saved, and what a scheduler's tool does is kept."""

import ast
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from normscape.errors import Interrupted
from normscape.process import interrupts
from normscape.process.entry import entry_point
from normscape.process.interrupts import held_back, raised, stop_signals

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_script_that_still_imports_ends_with_one_line(start, number):
    code = "from normscape.process.interrupts import end_at_once; import time; "
    code += "end_at_once(); print(flush=True); time.sleep(999)"
    process = start([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.readline()
    process.send_signal(number)
    _, said = process.communicate()
    assert (process.returncode, said) == (130, "normscape: interrupted before anything was begun\n")


@pytest.mark.parametrize("script", ["train.py", "reproduce.py"])
def test_scripts_are_ready_to_be_interrupted_before_they_import_what_takes_time(script):
    body = ast.parse((EXPERIMENTS / script).read_text()).body
    imports = [ast.unparse(node) for node in body[: [type(node) for node in body].index(ast.If)]]
    assert imports[1:] == ["import normscape.process.portable", "from normscape.process.interrupts import end_at_once"]
    assert "end_at_once()" in ast.unparse(next(node for node in body if isinstance(node, ast.If)))
    loaded = "import sys, normscape.process.portable, normscape.process.interrupts; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], check=False).returncode == 0


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt(), Interrupted(), Interrupted("saved; start again")])
def test_an_interrupt_without_words_is_said_in_words(interrupt, capsys):
    with pytest.raises(SystemExit) as leaving, entry_point():
        raise interrupt
    assert leaving.value.code == 130
    assert capsys.readouterr().err == f"normscape: {str(interrupt) or 'interrupted'}\n"


@pytest.fixture
def untouched():
    """A process that has not said what SIGTERM does to it."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("untouched")
def test_sigterm_anywhere_in_a_script_is_an_interrupt(capsys):
    with pytest.raises(SystemExit) as leaving, entry_point():
        os.kill(os.getpid(), signal.SIGTERM)
    assert leaving.value.code == 130
    assert capsys.readouterr().err == "normscape: interrupted\n"
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_signals_that_are_held_back_come_afterwards():
    reached = []

    def block():
        with raised(), held_back():
            send(signal.SIGTERM)
            reached.append(True)

    with pytest.raises(KeyboardInterrupt):
        block()
    assert reached


def send(*numbers):
    for number in numbers:
        os.kill(os.getpid(), number)


def saved_after(*numbers):
    """Train, be asked to stop by signals, and save."""
    with stop_signals() as asked:
        send(*numbers)
        assert asked() == bool(numbers)
        raise Interrupted("saved")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_is_asked_while_the_last_thing_is_done_begins_nothing_more(number):
    """As when the pictures of a run are drawn that has taken its last step."""

    def block():
        with stop_signals():
            send(number)

    with pytest.raises(Interrupted, match="nothing more is begun"):
        block()


@pytest.fixture
def scheduler():
    """A scheduler's tool that is told by SIGUSR2 to requeue this process."""
    calls = []
    before = signal.signal(signal.SIGUSR2, lambda number, frame: calls.append(number))
    yield calls
    signal.signal(signal.SIGUSR2, before)


@pytest.mark.parametrize(
    ("sent", "requeued"),
    [
        ([signal.SIGUSR2], True),
        ([signal.SIGTERM], True),
        ([signal.SIGTERM, signal.SIGUSR2], True),
        ([signal.SIGINT], False),
        ([], False),
    ],
)
def test_a_scheduler_requeues_once_the_run_is_saved(scheduler, sent, requeued):
    """Preemption sends two signals; neither interrupts what is being saved."""
    with pytest.raises(Interrupted, match="saved"):
        saved_after(*sent)
    assert scheduler == [signal.SIGUSR2] * requeued


def test_a_run_that_has_ended_is_not_requeued(scheduler):
    with stop_signals():
        os.kill(os.getpid(), signal.SIGUSR2)
    assert scheduler == []


def test_a_job_that_was_cancelled_does_not_come_back(scheduler, monkeypatch, tmp_path):
    tool = tmp_path / "scontrol"
    tool.write_text('#!/bin/sh\necho "JobId=$4 JobName=x JobState=$STATE Reason=None"\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    for state, calls in (("CANCELLED", []), ("RUNNING", [signal.SIGUSR2])):
        monkeypatch.setenv("STATE", state)
        with pytest.raises(Interrupted):
            saved_after(signal.SIGTERM)
        assert scheduler == calls


def test_without_a_scheduler_the_second_request_is_at_once():
    assert not interrupts._scheduler()
    with pytest.raises(KeyboardInterrupt) as interrupted:
        saved_after(signal.SIGTERM, signal.SIGTERM)
    assert not isinstance(interrupted.value, Interrupted)
