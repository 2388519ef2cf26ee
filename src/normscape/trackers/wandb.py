"""The mirror of a run in W&B; wandb itself is imported when a run starts, and not before."""

import logging
import os
import queue
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normscape.errors import UserError, suggest
from normscape.names import shortened
from normscape.trackers.guard import NoAnswerError, Worker, drop_service, environment, require_room
from normscape.trackers.protocol import RunInfo

if TYPE_CHECKING:
    from wandb import Run

logger = logging.getLogger("normscape")

LONGEST_NAME, LONGEST_TAG = 128, 64
"""What W&B takes of names and groups, and of tags, beyond which it refuses the whole run."""

STEP = "trainer/step"
"""The training step: logged with every row, and the x axis of every plot."""

_MODES = ("offline", "online")
_USER_MODES = (*_MODES, "disabled", "shared", "dryrun", "run")


class WandbTracker:
    """Mirrors each run as one W&B run.

    Offline, the default, needs no account and sends nothing; ``wandb leet`` shows the runs and ``wandb sync`` uploads
    them. Values that are not finite are kept; they read back as ``NaN``, ``Infinity`` and ``-Infinity``.

    Known limits: wandb writes its file in blocks and about every 15 s, so a process killed with kill -9 loses the rows
    since then. A resumed run is one more directory with the same id, in which the steps since its last checkpoint
    appear again. Rows lost on a full disk are noticed by ``finish`` only.

    Parameters
    ----------
    project, mode, entity
        Where the run goes, and whether it is sent (``online``) or kept (``offline``). None leaves it to the user's
        ``WANDB_PROJECT``, ``WANDB_MODE`` and ``WANDB_ENTITY``; else the project is ``normscape``, the mode ``offline``.
    start_timeout_seconds
        The longest that ``start`` waits for the server, and ``image`` for the disk; to let go of a wandb that hangs
        takes up to 5 s more, here and below.
    finish_timeout_seconds
        The longest that ``finish`` waits for the upload; what is not sent by then stays on disk for ``wandb sync``.

    Raises
    ------
    UserError
        If ``mode`` is unknown.
    """

    def __init__(
        self,
        project: str | None = None,
        mode: str | None = None,
        entity: str | None = None,
        start_timeout_seconds: float = 30.0,
        finish_timeout_seconds: float = 60.0,
    ) -> None:
        if mode is not None and mode not in _MODES:
            raise UserError(f"tracker.mode={mode!r} is neither offline nor online{suggest(mode, _MODES)}")
        self._project = project
        self._mode = mode
        self._entity = entity
        self._start_timeout = start_timeout_seconds
        self._finish_timeout = finish_timeout_seconds
        self._name = ""
        self._worker: Worker | None = None  # None when off
        self._run: Run | None = None

    def start(self, info: RunInfo) -> None:
        """Open the W&B run; wait for at most ``start_timeout_seconds``."""
        mode = self._mode or os.environ.get("WANDB_MODE") or "offline"
        if mode not in _USER_MODES:
            logger.warning(
                "WANDB_MODE=%s: expected %s; %s continues without W&B", mode, ", ".join(_USER_MODES), info.name
            )
            return
        self._name = info.name
        self._run = None
        worker = self._worker = Worker()

        def open_run() -> None:
            run = self._open(info, mode)
            if self._worker is worker:
                self._run = run
            else:  # too late, the run went on without
                run.finish(exit_code=1)

        # Given to wandb.init alone, mode and silence would come too late for wandb's telemetry and account talk.
        with environment(WANDB_MODE=mode, WANDB_SILENT="true", WANDB_ERROR_REPORTING="false"):
            self._attempt("starting", worker, open_run, self._start_timeout)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Queue a row; wait for nothing."""
        worker, run = self._worker, self._run  # read once: the other thread may turn the tracker off at any moment
        if worker is not None and run is not None:
            row = {STEP: step, **values}
            self._attempt("logging", worker, lambda: run.log(row))

    def image(self, step: int, name: str, png: Path) -> None:
        """Copy a picture into the W&B run; wait for at most ``start_timeout_seconds``."""
        worker, run = self._worker, self._run
        if worker is not None and run is not None:

            def copy() -> None:
                from wandb import Image

                run.log({STEP: step, name: Image(str(png))})

            self._attempt("copying an image of", worker, copy, self._start_timeout)

    def finish(self, exit_code: int) -> None:
        """Close the W&B run; wait for at most ``finish_timeout_seconds``."""
        worker, run = self._worker, self._run
        if worker is not None and run is not None:

            def close() -> None:
                run.finish(exit_code=exit_code)
                require_room(Path(run.settings.root_dir))  # on a full disk wandb loses rows without a word

            self._attempt("finishing", worker, close, self._finish_timeout)
            worker.stop()
        self._worker = self._run = None

    def _open(self, info: RunInfo, mode: str) -> "Run":
        directory = Path(os.environ.get("WANDB_DIR") or info.directory)
        require_room(directory)  # without, wandb would move to the system's temporary directory without a word
        import wandb

        settings: dict[str, Any] = {
            "mode": mode,
            "silent": True,
            "console": "off",
            "disable_code": True,
            "disable_git": True,  # slow in some work trees; commit and versions are in the run's manifest
            # wandb's own limits, a little sooner than ours: its messages say more.
            "init_timeout": 0.8 * self._start_timeout,
            "finish_timeout": 0.8 * self._finish_timeout,
            "finish_timeout_raises": True,
        }
        run = wandb.init(
            project=self._project or os.environ.get("WANDB_PROJECT") or "normscape",
            entity=self._entity,
            id=info.run_id,
            name=shortened(info.name, LONGEST_NAME),
            group=shortened(info.group, LONGEST_NAME),
            job_type=info.job_type,
            tags=[shortened(tag, LONGEST_TAG) for tag in info.tags],
            config=info.config,
            dir=directory,
            resume="allow",
            reinit="create_new",
            settings=wandb.Settings(**settings),
        )
        run.define_metric(STEP, hidden=True)
        run.define_metric("*", step_metric=STEP)
        return run

    def _attempt(self, doing: str, worker: Worker, action: Callable[[], None], seconds: float = 0.0) -> None:
        """Let the worker act, wait for it if ``seconds`` are given, and turn the tracker off if anything fails."""

        def guarded() -> None:
            if self._worker is worker:  # still on
                try:
                    action()
                except Exception as error:
                    self._turn_off(doing, worker, error)

        try:
            worker.do(guarded, seconds)
        except Exception as error:
            self._turn_off(doing, worker, error)

    def _turn_off(self, doing: str, worker: Worker, error: Exception) -> None:
        if self._worker is not worker:  # already off
            return
        self._worker = self._run = None
        worker.stop()
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        logger.warning("W&B failed while %s %s, which continues without it: %s", doing, self._name, reason)
        lost = isinstance(error, NoAnswerError | queue.Full | ConnectionError)
        if lost or type(error).__name__ == "MailboxClosedError":
            drop_service()
