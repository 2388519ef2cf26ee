"""Runs on SLURM, through submitit: jobs of an array, which are requeued and go on when their machine is taken back."""

import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from normscape.config import RunConfig
from normscape.engines.elsewhere import ElsewhereEngine
from normscape.engines.requirements import gpus_of, require_number, require_package
from normscape.engines.task import Ended, Task
from normscape.engines.worker import failure
from normscape.errors import UserError

LOOK_SECONDS = 5.0
"""How often SLURM is asked which jobs it has."""

GONE_SECONDS = 30.0
"""A job that SLURM has not had for so long, and that has left no result, is lost: a shared disk may lag behind."""


class SlurmTask:
    """A task whose requeued job is the same task: its run goes on from what it has saved."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def __call__(self) -> Ended:
        """Carry out the run."""
        return self._task()

    def checkpoint(self) -> Any:
        """Return what a requeued job carries out; submitit asks when it requeues one."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


@dataclass
class _Job:
    task: Task
    job: Any
    seen: float


class SlurmEngine(ElsewhereEngine):
    """Hands each run to SLURM as a job.

    Parameters
    ----------
    partition
        Of the cluster; None for its default.
    gpus_per_run, cpus_per_run, memory_gb, minutes
        What each job gets; without GPUs given, one for a run that may use it, where the partition has one.
    requeues
        How often a job that has run out of time is requeued.
    runs_at_once
        How many jobs SLURM may run side by side.
    setup
        Lines of shell before each run.
    options
        Further options of sbatch.
    """

    def __init__(
        self,
        partition: str | None = None,
        gpus_per_run: int | None = None,
        cpus_per_run: int = 1,
        memory_gb: float = 8,
        minutes: int = 1440,
        requeues: int = 100,
        runs_at_once: int = 64,
        setup: Sequence[str] = (),
        options: Mapping[str, Any] | None = None,
    ) -> None:
        require_package("submitit", "hydra/launcher=slurm", "slurm")
        if gpus_per_run is not None:
            require_number("gpus_per_run", gpus_per_run, 0, whole=True)
        for name, value in (("cpus_per_run", cpus_per_run), ("minutes", minutes), ("runs_at_once", runs_at_once)):
            require_number(name, value, 1, whole=True)
        require_number("memory_gb", memory_gb, 0)
        require_number("requeues", requeues, 0, whole=True)
        self._partition, self._gpus, self._cpus, self._memory = partition, gpus_per_run, cpus_per_run, memory_gb
        self._minutes, self._requeues, self._at_once = minutes, requeues, runs_at_once
        self._setup, self._options = list(setup), dict(options or {})
        self._queue: tuple[float, set[str]] = (0.0, set())

    def require(self, configs: Sequence[RunConfig]) -> None:
        """Raise `UserError` where there is no SLURM, or no GPU for runs that ask for one."""
        if shutil.which("sbatch") is None or shutil.which("srun") is None:
            raise UserError("hydra/launcher=slurm: there is no sbatch here; expected a machine that submits to SLURM")
        there = self._gpus_there()
        for config in configs:
            gpus_of(config, self._gpus, there, self._where)

    def described(self, configs: Sequence[RunConfig]) -> str:
        """Return where they go."""
        return f"{min(len(configs), self._at_once)} at a time on SLURM"

    def submit(self, tasks: Sequence[Task]) -> Sequence[Any]:
        """Submit tasks as arrays, one for those with as many GPUs."""
        there = self._gpus_there()
        gpus = [int(gpus_of(task.config, self._gpus, there, self._where)) for task in tasks]
        jobs: dict[int, Any] = {}
        for count in sorted(set(gpus)):
            positions = [position for position, own in enumerate(gpus) if own == count]
            submitted = self._submit([tasks[position] for position in positions], count)
            jobs.update(zip(positions, submitted, strict=True))
        now = time.monotonic()
        return [_Job(task, jobs[position], now) for position, task in enumerate(tasks)]

    def _submit(self, tasks: Sequence[Task], gpus: int) -> Sequence[Any]:
        import submitit

        folder = Path(tasks[0].config.runs_dir) / ".slurm"
        executor = submitit.SlurmExecutor(folder=folder / "%j", max_num_timeout=self._requeues)
        settings = {"partition": self._partition, "gpus_per_node": gpus or None}
        try:
            executor.update_parameters(
                job_name="normscape",
                cpus_per_task=self._cpus,
                time=self._minutes,
                mem=f"{self._memory:g}GB",
                array_parallelism=self._at_once,
                setup=self._setup,
                additional_parameters=self._options,
                stderr_to_stdout=True,
                **{name: value for name, value in settings.items() if value is not None},
            )
            jobs: Sequence[Any] = executor.submit_array([SlurmTask(task) for task in tasks])
        except (submitit.core.utils.FailedJobError, subprocess.SubprocessError) as error:
            raise UserError(f"hydra/launcher=slurm: sbatch refuses it: {' '.join(str(error).split())}") from error
        return jobs

    def ended(self, handle: _Job) -> Ended | None:
        """Return how a job ended, None if SLURM still has it."""
        result = handle.job.paths.result_pickle
        if result.exists():
            outcome = self._read(handle)[1]
            if isinstance(outcome, Ended):
                return outcome
            reason = next(reversed(outcome.strip().splitlines()), "no reason")
            return Ended(failure(handle.task.config, UserError(f"{reason} (log: {handle.job.paths.stdout})")))
        if handle.job.job_id in self._queued():
            handle.seen = time.monotonic()
        if time.monotonic() - handle.seen < GONE_SECONDS:
            return None
        reason = f"its job {handle.job.job_id} has left SLURM without a result (log: {handle.job.paths.stdout})"
        return Ended(failure(handle.task.config, UserError(reason)))

    def withdraw(self, handle: _Job) -> bool:
        """Cancel a job that waits for its turn."""
        if self._state(handle) == "PENDING":
            handle.job.cancel()
            return True
        return False

    @property
    def _where(self) -> str:
        return f"SLURM's partition {self._partition}" if self._partition else "SLURM"

    def _gpus_there(self) -> float:
        """Return how many GPUs the best node of the partition has."""
        asked = ["-p", self._partition] if self._partition else []
        told = _output("sinfo", "--noheader", "-o", "%G", *asked).replace(",", " ").split()
        counts = [name.split("(")[0].rpartition(":")[2] for name in told if name.startswith("gpu")]
        return max((int(count) if count.isdigit() else 1 for count in counts), default=0)

    def _queued(self) -> set[str]:
        asked, jobs = self._queue
        if time.monotonic() - asked >= LOOK_SECONDS:
            jobs = set(_output("squeue", "--noheader", "--array", "--me", "-o", "%i").split())
            self._queue = time.monotonic(), jobs
        return jobs

    def _state(self, handle: _Job) -> str:
        return _output("squeue", "--noheader", "--array", "-j", handle.job.job_id, "-o", "%T").strip()

    def _read(self, handle: _Job) -> tuple[str, Any]:
        from submitit.core.utils import pickle_load

        loaded: tuple[str, Any] = pickle_load(handle.job.paths.result_pickle)
        return loaded


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
