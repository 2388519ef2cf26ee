"""What tests of pages share: the project, a name that is no name, and the files of runs."""

import hashlib
import json
import math
from pathlib import Path

from normscape.storage.directories import directory_name

ROOT = Path(__file__).parents[2]
EVIL = '</script><img src=x onerror="window.evil=1">&amp;\'é λ'
FAMILIES = sorted(path.name for path in (ROOT / "configs" / "figure").iterdir())


def leave(folder, name, *, seed=0, rate=0.1, status="finished", values=(0.1, 0.5, 0.8), **files):
    """Leave the files of a run in a folder; those of ``files`` (their names with underscores) have another content."""
    identity = hashlib.sha256(f"{name} {seed} {rate}".encode()).hexdigest()[:12]
    run = folder / directory_name(name, seed, identity)
    run.mkdir(parents=True)
    ended = {"status": status, "step": 2, "wall_seconds": 3.25}
    config = {"name": name, "net": "vgg", "series": name, "scale": "laptop", "seed": seed, "optimizer": {"lr": rate}}
    origin = {"commit": "c" * 40, "command": "train.py", "versions": {"torch": "2"}, "data": {"name": "cifar10"}}
    rows = [f"{step},test_accuracy,,,{value}" for step, value in enumerate(values)]
    rows += [
        f"{step},loss_landscape,,{size},{value + size}" for step, value in enumerate(values) for size in (0.1, 0.2)
    ]
    rows += [f"{step},ics_l2,3,,{math.inf if status == 'diverged' and step else 1 + step}" for step in range(3)]
    contents = {
        "config_json": json.dumps(config),
        "status_json": json.dumps(ended),
        "provenance_json": json.dumps(origin),
        "metrics_csv": "\n".join(["step,quantity,layer,step_size,value", *rows]) + "\n",
        "summary_json": json.dumps({**ended, "diverged_at": 1 if status == "diverged" else None}),
    }
    if status in ("training", "interrupted"):
        del contents["metrics_csv"], contents["summary_json"]
    for key, content in {**contents, **files}.items():
        (run / key.replace("_", ".")).write_text(content)
    return run
