"""Several runs side by side, one process each, with progress shown by the process that started them."""

import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, cast

from normscape.build import device_of
from normscape.config import RunConfig
from normscape.engines.worker import Job, Outcome, Worker, outcomes
from normscape.errors import Interrupted, TakenError
from normscape.overview.progress import ProgressDisplay
from normscape.process.interrupts import raised
from normscape.process.surroundings import usable_cores
from normscape.reduced.groups import groups
from normscape.runs import RunDirectory

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

STOPPED = "stopped; what was trained is saved; start again to continue"


def default_workers(device_type: str) -> int:
    """Return how many runs go side by side: one per core, or one on a GPU."""
    if device_type == "cuda":
        return 1
    return usable_cores()


def execute_all(
    configs: Sequence[RunConfig],
    workers: Mapping[str, int],
    until: float = math.inf,
    least_seconds: Callable[[RunConfig], float] = lambda config: 0.0,
    display: ProgressDisplay | None = None,
) -> list[str]:
    """Carry out several runs; return a line for each that failed. One failing run does not stop the rest.

    A run that another process trains comes after those that are free. Runs that can be trained as one are.

    Parameters
    ----------
    configs
        The runs, in the order in which they are begun.
    workers
        How many go side by side on each type of device.
    until
        When what is being trained is stopped and saved, by `time.time`.
    least_seconds
        What a run must have left until then to be begun.
    display
        Where progress is shown, and what failed as soon as it has.

    Raises
    ------
    Interrupted
        If runs were stopped, by a signal or because it is time; they are saved.
    """
    lanes: dict[str, deque[Job]] = {}
    for job in groups(configs):
        lanes.setdefault(device_of(configs[job[0]]).type, deque()).append(job)
    turns = [lane for device, lane in lanes.items() for _ in range(min(workers[device], len(lane)))]
    with display or ProgressDisplay() as shown, raised():
        if len(turns) <= 1:
            return _lines(_execute_here(configs, until, least_seconds, shown))
        crew: list[Worker] = []
        try:
            crew += [Worker(lane, shown) for lane in turns]
            return _lines(_alternate(crew, configs, until, least_seconds, shown))
        except KeyboardInterrupt:
            raise Interrupted(STOPPED) from None
        finally:
            for worker in crew:
                worker.end()
            for worker in crew:
                worker.join()


def _lines(failures: Mapping[int, str]) -> list[str]:
    return [failures[position] for position in sorted(failures)]


def take_free(lane: deque[Job], configs: Sequence[RunConfig]) -> tuple[Job, bool]:
    """Take the first runs that no other process trains; if each is taken, the first of all, which is to be waited for.

    Of runs that are trained as one, those that are taken go to the end of the lane.
    """
    for job in lane:
        taken = [position for position in job if RunDirectory.of(configs[position]).taken]
        if len(taken) < len(job):
            lane.remove(job)
            if taken:
                lane.append(taken)
            return [position for position in job if position not in taken], False
    return lane.popleft(), True


def _note(
    ended: Mapping[int, Outcome],
    configs: Sequence[RunConfig],
    lane: deque[Job],
    failures: dict[int, str],
    display: ProgressDisplay,
) -> None:
    """Note how runs ended. Those that another process has meanwhile go back to the end of the lane."""
    taken: Job = []
    for position, said in ended.items():
        if isinstance(said, Interrupted):  # by a signal that reached a worker alone
            raise said
        if isinstance(said, TakenError):
            taken.append(position)
            continue
        if said:
            failures[position] = said
        display.ended(configs[position], said)
    if taken:
        lane.append(taken)


def _alternate(
    crew: Sequence[Worker],
    configs: Sequence[RunConfig],
    until: float,
    least_seconds: Callable[[RunConfig], float],
    display: ProgressDisplay,
) -> dict[int, str]:
    """Give each worker a run when it has none; return what failed, by position. It raises Interrupted to stop all."""
    failures: dict[int, str] = {}
    while True:
        for worker in crew:
            while worker.lane and not worker.busy:
                job, waiting = take_free(worker.lane, configs)
                job = [p for p in job if time.time() + least_seconds(configs[p]) <= until]
                if job:
                    worker.begin(job, [configs[position] for position in job], waiting)
        busy = {worker.pipe: worker for worker in crew if worker.busy}
        if not busy:
            return failures
        ready = wait(list(busy), None if until == math.inf else max(0.0, until - time.time()))
        if time.time() >= until:
            raise Interrupted
        for pipe in ready:
            worker = busy[cast("Connection", pipe)]
            _note(worker.hear(), configs, worker.lane, failures, display)


def _execute_here(
    configs: Sequence[RunConfig], until: float, least_seconds: Callable[[RunConfig], float], display: ProgressDisplay
) -> dict[int, str]:
    failures: dict[int, str] = {}
    lane = deque(groups(configs))
    while lane:
        job, waiting = take_free(lane, configs)
        job = [p for p in job if time.time() + least_seconds(configs[p]) <= until]
        if job:
            ended = outcomes(job, configs, display, lambda: time.time() >= until, waiting)
            _note(ended, configs, lane, failures, display)
    return failures
