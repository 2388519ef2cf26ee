"""Several runs side by side, one process each, with progress shown by the process that started them."""

import math
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import wait
from threading import current_thread, main_thread
from typing import TYPE_CHECKING, cast

from normscape.build import device_of
from normscape.config import RunConfig
from normscape.errors import Interrupted
from normscape.execute import execute
from normscape.progress import ProgressDisplay
from normscape.worker import Worker, failure

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

STOPPED = "stopped; what was trained is saved; start again to continue"


def default_workers(device_type: str) -> int:
    """Return how many runs go side by side: one per core, or one on a GPU."""
    if device_type == "cuda":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def execute_all(
    configs: Sequence[RunConfig],
    workers: Mapping[str, int],
    until: float = math.inf,
    least_seconds: Callable[[RunConfig], float] = lambda config: 0.0,
) -> list[str]:
    """Carry out several runs; return a line for each that failed. One failing run does not stop the rest.

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

    Raises
    ------
    Interrupted
        If runs were stopped, by a signal or because it is time; they are saved.
    """
    lanes: dict[str, deque[int]] = {}
    for position, config in enumerate(configs):
        lanes.setdefault(device_of(config).type, deque()).append(position)
    turns = [lane for device, lane in lanes.items() for _ in range(min(workers[device], len(lane)))]
    if len(turns) <= 1:
        return _execute_here(configs, until, least_seconds)
    with ProgressDisplay() as display, _terminated_like_interrupted():
        crew = [Worker(lane, display) for lane in turns]
        try:
            failures = _alternate(crew, configs, until, least_seconds)
        except KeyboardInterrupt:
            raise Interrupted(STOPPED) from None
        finally:
            for worker in crew:
                worker.end()
            for worker in crew:
                worker.join()
    return [failures[position] for position in sorted(failures)]


def _alternate(
    crew: Sequence[Worker], configs: Sequence[RunConfig], until: float, least_seconds: Callable[[RunConfig], float]
) -> dict[int, str]:
    """Give each worker a run when it has none; return what failed, by position. It raises Interrupted to stop all."""
    failures: dict[int, str] = {}
    while True:
        for worker in crew:
            while worker.lane and not worker.busy:
                position = worker.lane.popleft()
                if time.time() + least_seconds(configs[position]) <= until:
                    worker.begin(position, configs[position])
        busy = {worker.pipe: worker for worker in crew if worker.busy}
        if not busy:
            return failures
        ready = wait(list(busy), None if until == math.inf else max(0.0, until - time.time()))
        if time.time() >= until:
            raise Interrupted
        for pipe in ready:
            position, said = busy[cast("Connection", pipe)].hear()
            if isinstance(said, Interrupted):  # by a signal that reached the worker alone
                raise said
            if said:
                failures[position] = said


def _execute_here(configs: Sequence[RunConfig], until: float, least_seconds: Callable[[RunConfig], float]) -> list[str]:
    failures: list[str] = []
    with ProgressDisplay() as display, _terminated_like_interrupted():
        for config in configs:
            if time.time() + least_seconds(config) > until:
                continue
            try:
                execute(config, display, lambda: time.time() >= until)
            except Exception as error:
                failures.append(failure(config, error))
    return failures


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Let SIGTERM raise KeyboardInterrupt in the block, as SIGINT does, where this thread may decide it."""
    if current_thread() is not main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
