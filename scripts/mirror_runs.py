"""Mirror runs that have ended in W&B, from their own files: those trained with tracker=none, or whose mirror failed.

python scripts/mirror_runs.py                      all runs in runs/ (or NORMSCAPE_RUNS) that are not mirrored yet
python scripts/mirror_runs.py runs/vgg_batch-s0-*  these runs
python scripts/mirror_runs.py --again              also those that are mirrored; each takes the place of its old one
WANDB_MODE=online python scripts/mirror_runs.py    and send them at once
"""

from normscape.process.interrupts import end_at_once

if __name__ == "__main__":  # so that Ctrl-C says one line while the rest is imported
    end_at_once()

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from normscape.errors import UserError
from normscape.process.entry import Parser, entry_point
from normscape.storage.directories import default_folder, run_directories
from normscape.trackers.wishes import is_disabled

if TYPE_CHECKING:
    from normscape.runs import RunDirectory

FOLDER = default_folder()


def runs_in(places: Sequence[Path]) -> "list[RunDirectory]":
    """Return the runs among some folders and in them.

    Raises
    ------
    UserError
        If there is none.
    """
    from normscape.runs import RunDirectory

    found = []
    for place in places:
        inside = [place] if (place / "config.json").exists() else run_directories(place)[0]
        if not inside:
            raise UserError(f"{place}: no run in it; expected a run's folder, or a folder of runs")
        found += [path.resolve() for path in sorted(inside)]
    return [RunDirectory(path) for path in dict.fromkeys(found)]


def main(arguments: Sequence[str]) -> None:
    """Mirror what is asked for, and say how much of it is there."""
    parser = Parser(prog="mirror_runs.py", description="Mirror runs that have ended in W&B.")
    parser.add_argument("places", type=Path, nargs="*", help=f"runs, or folders of runs (default: {FOLDER})")
    parser.add_argument("--again", action="store_true", help="also what is mirrored already")
    options = parser.parse_args(arguments)
    if is_disabled():
        raise UserError("W&B is disabled by WANDB_MODE or WANDB_DISABLED; expected WANDB_MODE=offline or online")
    from normscape.mirror import is_mirrored, mirror_ended, tracker_of

    runs = runs_in(options.places or [FOLDER])
    counts, damaged = Counter[str](), []
    for run in runs:
        try:
            if run.summary is None:
                counts["training"] += 1
            elif is_mirrored(run) and not options.again:
                counts["before"] += 1
            elif mirror_ended(run, tracker_of(run)):
                counts["now"] += 1
                print(f"  {run.path.name}")
            else:
                counts["failed"] += 1
        except UserError as error:
            damaged.append(str(error))
    print(f"Runs: {counts['now']} mirrored now, {counts['before']} before, {counts['training']} not ended")
    if counts["failed"]:
        damaged.append(f"{counts['failed']} runs could not be mirrored; start it again")
    if damaged:
        raise UserError("; ".join(damaged))


if __name__ == "__main__":
    with entry_point():
        main(sys.argv[1:])
