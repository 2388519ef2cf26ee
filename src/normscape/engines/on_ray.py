"""Runs on Ray: on the GPUs and cores of one machine, or on a cluster."""

import os
import signal
from collections.abc import Mapping, Sequence
from threading import current_thread, main_thread
from typing import Any

from normscape.config import RunConfig
from normscape.engines.elsewhere import ElsewhereEngine
from normscape.engines.requirements import gpus_of, require_number, require_package
from normscape.engines.task import Ended, Task
from normscape.engines.worker import failure
from normscape.errors import UserError, first_line

SETTINGS = {
    "RAY_AUTH_MODE": "disabled",  # it would write to the home folder
    "RAY_raylet_start_wait_time_s": "300",  # half a minute is not enough on a machine that is busy
}
"""Variables that Ray reads when it starts."""


def _carry_out(task: Task) -> Ended:
    return task()


class RayEngine(ElsewhereEngine):
    """Hands each run to Ray as a task.

    Parameters
    ----------
    gpus_per_run, cpus_per_run
        What each run gets, whole or a part; without GPUs given, one for a run that may use it, if there is one.
    address
        Of a running cluster; None starts Ray on this machine, and ends it afterwards.
    init
        Further arguments of ``ray.init``.
    """

    def __init__(
        self,
        gpus_per_run: float | None = None,
        cpus_per_run: float = 1,
        address: str | None = None,
        init: Mapping[str, Any] | None = None,
    ) -> None:
        require_package("ray", "hydra/launcher=ray", "ray")
        if gpus_per_run is not None:
            require_number("gpus_per_run", gpus_per_run, 0)
        require_number("cpus_per_run", cpus_per_run, 0)
        self._gpus, self._cpus, self._address, self._init = gpus_per_run, cpus_per_run, address, dict(init or {})
        self._there: Mapping[str, float] | None = None

    def require(self, configs: Sequence[RunConfig]) -> None:
        """Start Ray, or find it, and compare what it has with what the runs ask for: it would wait for ever."""
        there = self._resources()
        for config in configs:
            gpus_of(config, self._gpus, there.get("GPU", 0), "this Ray")
        if self._cpus > (cores := there.get("CPU", 0)):
            raise UserError(f"hydra.launcher.cpus_per_run={self._cpus:g}: this Ray has {cores:g} CPUs; expected fewer")

    def described(self, configs: Sequence[RunConfig]) -> str:
        """Return how many go side by side on Ray."""
        there = self._resources()
        gpus = [gpus_of(config, self._gpus, there.get("GPU", 0), "this Ray") for config in configs]
        limits = [there.get("CPU", 0) / self._cpus if self._cpus else len(configs)]
        if all(gpus):
            limits.append(there.get("GPU", 0) / max(gpus))
        runs = min(len(configs), *map(int, limits))
        return f"{runs:g} at a time on Ray"

    def submit(self, tasks: Sequence[Task]) -> Sequence[Any]:
        """Hand tasks over."""
        import ray

        there = self._resources()
        handles = []
        for task in tasks:
            gpus = gpus_of(task.config, self._gpus, there.get("GPU", 0), "this Ray")
            remote = ray.remote(_carry_out).options(num_gpus=gpus, num_cpus=self._cpus, max_retries=0)
            handles.append((task, remote.remote(task)))
        return handles

    def ended(self, handle: tuple[Task, Any]) -> Ended | None:
        """Return how a task ended, None if it has not yet."""
        import ray

        task, reference = handle
        if not ray.wait([reference], timeout=0)[0]:
            return None
        try:
            outcome: Ended = ray.get(reference)
        except ray.exceptions.TaskCancelledError:
            return Ended(None, stopped=True)
        except ray.exceptions.RayError as error:
            reason = first_line(error)
            return Ended(failure(task.config, UserError(f"its process on Ray died ({type(error).__name__}: {reason})")))
        return outcome

    def withdraw(self, handle: tuple[Task, Any]) -> bool:
        """Take nothing back: a run that is begun with the stop file there ends at once."""
        return False

    def close(self) -> None:
        """End Ray on this machine, or let go of a cluster."""
        import ray

        ray.shutdown()
        self._there = None

    def _resources(self) -> Mapping[str, float]:
        if self._there is None:
            for name, value in SETTINGS.items():
                os.environ.setdefault(name, value)
            import ray

            before = signal.getsignal(signal.SIGTERM)
            try:
                ray.init(
                    address=self._address or "local",
                    **{"include_dashboard": False, "log_to_driver": False, "logging_level": "error", **self._init},
                )
            except Exception as error:  # of a start that takes too long, Ray raises just this
                reason = first_line(error)
                raise UserError(f"hydra/launcher=ray: Ray cannot be used: {reason}") from error
            except SystemExit:  # Ray's answer to SIGTERM
                raise KeyboardInterrupt from None
            finally:
                if current_thread() is main_thread():
                    signal.signal(signal.SIGTERM, before)
            self._there = ray.cluster_resources()
        return self._there
