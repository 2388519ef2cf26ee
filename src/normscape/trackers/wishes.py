"""What the user's environment asks of W&B for a run, in W&B's own variables."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from normscape.errors import UserError
from normscape.storage.names import shortened
from normscape.trackers.protocol import RunInfo

LONGEST_NAME, LONGEST_TAG = 128, 64
"""What W&B takes of names and groups, and of tags, beyond which it refuses the whole run."""

MODES = ("offline", "online")
USER_MODES = (*MODES, "disabled", "shared", "dryrun", "run")

AGENT = ("WANDB_RUN_ID", "WANDB_SWEEP_ID", "WANDB_SWEEP_PARAM_PATH")
"""What an agent of a W&B sweep sets, of one run. Taken as it is, W&B would give its id to every run of a process."""


@dataclass(frozen=True)
class Wishes:
    """What W&B is to be told of a run.

    The user's tags are added to ours, and the group stands before ours; name and kind of job are the user's if given.
    """

    mode: str
    run_id: str
    name: str
    group: str
    job_type: str
    tags: tuple[str, ...]
    directory: Path  # holds wandb/
    sweep: Mapping[str, str] = field(default_factory=dict)  # settings of W&B's, if the run is an agent's

    @classmethod
    def of(cls, info: RunInfo, mode: str | None) -> "Wishes":
        """Read the environment; ``mode`` is our own setting, which comes first.

        Raises
        ------
        UserError
            If ``WANDB_MODE`` is none that W&B knows.
        """
        given = os.environ
        asked = mode or given.get("WANDB_MODE") or "offline"
        if asked not in USER_MODES:
            raise UserError(f"WANDB_MODE={asked}: expected {', '.join(USER_MODES)}")
        asked = "disabled" if is_disabled() else asked
        asked = {"dryrun": "offline", "run": "online"}.get(asked, asked)
        tags = [*info.tags, *(tag.strip() for tag in given.get("WANDB_TAGS", "").split(","))]
        group = "/".join(filter(None, [given.get("WANDB_RUN_GROUP"), info.group]))
        directory = Path(given.get("WANDB_DIR") or info.directory).absolute()
        sweep = _claimed(info.run_id, directory) if asked != "disabled" else {}
        return cls(
            mode=asked,
            run_id=sweep.get("run_id", info.run_id),
            name=shortened(given.get("WANDB_NAME") or info.name, LONGEST_NAME),
            group=shortened(group, LONGEST_NAME),
            job_type=given.get("WANDB_JOB_TYPE") or info.job_type,
            tags=tuple(dict.fromkeys(shortened(tag, LONGEST_TAG) for tag in tags if tag)),
            directory=directory,
            sweep={key: value for key, value in sweep.items() if key != "run_id"},
        )


def is_disabled() -> bool:
    """Whether the user's environment says that there is to be no W&B."""
    given = os.environ
    return given.get("WANDB_MODE") == "disabled" or given.get("WANDB_DISABLED", "").lower() in (
        "1",
        "true",
        "yes",
        "on",
    )


def _claimed(run_id: str, directory: Path) -> dict[str, str]:
    """Return the settings of the agent's run if this run is the one that has it; nothing for every other.

    The first of our runs in any process takes it, and keeps it when it is resumed.
    """
    own, sweep, parameters = (os.environ.get(name) for name in AGENT)
    if not own or not sweep:
        return {}
    claim = directory / "wandb" / ".agent" / own
    claim.parent.mkdir(parents=True, exist_ok=True)
    temporary = claim.with_name(f"{own}.{os.getpid()}")
    temporary.write_text(run_id)
    try:
        os.link(temporary, claim)  # whole at once, and only if there is none
    except FileExistsError:
        if claim.read_text() != run_id:
            return {}
    finally:
        temporary.unlink()
    return {"run_id": own, "sweep_id": sweep, **({"sweep_param_path": parameters} if parameters else {})}
