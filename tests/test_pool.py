"""Runs side by side, asked to stop: what was trained is saved, and nothing more is begun."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

EXPERIMENTS = Path(__file__).parents[1] / "experiments"


def statuses(runs):
    return [json.loads(path.read_text()) for path in sorted(runs.glob("*/status.json"))]


def test_one_control_c_saves_what_is_being_trained_and_begins_nothing_more(tmp_path):
    runs = tmp_path / "runs"
    command = [sys.executable, str(EXPERIMENTS / "reproduce.py"), "1", "--scale=smoke", "--workers=2"]
    command += [f"--results={tmp_path}", "tracker=none", "steps=5000", "checkpoint_seconds=0", f"runs_dir={runs}"]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True
    )
    end = time.monotonic() + 300
    while len(statuses(runs)) < 2 and process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
    _, said = process.communicate(timeout=180)
    assert process.returncode == 130
    assert said.strip().splitlines()[-1] == "normscape: stopped; what was trained is saved, start again to go on"
    assert "Traceback" not in said
    assert [status["status"] for status in statuses(runs)] == ["interrupted", "interrupted"]
    assert all(0 < status["step"] < 5000 for status in statuses(runs))
