"""What keeps a wandb that is dead, hanging or out of room from holding up training."""

import os
import queue
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

_BACKLOG_ROWS = 10_000
_PROBE_BYTES = 2**16
_DROP_SECONDS = 5.0


class NoAnswerError(Exception):
    """Neither our limit was kept nor, a little sooner, wandb's own."""


class Worker:
    """One daemon thread that makes all calls into wandb, in order: if one hangs, training continues."""

    def __init__(self) -> None:
        self._actions: queue.Queue[tuple[Callable[[], None], threading.Event] | None] = queue.Queue(_BACKLOG_ROWS)
        threading.Thread(target=self._work, name="tracker", daemon=True).start()

    def do(self, action: Callable[[], None], seconds: float) -> None:
        """Queue an action that does not raise, or ``queue.Full``; unless ``seconds`` is 0, wait until it is done."""
        done = threading.Event()
        self._actions.put_nowait((action, done))
        if seconds and not done.wait(seconds):
            raise NoAnswerError(f"no answer within {seconds:g} s")

    def stop(self) -> None:
        """End the thread after what is queued."""
        with suppress(queue.Full):
            self._actions.put_nowait(None)

    def _work(self) -> None:
        while (item := self._actions.get()) is not None:
            action, done = item
            action()
            done.set()


@contextmanager
def environment(**values: str | None) -> Iterator[None]:
    """Set environment variables, or hide those whose value is None, for the length of a ``with`` block."""
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


def require_room(directory: Path) -> None:
    """Create the directory if need be; raise ``OSError`` if it takes no files."""
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=directory) as probe:
        probe.write(bytes(_PROBE_BYTES))


def drop_service() -> None:
    """Forget wandb's helper process, dead or hanging: the next run and the end of Python would wait for it."""

    def drop() -> None:
        with suppress(Exception):  # wandb has no public handle on its helper
            process = sys.modules["wandb"].sdk.wandb_setup.singleton()._connection._proc._process
            process.kill()
            process.wait()
        with suppress(Exception, SystemExit):
            sys.modules["wandb"].teardown()

    worker = Worker()
    with suppress(NoAnswerError):
        worker.do(drop, _DROP_SECONDS)
    worker.stop()
