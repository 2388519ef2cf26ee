"""Time pieces of work in turn, A B A B, in the processor's time: what else the machine does falls on all alike."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

Work = Callable[[], object]
Clock = Callable[[], float]
"""Seconds since some moment."""


def gpu_clock() -> float:
    """Return the clock's seconds once a GPU has done what it was given: what the processor does meanwhile is hidden."""
    torch.cuda.synchronize()
    return time.perf_counter()


def clock_of(device: torch.device) -> Clock:
    """Return what work on a device is timed by."""
    return gpu_clock if device.type == "cuda" else time.process_time


@dataclass(frozen=True)
class Timed:
    """The seconds of one piece of work, once for each round."""

    seconds: Sequence[float]

    @property
    def median(self) -> float:
        """Of the rounds."""
        return statistics.median(self.seconds)


@dataclass(frozen=True)
class Answer:
    """One row of the benchmark.

    Attributes
    ----------
    question, net
        What is compared, and on which network.
    ours, base
        Both sides in the unit; ``base`` is None where a limit in the unit itself is all that there is.
    unit
        Of both: ``ms``, ``s``, ``MB`` or ``GFLOP/s``.
    ratio, lowest, highest
        Ours over the base, and its range over the rounds.
    target
        The highest ratio (without a base: the highest value) that is wanted; None where there is none.
    note
        What one has to know to read the row.
    """

    question: str
    net: str
    ours: float
    base: float | None
    unit: str
    ratio: float | None = None
    lowest: float | None = None
    highest: float | None = None
    target: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.target is None:
            return None
        return (self.ours if self.ratio is None else self.ratio) <= self.target


def in_turn(rounds: int, *works: Work, clock: Clock = time.process_time) -> list[Timed]:
    """Return how long pieces of work take, done one after another, round after round; a first round does not count."""
    seconds: list[list[float]] = [[] for _ in works]
    for number in range(rounds + 1):
        for work, taken in zip(works, seconds, strict=True):
            begin = clock()
            work()
            if number:
                taken.append(clock() - begin)
    return [Timed(taken) for taken in seconds]


def compared(
    question: str,
    net: str,
    ours: Timed,
    base: Timed,
    *,
    times: float = 1.0,
    target: float | None = None,
    note: str = "",
) -> Answer:
    """Return the ratio of medians of ours over so many times the base, and the range of the rounds' own ratios."""
    ratios = [a / (times * b) for a, b in zip(ours.seconds, base.seconds, strict=True)]
    ratio = ours.median / (times * base.median)
    return Answer(
        question,
        net,
        1e3 * ours.median,
        1e3 * times * base.median,
        "ms",
        ratio,
        min(ratios),
        max(ratios),
        target,
        note,
    )
