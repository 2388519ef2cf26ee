"""Runs on this machine, one process each or all in this one."""

from collections.abc import Sequence

from normscape.build import device_of
from normscape.config import RunConfig
from normscape.engines.lanes import in_words, lane_seconds, side_by_side
from normscape.engines.pool import execute_all
from normscape.engines.requirements import require_number
from normscape.errors import UserError
from normscape.forward import require_tf32
from normscape.overview.estimate import estimate_seconds
from normscape.overview.tally import Tally


class LocalEngine:
    """Carries out runs on this machine.

    Parameters
    ----------
    runs_at_once
        How many go side by side on each device; 0 for as many as suit it.
    """

    local = True

    def __init__(self, runs_at_once: int = 0) -> None:
        require_number("runs_at_once", runs_at_once, 0, whole=True)
        self._runs_at_once = runs_at_once

    def require(self, configs: Sequence[RunConfig]) -> None:
        """Raise `UserError` if a device lacks what a run asks for; that it is there has been checked with each run."""
        for config in configs:
            require_tf32(config, device_of(config))

    def described(self, configs: Sequence[RunConfig]) -> str:
        """Return how many go side by side."""
        return f"{in_words(side_by_side(configs, self._runs_at_once))} at a time"

    def seconds(self, configs: Sequence[RunConfig]) -> tuple[float, Sequence[float]] | None:
        """Return how long runs will take, from timing a few steps of each kind."""
        seconds = estimate_seconds(configs)
        if seconds is None:
            return None
        return lane_seconds(configs, seconds, side_by_side(configs, self._runs_at_once)), seconds

    def run(self, configs: Sequence[RunConfig], tally: Tally) -> list[str]:
        """Carry out runs."""
        return execute_all(configs, side_by_side(configs, self._runs_at_once), display=tally)


class Joblib(LocalEngine):
    """The same by the name and the setting of Hydra's launcher of that name, which it replaces.

    Parameters
    ----------
    n_jobs
        How many go side by side on each device; -1 for as many as suit it.
    """

    def __init__(self, n_jobs: int = -1) -> None:
        if type(n_jobs) is not int or (n_jobs < 1 and n_jobs != -1):
            expected = "expected a whole number, 1 or more, or -1 for as many as suit the machine"
            raise UserError(f"hydra.launcher.n_jobs={n_jobs}: {expected}")
        super().__init__(max(0, n_jobs))
