"""One run as it is sent to a process of an engine's, which has imported nothing yet."""

import normscape.process.portable  # noqa: F401, I001 - first: torch chooses its kernels when it is imported

import os
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from normscape.process.entry import COMMAND
from normscape.errors import Interrupted, TakenError
from normscape.schema import RunConfig

LOOK_SECONDS = 0.5
"""How often a process looks whether it is to stop; it does so on a file system that may be shared by many."""


@dataclass(frozen=True)
class Ended:
    """How a run ended: well, in a failure (as a line), stopped or not begun, since another process has it.

    ``said`` is what it had to say.
    """

    failure: str | None
    stopped: bool = False
    taken: bool = False
    said: tuple[str, ...] = ()


class _Listener:
    """The reporter of a task: keeps what a run says; its progress is read from its files."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def update(self, name: str, step: int, steps: int, quiet: bool = False) -> None:
        pass

    def message(self, text: str) -> None:
        self.said.append(text)


@dataclass(frozen=True)
class Task:
    """A run, and what its process takes over from the one that the user started.

    Attributes
    ----------
    config
        The run.
    stop
        A file; once it is there, the run is saved and ends.
    waiting
        Whether to wait if another process trains the run.
    """

    config: RunConfig
    stop: Path
    waiting: bool = False
    command: str = field(default_factory=lambda: os.environ.get(COMMAND, ""))
    folder: str = field(default_factory=lambda: str(Path.cwd()))
    path: tuple[str, ...] = field(default_factory=lambda: tuple(filter(None, sys.path)))

    def __call__(self) -> Ended:
        """Carry out the run."""
        from normscape.engines.worker import failure
        from normscape.execute import execute

        self._take_over()
        listener = _Listener()
        try:
            execute(self.config, listener, self._stopped(), self.waiting)
        except TakenError:
            return Ended(None, taken=True)
        except Interrupted:
            return Ended(None, stopped=True, said=tuple(listener.said))
        except Exception as error:  # as text, since not every exception can be passed to another process
            return Ended(failure(self.config, error), said=tuple(listener.said))
        return Ended(None, said=tuple(listener.said))

    def _take_over(self) -> None:
        os.environ[COMMAND] = self.command
        with suppress(OSError):
            os.chdir(self.folder)
        sys.path += [entry for entry in self.path if entry not in sys.path]

    def _stopped(self) -> "_Look":
        return _Look(self.stop)


class _Look:
    """Whether a file is there, looked at now and then."""

    def __init__(self, file: Path) -> None:
        self._file, self._looked, self._found = file, 0.0, False

    def __call__(self) -> bool:
        if not self._found and time.monotonic() - self._looked >= LOOK_SECONDS:
            self._looked, self._found = time.monotonic(), self._file.exists()
        return self._found
