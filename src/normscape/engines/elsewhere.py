"""What Ray and SLURM have in common: runs are handed over, their files tell how far they are, a file stops them."""

import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from normscape.config import RunConfig
from normscape.engines.pool import STOPPED
from normscape.engines.task import Ended, Task
from normscape.errors import Interrupted
from normscape.overview.tally import Tally
from normscape.process.interrupts import raised
from normscape.runs import RunDirectory

POLL_SECONDS = 1.0


class ElsewhereEngine(ABC):
    """Hands runs over to another engine, and waits for them.

    The folder of the runs must be one that its machines share. Progress is read from the runs' own files, so it moves
    with their checkpoints.
    """

    local = False

    @abstractmethod
    def submit(self, tasks: Sequence[Task]) -> Sequence[Any]:
        """Hand tasks over; return for each what the other methods know it by."""

    @abstractmethod
    def ended(self, handle: Any) -> Ended | None:
        """Return how a task ended, None if it has not yet."""

    @abstractmethod
    def withdraw(self, handle: Any) -> bool:
        """Take a task back that was not begun; return whether that could be done."""

    def close(self) -> None:  # noqa: B027 - not every engine has something to let go
        """Let go of the engine."""

    def seconds(self, configs: Sequence[RunConfig]) -> tuple[float, Sequence[float]] | None:
        """Return nothing: this machine does not know how fast others are."""
        return None

    def run(self, configs: Sequence[RunConfig], tally: Tally) -> list[str]:
        """Hand runs over, show how it goes, and wait for all."""
        runs = Path(configs[0].runs_dir).absolute()
        stop = runs / ".locks" / f"stop-{uuid.uuid4().hex[:12]}"
        stop.parent.mkdir(parents=True, exist_ok=True)
        waiting: dict[int, Any] = {}
        with tally, raised():
            try:
                waiting.update(enumerate(self._submitted([Task(_settled(config), stop) for config in configs])))
                while waiting:
                    for position in self._look(waiting, configs, tally):  # behind all others, to be waited for
                        task = Task(_settled(configs[position]), stop, waiting=True)
                        waiting[position] = self._submitted([task])[0]
                    time.sleep(POLL_SECONDS if waiting else 0)
            except KeyboardInterrupt:
                stop.touch()
                with suppress(OSError):  # the terminal may be gone
                    tally.message("stopping: what is being trained is saved")
                self._leave(waiting)
                if waiting:
                    stop.unlink()  # not before: if this process is killed meanwhile, the runs stop all the same
                raise Interrupted(STOPPED) from None
            finally:
                self.close()
        return list(tally.failures.values())

    def _submitted(self, tasks: Sequence[Task]) -> Sequence[Any]:
        """Submit tasks; if that ends in the middle, those that were handed over stop as soon as they begin."""
        try:
            return self.submit(tasks)
        except BaseException:
            tasks[0].stop.touch()
            raise

    def _look(self, waiting: dict[int, Any], configs: Sequence[RunConfig], tally: Tally) -> list[int]:
        """Show how it goes; return the runs that were not begun, since another process trains them."""
        taken = []
        for position, handle in list(waiting.items()):
            config = configs[position]
            outcome = self.ended(handle)
            if outcome is None:
                status = RunDirectory.of(config).status
                if status["step"]:
                    tally.update(config.label, status["step"], config.steps)
                continue
            del waiting[position]
            if outcome.taken:
                taken.append(position)
                continue
            for line in outcome.said:
                tally.message(line)
            if outcome.stopped:  # by a signal that reached it alone
                raise KeyboardInterrupt
            tally.ended(config, outcome.failure)
        return taken

    def _leave(self, waiting: dict[int, Any]) -> None:
        """Wait until what is being trained is saved."""
        left = [handle for handle in waiting.values() if not self.withdraw(handle)]
        while any(self.ended(handle) is None for handle in left):
            time.sleep(POLL_SECONDS / 4)


def _settled(config: RunConfig) -> RunConfig:
    """Return a run whose folder does not depend on where its process starts."""
    return replace(config, runs_dir=str(Path(config.runs_dir).absolute()))
