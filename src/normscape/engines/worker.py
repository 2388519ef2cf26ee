"""A process that carries out runs for another one.

It is sent one run after the other through a pipe. It stops a run, saved, as soon as there is anything else to read:
that it shall end, or the end of the pipe, since the process that started it is gone, however that died.
"""

import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import torch

from normscape.config import RunConfig
from normscape.errors import Interrupted, TakenError, UserError
from normscape.execute import execute_together
from normscape.overview.progress import Reporter
from normscape.process.interrupts import held_back, ignore
from normscape.runs import FAILURE, RunDirectory

LOOK_SECONDS = 0.1
"""How often a worker looks whether it is to stop: between two steps, but not between all of them."""

ENDED = "ended"
"""What a worker says when its runs have ended, with how; all else it says is for a `Reporter`."""

OUT_OF_MEMORY = "; a smaller batch_size or model.width needs less, as do fewer runs side by side and device=cpu"

Outcome = str | Interrupted | TakenError | None
"""How a run ended: in a failure, as a line; stopped; not begun, since another process has it; or well."""

Job = list[int]
"""The positions of runs that are carried out as one; most are by themselves."""


class _Relay:
    """The reporter of a worker: hands everything to who started it, if that is still there."""

    def __init__(self, pipe: Connection, every: int = 20) -> None:
        self._pipe, self._every = pipe, every

    def update(self, name: str, step: int, steps: int, quiet: bool = False) -> None:
        if step % self._every == 0 or step == steps:
            self._send("update", name, step, steps, quiet)

    def message(self, text: str) -> None:
        self._send("message", text)

    def _send(self, *what: Any) -> None:
        with suppress(OSError):
            self._pipe.send(what)


def failure(config: RunConfig, error: Exception) -> str:
    """Return what went wrong with a run as one line; for a bug, the line also says where the traceback is, if it is."""
    reason = " ".join(str(error).split())
    if not isinstance(error, UserError):
        cure = OUT_OF_MEMORY if isinstance(error, torch.OutOfMemoryError | MemoryError) else ""
        reason = f"{type(error).__name__}: {reason}{cure}{_traceback_of(config)}"
    return f"{config.label}: {reason}"


def _traceback_of(config: RunConfig) -> str:
    try:
        file = RunDirectory.of(config).path / FAILURE
    except (UserError, OSError):
        return ""
    return f" (traceback: {file})" if file.is_file() else ""


def _work(pipe: Connection) -> None:
    """Carry out the runs that the pipe brings, and answer each with how it ended, until it brings None or ends."""
    ignore()  # between runs, who started this process says what to do
    looked = 0.0

    def stopped() -> bool:
        nonlocal looked
        if time.monotonic() - looked < LOOK_SECONDS:
            return False
        looked = time.monotonic()
        return pipe.poll()

    with suppress(EOFError, OSError):  # who started it is gone
        while (runs := pipe.recv()) is not None:
            configs, waiting = runs
            try:
                ended = list(outcomes(list(range(len(configs))), configs, _Relay(pipe), stopped, waiting).values())
            except KeyboardInterrupt:
                ended = [Interrupted()] * len(configs)
            pipe.send((ENDED, ended))


def outcomes(
    job: Job, configs: Sequence[RunConfig], reporter: Reporter, stopped: Callable[[], bool], waiting: bool
) -> dict[int, Outcome]:
    """Carry out runs as one, and return how each ended; if one of them fails, each goes on by itself.

    Unless it is ``waiting``, none is begun if another process has one of them.
    """
    try:
        execute_together([configs[position] for position in job], reporter, stopped, waiting)
    except (Interrupted, TakenError) as error:
        return dict.fromkeys(job, error)
    except Exception as error:  # as text, since not every exception can be passed to another process
        if len(job) == 1:
            return {job[0]: failure(configs[job[0]], error)}
        alone = (outcomes([position], configs, reporter, stopped, waiting) for position in job)
        return {position: outcome for each in alone for position, outcome in each.items()}
    return dict.fromkeys(job)


class Worker:
    """A process that carries out one run after the other, or some as one.

    Parameters
    ----------
    lane
        The runs that wait for it, or for others that share the lane.
    reporter
        Where its progress is shown.
    """

    def __init__(self, lane: deque[Job], reporter: Reporter) -> None:
        self.lane, self._reporter = lane, reporter
        self._runs: dict[int, RunConfig] = {}
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs,))
        with held_back():  # until it has imported what it needs
            self._process.start()
        theirs.close()  # so that either end notices when the other is gone

    @property
    def busy(self) -> bool:
        """Whether it has runs."""
        return bool(self._runs)

    def begin(self, job: Job, configs: Sequence[RunConfig], waiting: bool) -> None:
        """Let it carry out runs as one, once no other process has them if it is ``waiting``."""
        self._runs = dict(zip(job, configs, strict=True))
        self._send((configs, waiting))

    def hear(self) -> dict[int, Outcome]:
        """Take what it says of its runs; return how each ended, by position: nothing if they have not yet.

        A process that has died is replaced.
        """
        try:
            kind, *said = self.pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            died = UserError(f"its process died (exit code {self._process.exitcode})")
            kind, said = ENDED, [[failure(config, died) for config in self._runs.values()]]
            self._start()
        if kind == ENDED:
            ended, self._runs = dict(zip(self._runs, said[0], strict=True)), {}
            return ended
        getattr(self._reporter, kind)(*said)
        return {}

    def end(self) -> None:
        """Ask it to end; a run that it has is saved first."""
        self._send(None)

    def join(self) -> None:
        """Wait for its end, and show what it says until then."""
        with suppress(EOFError, OSError):
            while True:
                kind, *said = self.pipe.recv()
                if kind != ENDED:
                    getattr(self._reporter, kind)(*said)
        self._process.join()

    def _send(self, what: tuple[Sequence[RunConfig], bool] | None) -> None:
        with suppress(OSError):  # it has died, which is seen when it is heard
            self.pipe.send(what)
