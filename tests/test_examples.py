"""The examples run as their first lines say, and show what they promise."""

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(*command):
    return subprocess.run([sys.executable, *command], cwd=EXAMPLES, capture_output=True, text=True)


def test_own_loop_prints_a_table_of_a_resnet():
    done = run("own_loop.py", "3")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["step", "quantity", "layer", "step_size", "value"]
    assert {line.split()[0] for line in lines[1:]} == {"0", "2"}
    assert {line.split()[2] for line in lines if "ics_l2" in line} == {"layer2.0.conv1", "fc"}


def test_own_loop_is_short():
    code = (EXAMPLES / "own_loop.py").read_text().split("def main")[1].splitlines()
    measuring = [line for line in code if "normscape." in line or "seen." in line]
    assert len(measuring) <= 8


def test_my_norm_is_trained_and_measured_by_the_suite(tmp_path):
    command = "../experiments/train.py run=vgg_standard norm._target_=my_norm.MedianNorm +norm.eps=1e-4 scale=smoke"
    done = run(*command.split(), "tracker=none", "steps=5", f"runs_dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    (metrics,) = tmp_path.glob("*/metrics.csv")
    assert "effective_beta" in metrics.read_text()
