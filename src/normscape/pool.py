"""Several runs side by side, one process each, with progress shown by the process that started them."""

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing.queues import Queue
from queue import Empty
from threading import Thread
from typing import Any

from normscape.config import RunConfig
from normscape.execute import execute
from normscape.progress import ProgressDisplay, Reporter

_queue: "Queue[tuple[Any, ...] | None] | None" = None


@dataclass
class _Relay:
    """The reporter of a worker: hands everything to the parent."""

    queue: "Queue[tuple[Any, ...] | None]"
    every: int = 20

    def update(self, name: str, step: int, steps: int) -> None:
        if step % self.every == 0 or step == steps:
            self.queue.put((name, step, steps))

    def message(self, text: str) -> None:
        self.queue.put((text,))


def _start_worker(queue: "Queue[tuple[Any, ...] | None]") -> None:
    global _queue
    _queue = queue


def _work(config: RunConfig) -> None:
    assert _queue is not None
    execute(config, _Relay(_queue))


def default_workers(device_type: str) -> int:
    """Return how many runs go side by side: one per core, or one on a GPU."""
    if device_type == "cuda":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def execute_all(configs: Sequence[RunConfig], workers: int) -> dict[int, Exception]:
    """Bring several runs to their ends; return what went wrong, by position. One failing run does not stop the rest."""
    if min(workers, len(configs)) <= 1:
        return _execute_here(configs)
    context = multiprocessing.get_context("spawn")
    queue: Queue[tuple[Any, ...] | None] = context.Queue()
    failures: dict[int, Exception] = {}
    with ProgressDisplay() as display:
        listener = Thread(target=_listen, args=(queue, display), daemon=True)
        listener.start()
        pool = ProcessPoolExecutor(min(workers, len(configs)), context, _start_worker, (queue,))
        futures: dict[Future[None], int] = {pool.submit(_work, config): i for i, config in enumerate(configs)}
        try:
            for future in as_completed(futures):
                error = future.exception()
                if isinstance(error, Exception):
                    failures[futures[future]] = error
                elif error is not None:
                    raise error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            queue.put(None)
            listener.join()
    return failures


def _execute_here(configs: Sequence[RunConfig]) -> dict[int, Exception]:
    failures: dict[int, Exception] = {}
    with ProgressDisplay() as display:
        for position, config in enumerate(configs):
            try:
                execute(config, display)
            except Exception as error:
                failures[position] = error
    return failures


def _listen(queue: "Queue[tuple[Any, ...] | None]", reporter: Reporter) -> None:
    while True:
        try:
            item = queue.get(timeout=1.0)
        except Empty:
            continue
        if item is None:
            return
        if len(item) == 1:
            reporter.message(*item)
        else:
            reporter.update(*item)
