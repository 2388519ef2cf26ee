"""Send to W&B what is mirrored offline, or was begun online and not sent; needs an account (wandb login).

python scripts/sync_runs.py            what is in runs/ (or NORMSCAPE_RUNS); again, and only what is new is sent
python scripts/sync_runs.py --again    everything; rows take the place of the same rows
"""

from normscape.process.interrupts import end_at_once

if __name__ == "__main__":  # so that Ctrl-C says one line while the rest is imported
    end_at_once()

import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from normscape.errors import UserError
from normscape.process.entry import Parser, entry_point
from normscape.storage.directories import default_folder
from normscape.trackers.fragments import Fragment

FOLDER = default_folder()


def is_sent(fragment: Fragment, note: Mapping[str, object]) -> bool:
    """Whether W&B has all that is in a fragment: `wandb sync` says so, or the run itself, which was online."""
    return fragment.synced or (not fragment.offline and bool(note.get("whole")))


def main(arguments: Sequence[str]) -> None:
    """Send, and say what was sent."""
    parser = Parser(prog="sync_runs.py", description="Send to W&B what is mirrored offline.")
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER, help=f"folder of the runs (default: {FOLDER})")
    parser.add_argument("--again", action="store_true", help="send everything again")
    options = parser.parse_args(arguments)
    if not options.folder.is_dir():
        raise UserError(f"{options.folder}: no such folder; expected a folder of runs, e.g. runs")
    from normscape.mirror import mirrors, note_sent, notes, repair

    repair(options.folder, partial(print, file=sys.stderr))
    found = mirrors(options.folder)
    runs = notes(options.folder)
    training = [each for each in found if each.run_id in runs and runs[each.run_id][0].taken]
    noted = {each.run_id: runs[each.run_id][1] if each.run_id in runs else {} for each in found}
    rest = [each for each in found if each not in training]
    waiting = rest if options.again else [each for each in rest if not is_sent(each, noted[each.run_id])]
    if waiting:
        send(waiting)
    sent = [each for each in waiting if each.synced]
    print(f"Runs: {len(sent)} sent now, {len(rest) - len(waiting)} before, {len(training)} in training")
    for each in found:
        if each.synced and each.run_id in runs and runs[each.run_id][1].get("whole"):
            note_sent(runs[each.run_id][0])
    if missing := [each.labels["name"] for each in waiting if not each.synced]:
        raise UserError(f"not sent: {', '.join(missing)}; see above. A run that was killed is whole once it is resumed")


def send(waiting: Sequence[Fragment]) -> None:
    """Let wandb send some fragments; its exit code does not say whether it could."""
    for each in waiting:
        each.file.with_name(f"{each.file.name}.synced").unlink(missing_ok=True)
    print(f"sending {len(waiting)}; wandb waits for a server that does not answer, Ctrl-C stops", file=sys.stderr)
    command = [sys.executable, "-m", "wandb", "sync", "--include-online", "--include-synced"]
    subprocess.run([*command, *(str(each.path) for each in waiting)], check=False)


if __name__ == "__main__":
    with entry_point():
        main(sys.argv[1:])
