"""A run in W&B is opened here; wandb itself is imported when that happens, and not before."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normscape.trackers.fragments import Fragment, remove_others
from normscape.trackers.guard import require_room
from normscape.trackers.protocol import RunInfo
from normscape.trackers.wishes import Wishes

if TYPE_CHECKING:
    from wandb import Run

STEP = "step"
"""The training step: logged with every row, and the x axis of every plot. `wandb leet` has its name in every title."""

SOONER = 0.8
"""W&B's own limits of time, as a share of ours: its messages say more."""


def open_in_wandb(
    info: RunInfo, wishes: Wishes, places: Mapping[str, str | None], start_seconds: float, finish_seconds: float
) -> "Run":
    """Open a run that is to be mirrored whole; older fragments of it are removed.

    Without W&B's ``resume``, which would add to what is there: without it, rows take the place of the same rows.

    Parameters
    ----------
    info, wishes
        The run.
    places
        Our settings of ``project`` and ``entity``; None leaves them to the user's.
    start_seconds, finish_seconds
        How long we wait for it.
    """
    require_room(wishes.directory)  # without, wandb would move to the system's temporary directory without a word
    import wandb

    settings: dict[str, Any] = {
        "mode": wishes.mode,
        "silent": True,
        "console": "off",
        "disable_code": True,
        "disable_git": True,  # slow in some work trees; commit and versions are in the run's manifest
        "init_timeout": SOONER * start_seconds,
        "finish_timeout": SOONER * finish_seconds,
        "finish_timeout_raises": True,
        **wishes.sweep,
    }
    run = wandb.init(
        project=places["project"] or os.environ.get("WANDB_PROJECT") or "normscape",
        entity=places["entity"],
        id=wishes.run_id,
        name=wishes.name,
        group=wishes.group,
        job_type=wishes.job_type,
        tags=list(wishes.tags),
        config=info.config,
        dir=wishes.directory,
        reinit="create_new",
        settings=wandb.Settings(**settings),
    )
    run.define_metric(STEP, hidden=True)
    run.define_metric("*", step_metric=STEP)
    with suppress(OSError):
        own = Fragment.at(Path(run.settings.sync_dir))
        remove_others(own)
        own.label(wishes.name, wishes.group, info.job_type)
    return run
