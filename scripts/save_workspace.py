"""Save our W&B workspace, panels of what the papers' figures show, with your account (wandb login).

python scripts/save_workspace.py --entity me                      in the project normscape (or WANDB_PROJECT)
python scripts/save_workspace.py --entity me --project thesis     in another project
"""

from normscape.process.interrupts import end_at_once

if __name__ == "__main__":  # so that Ctrl-C says one line while the rest is imported
    end_at_once()

import importlib.util
import os
import sys
from collections.abc import Sequence

from normscape.errors import UserError
from normscape.process.entry import Parser, entry_point


def main(arguments: Sequence[str]) -> None:
    """Save it, and say where it is."""
    parser = Parser(prog="save_workspace.py", description="Save our W&B workspace with your account.")
    parser.add_argument("--entity", default=os.environ.get("WANDB_ENTITY"), help="you or your team in W&B")
    parser.add_argument("--project", default=os.environ.get("WANDB_PROJECT") or "normscape", help="default: normscape")
    options = parser.parse_args(arguments)
    from normscape.trackers.workspace import workspace

    if importlib.util.find_spec("wandb_workspaces") is None:
        raise UserError("wandb-workspaces is not installed: make env EXTRAS=workspace")
    if not options.entity:
        raise UserError("--entity: expected your name or your team's in W&B, e.g. --entity me")
    try:
        saved = workspace(options.entity, options.project).save()
    except Exception as error:  # of an account, a network or a server, of kinds that wandb does not promise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"the workspace could not be saved: {reason[:300]}; wandb login stores an account") from error
    print(saved.url)


if __name__ == "__main__":
    with entry_point():
        main(sys.argv[1:])
