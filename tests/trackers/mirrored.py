"""What tests of the tracker share: a tracker, a run, and what wandb has written of it."""

import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from math import inf, nan
from pathlib import Path
from typing import Any

from normscape.trackers import RunInfo, WandbTracker
from patience import PATIENCE_SECONDS

START_SECONDS = 3.0  # where wandb is going to hang; elsewhere a busy machine must not look like a dead server
FINISH_SECONDS = 5.0
ROWS = [
    {"train_loss": 1 / 3, "weight_norm/layer01": 0.1 + 0.2},
    {"train_loss": 5e-324, "weight_norm/layer01": -1.7976931348623157e308, "loss_along_gradient/step_size0.1": 2.0},
    {"train_loss": nan, "beta": inf, "cosine": -inf},
]


def helpers() -> list[int]:
    """Return the process numbers of wandb's helpers that belong to this process."""
    found = subprocess.run(["pgrep", "-P", str(os.getpid()), "wandb-core"], capture_output=True, text=True, check=False)
    return [int(number) for number in found.stdout.split()]


def workers() -> list[threading.Thread]:
    """Return the threads that still make calls into wandb, or let go of it."""
    return [thread for thread in threading.enumerate() if thread.name == "tracker"]


@dataclass
class Limits:
    """How long each call into wandb may take, in seconds, and what the settings of wandb say."""

    ours: list[float]
    wandb: dict[str, Any]


def a_tracker(
    mode: str | None = None, start: float = PATIENCE_SECONDS, finish: float = PATIENCE_SECONDS
) -> WandbTracker:
    return WandbTracker(mode=mode, start_timeout_seconds=start, finish_timeout_seconds=finish)


def a_run(directory: Path, run_id: str = "0123456789ab", name: str = "vgg_batch-s0") -> RunInfo:
    return RunInfo(run_id, name, "fig01", "train", ("vgg", "laptop"), {"optimizer": {"lr": 0.1}}, directory)


def log_rows(tracker: WandbTracker, rows: list[dict[str, float]] = ROWS) -> None:
    for index, row in enumerate(rows):
        tracker.log(100 * index, row)


def directories(directory: Path, run_id: str = "0123456789ab") -> list[Path]:
    return sorted((directory / "wandb").glob(f"*run-*-{run_id}*"))


def records(directory: Path) -> list[dict[str, Any]]:
    """Read the file of one run directory back."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(directory)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in text.splitlines()]


def metrics(items: list[dict[str, Any]]) -> list[dict[str, float]]:
    """Return the numbers of rows, without wandb's own columns; float() reads wandb's words for NaN and infinity."""
    return [{name: float(value) for name, value in item.items() if not name.startswith("_")} for item in items]


def history(directory: Path) -> list[dict[str, Any]]:
    return [record["history"]["item"] for record in records(directory) if record["type"] == "history"]


def expected(rows: list[dict[str, float]] = ROWS) -> list[dict[str, float]]:
    return [{"step": 100.0 * index, **row} for index, row in enumerate(rows)]


def same(left: list[dict[str, Any]], right: list[dict[str, Any]]) -> bool:
    """Compare rows bit by bit; NaN equals itself."""
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)
