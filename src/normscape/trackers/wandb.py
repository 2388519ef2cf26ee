"""The mirror of a run in W&B; wandb itself is imported when a run starts, and not before."""

import logging
import os
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from normscape.errors import UserError, suggest
from normscape.storage.files import write_json
from normscape.trackers.guard import NoAnswerError, Worker, drop_service, environment, require_room
from normscape.trackers.opening import STEP, open_in_wandb
from normscape.trackers.protocol import RunInfo
from normscape.trackers.wishes import AGENT, MODES, Wishes

if TYPE_CHECKING:
    from wandb import Run

logger = logging.getLogger("normscape")

LONGEST_REASON = 300
"""Of an error of wandb's; it has several lines, and the cause is not always on the first."""


class WandbTracker:
    """Mirrors each run as one W&B run.

    Offline, the default, needs no account and sends nothing; ``wandb leet`` shows the runs and ``wandb sync`` uploads
    them. Values that are not finite are kept; they read back as ``NaN``, ``Infinity`` and ``-Infinity``.

    Every mirror is whole: a resumed run begins a new folder of W&B's with all its rows, and the older ones of the same
    id are removed. W&B's own resuming is not used, so that sent again, or sent after a kill, rows take the place of the
    same rows. A server that cannot be reached costs one line, and the run is mirrored offline.

    Known limit: wandb writes its file in blocks and about every 15 s, so until a killed run is resumed the rows since
    then are missing. Rows lost on a full disk are noticed by ``finish`` only.

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
        if mode is not None and mode not in MODES:
            raise UserError(f"tracker.mode={mode!r} is neither offline nor online{suggest(mode, MODES)}")
        self._project = project
        self._mode = mode
        self._entity = entity
        self._start_timeout = start_timeout_seconds
        self._finish_timeout = finish_timeout_seconds
        self._name = self._kind = ""
        self._note: Path | None = None
        self._noted: dict[str, str] = {}
        self._worker: Worker | None = None  # None when off
        self._run: Run | None = None
        self._switch = threading.Lock()  # both threads may turn the tracker off

    def start(self, info: RunInfo) -> None:
        """Open the W&B run, at most ``start_timeout_seconds`` later, and queue what was measured before."""
        self._name, self._kind, self._note, self._run = info.name, info.job_type, info.note, None
        try:
            wishes = Wishes.of(info, self._mode)
        except (UserError, OSError) as error:
            logger.warning("%s; %s continues without W&B", error, info.name)
            return
        if wishes.mode == "disabled":
            return
        self._write_note(wishes, whole=False)
        failure = self._begin(info, wishes)
        if failure is not None and wishes.mode != "offline":
            offline, unreachable = replace(wishes, mode="offline"), _reason(failure)
            self._write_note(offline, whole=False)
            drop_service()  # it keeps the id of a run that it could not open
            failure = self._begin(info, offline)
            if failure is None:
                logger.warning(
                    "W&B cannot be reached, %s is mirrored offline, and make sync sends it later: %s",
                    self._name,
                    unreachable,
                )
        if failure is not None:
            self._say("starting", failure)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Queue a row; wait for nothing."""
        worker, run = self._worker, self._run  # read once: the other thread may turn the tracker off at any moment
        if worker is not None and run is not None:
            self._attempt("logging", worker, lambda: run.log({STEP: step, **values}, step=step))

    def image(self, step: int, name: str, png: Path) -> None:
        """Copy a picture into the W&B run; wait for at most ``start_timeout_seconds``."""
        worker, run = self._worker, self._run
        if worker is not None and run is not None:

            def copy() -> None:
                from wandb import Image

                run.log({STEP: step, name: Image(str(png))}, step=step)

            self._attempt("copying an image of", worker, copy, self._start_timeout)

    def table(self, step: int, name: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write a table into the W&B run; wait for at most ``start_timeout_seconds``."""
        worker, run = self._worker, self._run
        if worker is not None and run is not None:

            def write() -> None:
                from wandb import Table

                run.log({STEP: step, name: Table([*columns], [[*row] for row in rows])}, step=step)

            self._attempt("writing a table of", worker, write, self._start_timeout)

    def summarize(self, values: Mapping[str, float | str], tags: Sequence[str] = ()) -> None:
        """Queue what a table of runs sorts by, and further tags; wait for nothing."""
        worker, run = self._worker, self._run
        if worker is not None and run is not None:
            self._noted["status"] = str(values.get("status", ""))

            def add() -> None:
                run.summary.update(dict(values))
                if tags:
                    run.tags = (*(run.tags or ()), *tags)

            self._attempt("summarising", worker, add)

    def finish(self, exit_code: int) -> None:
        """Close the W&B run; wait for at most ``finish_timeout_seconds``."""
        worker, run = self._worker, self._run
        if worker is not None and run is not None:

            def close() -> None:
                run.finish(exit_code=exit_code)
                require_room(Path(run.settings.root_dir))  # on a full disk wandb loses rows without a word
                self._write_note(None, whole=True)

            self._attempt("finishing", worker, close, self._finish_timeout)
            worker.stop()
        self._worker = self._run = None

    def _begin(self, info: RunInfo, wishes: Wishes) -> Exception | None:
        """Open the W&B run, and queue what was measured before; return why it could not be opened."""
        failures: list[Exception] = []
        worker = self._worker = Worker()

        def open_run() -> None:
            places = {"project": self._project, "entity": self._entity}
            run = open_in_wandb(info, wishes, places, self._start_timeout, self._finish_timeout)
            with self._switch:
                in_time = self._worker is worker
                self._run = run if in_time else self._run
            if not in_time:  # the run went on without
                run.finish(exit_code=1)

        # Given to wandb.init alone, mode and silence would come too late for wandb's telemetry and account talk.
        quiet = {"WANDB_MODE": wishes.mode, "WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false"}
        with environment(**quiet, **dict.fromkeys(AGENT)):
            self._attempt("starting", worker, open_run, self._start_timeout, failures)
        run = self._run
        if run is not None and info.past:

            def catch_up() -> None:
                for step, values in info.past:
                    run.log({STEP: step, **values}, step=step)

            self._attempt("logging", worker, catch_up)
        return failures[0] if failures else None

    def _write_note(self, wishes: Wishes | None, whole: bool) -> None:
        """Keep in the run's own folder where its mirror is, and whether all of it is there."""
        if wishes is not None:
            places = {"project": self._project, "entity": self._entity}
            chosen = {name: own or os.environ.get(f"WANDB_{name.upper()}") for name, own in places.items()}
            where = {"id": wishes.run_id, "mode": wishes.mode, "directory": str(wishes.directory)}
            self._noted = where | {name: value for name, value in chosen.items() if value}
        if self._note is not None:
            with suppress(OSError):
                write_json(self._note, {**self._noted, "whole": whole})

    def _attempt(
        self,
        doing: str,
        worker: Worker,
        action: Callable[[], None],
        seconds: float = 0.0,
        failures: list[Exception] | None = None,
    ) -> None:
        """Let the worker act, wait for it if ``seconds`` are given, and turn the tracker off if anything fails.

        What has failed is said, unless it is to be added to ``failures``.
        """

        def fail(error: Exception) -> None:
            with self._switch:
                if self._worker is not worker:  # already off
                    return
                self._worker = self._run = None
            worker.stop()
            if failures is None:
                self._say(doing, error)
            else:
                failures.append(error)
            if isinstance(error, NoAnswerError | queue.Full | ConnectionError) or _is_mailbox_closed(error):
                drop_service()

        def guarded() -> None:
            if self._worker is worker:  # still on
                try:
                    action()
                except Exception as error:
                    fail(error)

        try:
            worker.do(guarded, seconds)
        except Exception as error:
            fail(error)

    def _say(self, doing: str, error: Exception) -> None:
        without = f"W&B failed while {doing} {self._name}, which continues without it"
        who = "the same command" if self._kind == "figure" else "make mirror"
        logger.warning("%s, and %s makes up for it later: %s", without, who, _reason(error))


def _reason(error: Exception) -> str:
    """Return what an error says, on one line."""
    return " ".join(str(error).split())[:LONGEST_REASON] or type(error).__name__


def _is_mailbox_closed(error: Exception) -> bool:
    return type(error).__name__ == "MailboxClosedError"
