"""How far many runs are: ``3 of 12``, and the time that is left."""

import time
from collections.abc import Sequence

from rich.console import Console

from normscape.config import RunConfig
from normscape.identity import identity
from normscape.overview.progress import ProgressDisplay, duration


class Tally(ProgressDisplay):
    """Shows the progress of each run and of all of them.

    Parameters
    ----------
    configs
        The runs.
    begun
        The step from which each continues.
    seconds
        About how long each will take; None or zeros if that is not known: all steps count the same then.

    Attributes
    ----------
    failures
        A line for each run that has failed, by its identity.
    """

    def __init__(
        self,
        configs: Sequence[RunConfig],
        begun: Sequence[int],
        seconds: Sequence[float] | None = None,
        console: Console | None = None,
    ) -> None:
        super().__init__(console)
        rest = [max(1, config.steps - step) for config, step in zip(configs, begun, strict=True)]
        weights = seconds if seconds and any(seconds) else rest
        self._weights = {
            config.label: (step, config.steps, weight)
            for config, step, weight in zip(configs, begun, weights, strict=True)
        }
        self._done = dict.fromkeys(self._weights, 0.0)
        self._runs, self._ended = len(configs), 0
        self.failures: dict[str, str] = {}
        self._start = time.monotonic()

    def update(self, name: str, step: int, steps: int, quiet: bool = False) -> None:
        """Run ``name`` has done ``step`` of ``steps``; a quiet one counts, and is not shown."""
        if name in self._weights:
            first, last, weight = self._weights[name]
            self._done[name] = weight * max(0, step - first) / max(1, last - first)
        super().update(name, step, steps, quiet)
        self.total(f"{self._ended} of {self._runs} runs", sum(self._done.values()), self._whole)

    def ended(self, config: RunConfig, failure: str | None) -> None:
        """Say that a run has ended, at once if it failed, and how far all are."""
        super().ended(config, failure)
        self._ended += 1
        first, last, weight = self._weights[config.label]
        if failure:
            self.failures[identity(config)] = failure
            self._weights[config.label] = first, last, self._done[config.label]  # the rest of it will not be done
        else:
            self._done[config.label] = weight
        failed = f", {len(self.failures)} failed" if self.failures else ""
        left = f", {duration(self.seconds_left)} left" if self._ended < self._runs else ""
        if self._runs > 1:
            self.message(f"{self._ended} of {self._runs} runs have ended{failed}{left}")

    @property
    def _whole(self) -> float:
        return sum(weight for _, _, weight in self._weights.values())

    @property
    def seconds_left(self) -> float:
        """About how long the rest will take at the speed so far; infinite if there is none yet."""
        done = sum(self._done.values())
        return (time.monotonic() - self._start) * (self._whole - done) / done if done else float("inf")
