"""Progress of one or several runs: bars on a terminal, a line now and then elsewhere."""

import sys
import time
from typing import TYPE_CHECKING, Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

if TYPE_CHECKING:
    from normscape.config import RunConfig

LINE_SECONDS = 30.0


class Reporter(Protocol):
    """Receives the progress that runs report."""

    def update(self, name: str, step: int, steps: int, quiet: bool = False) -> None:
        """Run ``name`` has done ``step`` of ``steps``; quiet if another run's progress, shown, is its too."""

    def message(self, text: str) -> None:
        """Show one line."""


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f} steps/s" if task.speed else "")


class _Console(Console):
    """Falls silent when nobody listens any more, rather than end a process that trains."""

    def on_broken_pipe(self) -> None:
        self.quiet = True


class ProgressDisplay:
    """Shows progress on standard error; use as a context manager."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or _Console(file=sys.stderr)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Speed(), TimeRemainingColumn())
        self._bars = Progress(*columns)
        self._all = Progress(
            TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(elapsed_when_finished=True)
        )
        self._total: TaskID | None = None
        self._live = Live(Group(self._bars, self._all), console=self._console, transient=True)
        self._tasks: dict[str, TaskID] = {}
        self._began: dict[str, tuple[float, int]] = {}
        self._spoke: dict[str, float] = {}

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def update(self, name: str, step: int, steps: int, quiet: bool = False) -> None:
        """Run ``name`` has done ``step`` of ``steps``; a quiet one is not shown."""
        if quiet:
            return
        if self._console.is_terminal:
            if name not in self._tasks:
                self._tasks[name] = self._bars.add_task(name, total=steps, completed=step)
            self._bars.update(self._tasks[name], completed=step, visible=step < steps)
            return
        now = time.monotonic()
        began, first = self._began.setdefault(name, (now, step))
        if now - self._spoke.setdefault(name, began) >= LINE_SECONDS:
            self._spoke[name] = now
            speed = (step - first) / (now - began)
            left = (steps - step) / speed if speed > 0 else float("inf")
            self.message(f"{name}: step {step} of {steps}, {speed:.1f} steps/s, {duration(left)} left")

    def total(self, words: str, done: float, whole: float) -> None:
        """Show below the runs how far all of them are, on a terminal."""
        if self._console.is_terminal:
            if self._total is None:
                self._total = self._all.add_task(words, total=whole)
            self._all.update(self._total, completed=done, description=words)

    def ended(self, config: "RunConfig", failure: str | None) -> None:
        """Take note that a run has ended; say so at once if it failed."""
        if failure:
            self.message(failure)

    def message(self, text: str) -> None:
        """Show one line."""
        self._console.print(text, highlight=False, soft_wrap=True, markup=False)


def duration(seconds: float) -> str:
    """Return a duration for people, e.g. ``45 s``, ``3 min``, ``1 h 20 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds == float("inf"):
        return "unknown time"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
