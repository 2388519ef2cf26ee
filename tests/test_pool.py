"""Runs side by side, asked to stop: what was trained is saved, and nothing more is begun."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from patience import PATIENCE_SECONDS, wait_until

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
STEPS = 1_000_000  # days: no machine is through before it is stopped


def statuses(runs):
    return [json.loads(path.read_text()) for path in sorted(runs.glob("*/status.json"))]


def test_one_control_c_saves_what_is_being_trained_and_begins_nothing_more(tmp_path, start):
    runs = tmp_path / "runs"
    command = [sys.executable, str(EXPERIMENTS / "reproduce.py"), "1", "--scale=smoke", "--workers=2"]
    command += [f"--results={tmp_path}", "tracker=none", f"steps={STEPS}", "checkpoint_seconds=0", f"runs_dir={runs}"]
    process = start(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    wait_until(lambda: len(statuses(runs)) == 2 or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
    _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130
    assert said.strip().splitlines()[-1] == "normscape: stopped; what was trained is saved; start again to continue"
    assert "Traceback" not in said
    assert [status["status"] for status in statuses(runs)] == ["interrupted", "interrupted"]
    assert all(0 < status["step"] < STEPS for status in statuses(runs))
