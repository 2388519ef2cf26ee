"""Several runs side by side, one process each, with progress shown by the process that started them."""

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from queue import Empty
from threading import Thread
from typing import Any

from normscape.config import RunConfig
from normscape.errors import UserError
from normscape.execute import Interrupted, execute
from normscape.progress import ProgressDisplay, Reporter

_queue: "Queue[tuple[Any, ...] | None] | None" = None
_stopped: Event | None = None

STOPPED = "stopped; what was trained is saved; start again to continue"


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


def _start_worker(queue: "Queue[tuple[Any, ...] | None]", stopped: Event) -> None:
    global _queue, _stopped
    _queue, _stopped = queue, stopped


def failure(config: RunConfig, error: Exception) -> str:
    """Return what went wrong with a run as one line; for a bug, the line also says where the traceback is."""
    reason = " ".join(str(error).split())
    if not isinstance(error, UserError):
        reason = f"{type(error).__name__}: {reason} (traceback: failure.txt in the run's directory)"
    return f"{config.name} seed {config.seed}: {reason}"


def _work(config: RunConfig) -> str | None:
    assert _queue is not None
    assert _stopped is not None
    if _stopped.is_set():  # a run that the pool had handed out before all were asked to stop
        return None
    try:
        execute(config, _Relay(_queue))
    except Interrupted:
        _stopped.set()
    except Exception as error:  # as text, since not every exception can be passed to another process
        return failure(config, error)
    return None


def default_workers(device_type: str) -> int:
    """Return how many runs go side by side: one per core, or one on a GPU."""
    if device_type == "cuda":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def execute_all(configs: Sequence[RunConfig], workers: int) -> list[str]:
    """Carry out several runs; return a line for each that failed. One failing run does not stop the rest."""
    if min(workers, len(configs)) <= 1:
        return _execute_here(configs)
    context = multiprocessing.get_context("spawn")
    queue: Queue[tuple[Any, ...] | None] = context.Queue()
    stopped = context.Event()
    failures: dict[int, str] = {}
    with ProgressDisplay() as display:
        listener = Thread(target=_listen, args=(queue, display), daemon=True)
        listener.start()
        pool = ProcessPoolExecutor(min(workers, len(configs)), context, _start_worker, (queue, stopped))
        futures: dict[Future[str | None], int] = {pool.submit(_work, config): i for i, config in enumerate(configs)}
        try:
            for future in as_completed(futures):
                position = futures[future]
                try:
                    line = future.result()
                except Exception as error:  # the worker itself died
                    line = failure(configs[position], UserError(f"its process died; {error}"))
                if line:
                    failures[position] = line
        except KeyboardInterrupt:
            stopped.set()
            raise Interrupted(STOPPED) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            queue.put(None)
            listener.join()
    if stopped.is_set():  # the signal reached only the workers
        raise Interrupted(STOPPED)
    return [failures[position] for position in sorted(failures)]


def _execute_here(configs: Sequence[RunConfig]) -> list[str]:
    failures: list[str] = []
    with ProgressDisplay() as display:
        for config in configs:
            try:
                execute(config, display)
            except Exception as error:
                failures.append(failure(config, error))
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
