"""Browse runs in the terminal, with their names and by their groups; no account, nothing is sent.

python scripts/dashboard.py                                all runs in runs/ (or NORMSCAPE_RUNS), those that train too
python scripts/dashboard.py --group santurkar2018-fig01    those of a figure or a sweep
python scripts/dashboard.py --list                         only make the folders, and say what is in them
"""

from normscape.process.interrupts import end_at_once

if __name__ == "__main__":  # so that Ctrl-C says one line while the rest is imported
    end_at_once()

import os
import shutil
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from normscape.errors import UserError, suggest
from normscape.process.entry import Parser, entry_point
from normscape.storage.directories import default_folder
from normscape.storage.names import file_name
from normscape.trackers.fragments import Fragment

FOLDER = default_folder()
ALL = "all"
NO_TIME = "00000000_000000"
KEYS = (
    "Space shows or hides a run, w/s moves, n turns pages (the last has the loss), / filters metrics, f runs, "
    "3 shows pictures, Enter opens one run, h helps, q quits."
)


def named(found: Sequence[Fragment], folder: Path) -> dict[str, list[str]]:
    """Make a folder of links per group and one of all, whose names `wandb leet` lists; return the names by group.

    It lists ``run-<date>_<time>-<name>`` with a file ``run-<name>.wandb``, the latest first. Figures come last.
    """
    shutil.rmtree(folder, ignore_errors=True)
    groups: dict[str, list[str]] = {}
    for fragment in found:
        labels = fragment.labels
        begun = NO_TIME if labels["job_type"] == "figure" else fragment.begun
        for group in (ALL, file_name(labels["group"])):
            name = file_name(labels["name"])
            taken = groups.setdefault(group, [])
            name = f"{name}-{fragment.run_id}" if name in taken else name
            taken.append(name)
            link = folder / group / f"run-{begun}-{name}"
            link.mkdir(parents=True)
            (link / f"run-{name}.wandb").symlink_to(fragment.file.absolute())
            (link / "files").symlink_to(fragment.path.absolute() / "files")
    return groups


def main(arguments: Sequence[str]) -> None:
    """Make the folders, and open the dashboard."""
    parser = Parser(prog="dashboard.py", description="Browse runs in the terminal.")
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER, help=f"folder of the runs (default: {FOLDER})")
    parser.add_argument("--group", default=ALL, help="only the runs of a figure or a sweep, e.g. santurkar2018-fig01")
    parser.add_argument("--list", action="store_true", help="say what there is, and stop")
    options = parser.parse_args(arguments)
    from normscape.mirror import mirrors, repair

    repair(options.folder, partial(print, file=sys.stderr))
    found = mirrors(options.folder)
    if not found:
        raise UserError(f"{options.folder}: no run is mirrored there; train one, or make mirror for those trained")
    views = options.folder / ".dashboard"
    groups = named(found, views)
    if options.group not in groups:
        raise UserError(f"--group {options.group}: no such group{suggest(options.group, list(groups))}")
    for group, names in sorted(groups.items()):
        print(f"{group}: {', '.join(names) if group != ALL else f'{len(names)} runs'}")
    print(KEYS, flush=True)
    if not options.list:
        command = [sys.executable, "-m", "wandb", "leet", str(views / options.group)]
        os.execv(sys.executable, command)


if __name__ == "__main__":
    with entry_point():
        main(sys.argv[1:])
