"""How a process is asked to stop: SIGINT, SIGTERM, and the signal by which a scheduler takes back its machine."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import Any, NoReturn

from normscape.errors import Interrupted

INTERRUPTED = 130
"""Exit code of a process that was asked to stop."""

ASKING = (signal.SIGINT, signal.SIGTERM)


def _end(_number: int, _frame: object) -> NoReturn:
    os.write(sys.stderr.fileno(), b"normscape: interrupted before anything was begun\n")
    os._exit(INTERRUPTED)


def end_at_once() -> None:
    """Let SIGINT and SIGTERM end this process with one line: for a script that still imports what it needs."""
    for number in ASKING:
        signal.signal(number, _end)


@contextmanager
def raised() -> Iterator[None]:
    """Let SIGTERM raise KeyboardInterrupt in the block, as SIGINT does, where this thread may decide it."""
    if current_thread() is not main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.default_int_handler) for number in ASKING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.default_int_handler if handler is _end else handler)


@contextmanager
def held_back() -> Iterator[None]:
    """Keep SIGINT and SIGTERM waiting in the block; a process that is started in it begins with both held back."""
    received: list[int] = []
    handlers = {}
    if current_thread() is main_thread():  # the mask is one thread's alone, and any may take the signal
        handlers = {number: signal.signal(number, lambda it, _: received.append(it)) for number in ASKING}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ASKING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for taken in received[:1]:
            signal.raise_signal(taken)


def ignore() -> None:
    """Ignore SIGINT and SIGTERM from now on, and let go of those that are held back."""
    for number in ASKING:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ASKING)


@contextmanager
def stop_signals() -> Iterator[Callable[[], bool]]:
    """Turn requests to stop into a flag for the block, so that training stops between two steps and is saved.

    A scheduler's tool that is told by SIGUSR2 to requeue this process, as submitit is, keeps its handler: once the
    block is left because it was interrupted, by SIGUSR2 or by SIGTERM, the handler is called.

    Raises
    ------
    Interrupted
        If the block ends as if nobody had asked, as training does that was at its end: what is done is done, but who
        started it is not to begin anything more. Under such a tool it is not raised: only this process was asked.
    """
    received: list[int] = []
    requeue = _scheduler()

    def note(number: int, _frame: object) -> None:
        if received and not requeue:  # the second request: stop at once
            raise KeyboardInterrupt
        received.append(number)

    before: dict[signal.Signals, Any] = {}
    for asked in (*ASKING, *([signal.SIGUSR2] if requeue else [])):
        try:
            before[asked] = signal.signal(asked, note)
        except ValueError:  # not the main thread: the caller handles signals
            break
    interrupted = False
    try:
        yield lambda: bool(received)
        if received and not requeue:
            raise Interrupted("interrupted; what was being finished has ended, and nothing more is begun")
    except Interrupted:
        interrupted = True
        raise
    finally:
        for asked, handler in before.items():
            signal.signal(asked, handler)
        if interrupted and requeue and not {*received}.isdisjoint({signal.SIGUSR2, signal.SIGTERM}) and _wanted():
            requeue(signal.SIGUSR2, None)


def _scheduler() -> Callable[[int, Any], Any] | None:
    """Return what a scheduler's tool does when its machine is to be given back; None if there is none."""
    handler = signal.getsignal(signal.SIGUSR2)
    return handler if callable(handler) else None


def _wanted() -> bool:
    """Whether SLURM still wants this job: one that its user has cancelled must not come back."""
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        return True
    try:
        told = subprocess.run(["scontrol", "show", "job", "-o", job], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return True
    return "JobState=CANCELLED" not in told.stdout
