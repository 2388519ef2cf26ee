"""Where runs lie, and which directory is a run's: the one called as the run called it; no copy or renamed one is."""

import os
import re
from pathlib import Path
from typing import Any

from normscape.errors import UserError
from normscape.storage.files import read_json
from normscape.storage.names import file_name

NAMED = re.compile(r".+-s\d+-(?P<identity>[0-9a-f]{12})")
"""The name of a run's directory: label, seed, identity."""

FILES = ("config.json", "status.json", "summary.json")
"""Any of these makes a folder the directory of a run."""


def runs_folder(name: str | None) -> str:
    """Return the folder of the runs: the one that is named, if any is, its ``~`` replaced by the user's home."""
    return os.path.expanduser(name or "runs")


def default_folder() -> Path:
    """Return the folder of the runs where none is given."""
    return Path(runs_folder(os.environ.get("NORMSCAPE_RUNS")))


def directory_name(name: str, seed: int, identity: str) -> str:
    """Return what a run calls its directory."""
    return f"{file_name(name)}-s{seed}-{identity}"


def named_by_itself(path: Path) -> bool:
    """Whether a directory is called as its ``config.json`` says; one that does not say is believed."""
    found = NAMED.fullmatch(path.name)
    if found is None:
        return False
    try:
        config: Any = read_json(path / "config.json")
    except UserError:  # who reads it will say so
        return True
    if not isinstance(config, dict) or not {"name", "seed"} <= set(config):
        return True
    return path.name == directory_name(str(config["name"]), config["seed"], found["identity"])


def directories_of(root: Path, identity: str) -> list[Path]:
    """Return the directories of a run in a folder, one that has ended first; there should be one at most."""
    found = [path for path in root.glob(f"*-{identity}") if named_by_itself(path)] if root.is_dir() else []
    return sorted(found, key=lambda path: (not (path / "summary.json").exists(), path.name))


def others_of(path: Path, identity: str) -> list[str]:
    """Return the names of what lies beside a run's directory and looks like it, as a copy does: it is not used."""
    return sorted(found.name for found in path.parent.glob(f"[!.]*{identity}*") if found.name != path.name)


def said_of_others(path: Path, identity: str) -> str:
    """Say what is not used, in words to end a line with; nothing if there is none."""
    others = others_of(path, identity)
    return f"; not used: {', '.join(others)} (copied or renamed, or a second one of this run)" if others else ""


def run_directories(folder: Path) -> tuple[list[Path], list[str]]:
    """Return the directories of the runs in a folder, one for each, and the names of those that are copies."""
    there = sorted({path.parent for name in FILES for path in folder.glob(f"[!.]*/{name}")})
    own: dict[str, Path] = {}
    for path in there:
        if named_by_itself(path):
            identity = path.name.rpartition("-")[2]
            own.setdefault(identity, directories_of(folder, identity)[0])
    used = sorted(own.values())
    return used, [path.name for path in there if path not in used]
