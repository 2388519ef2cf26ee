"""What a run costs beside the floor: its loop, checkpoints, tracker, and its probes at their cadence."""

import copy
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from bench.floor import floor
from bench.networks import Net
from bench.timing import Answer, Timed, Work, compared, in_turn
from normscape.checkpoint import Checkpoints
from normscape.config import RunConfig
from normscape.identity import identity
from normscape.loop import State, train
from normscape.probes.probe import Probe
from normscape.runs import RunDirectory
from normscape.trackers import RunInfo, WandbTracker

LOOP, CADENCE, FILES = 1.03, 1.08, 0.01
"""Targets: the loop and all probes of a run over the floor; tracker and checkpoints as a share of it."""

LOOP_QUESTION = "loop / floor, {} steps"

ROWS = 1000
"""How many rows of the tracker are timed at once."""


def loops(net: Net, steps: int, dense: int, rounds: int) -> Iterator[Answer]:
    """Compare the loop with the floor over so many steps, and what else a run does with both.

    What probes take is timed over ``dense`` steps of which they measure each.
    """
    own = net.fresh()
    loop, least = beside_the_floor(net, own, steps, rounds)
    yield compared(LOOP_QUESTION.format(steps), net.name, loop, least, target=LOOP, note="data, step, rows")
    step_seconds = least.median / steps
    yield from _files(net, own, step_seconds, rounds)
    yield cadence(net, (loop.median / steps, step_seconds), dense, rounds)


def beside_the_floor(net: Net, own: State, steps: int, rounds: int) -> list[Timed]:
    """Time so many steps of the loop, on a state, and of the floor."""
    apart, bare = net.fresh(), net.bare()
    return in_turn(
        rounds, lambda: _advance(net, own, steps), lambda: floor(bare, apart, apart.step + steps), clock=net.clock
    )


def _advance(net: Net, state: State, steps: int) -> None:
    until = state.step + steps
    train(net.bare(), state, lambda step, rows: step < until)


def _files(net: Net, state: State, step_seconds: float, rounds: int) -> Iterator[Answer]:
    """Give the time that checkpoints and the tracker take as shares of the floor's."""
    with tempfile.TemporaryDirectory() as folder:
        config = replace(net.config, runs_dir=folder)
        directory = RunDirectory.of(config)
        directory.path.mkdir(parents=True)
        checkpoints = Checkpoints(State(state.model, state.optimizer))
        (saved,) = in_turn(rounds, lambda: directory.save_checkpoint(checkpoints))
        every = config.checkpoint_seconds
        note = f"one takes {1e3 * saved.median:.1f} ms"
        yield _share(f"checkpoints, one in {every:g} s / floor", net, saved.median, every, note)
        begun, logged = in_turn(2, lambda: _mirrored(config, folder, 0), lambda: _mirrored(config, folder, ROWS))
        row, span = (logged.median - begun.median) / ROWS, config.log_every * step_seconds
        note = f"one takes {1e3 * row:.2f} ms of this process"
        yield _share(f"offline tracker, a row each {config.log_every} steps / floor", net, row, span, note)


def _mirrored(config: RunConfig, folder: str, rows: int) -> None:
    """Mirror a run with so many rows offline, from its start to its finish."""
    tracker = WandbTracker(mode="offline")
    tracker.start(RunInfo(identity(config), "bench", "bench", "train", (), {}, Path(folder)))
    for step in range(rows):
        tracker.log(step, {"train_loss": 1.0, "train_accuracy": 0.5})
    tracker.finish(0)


def _share(question: str, net: Net, seconds: float, of_seconds: float, note: str) -> Answer:
    return Answer(
        question, net.name, 1e3 * seconds, 1e3 * of_seconds, "ms", seconds / of_seconds, None, None, FILES, note
    )


def cadence(net: Net, seconds: tuple[float, float], dense: int, rounds: int) -> Answer:
    """Put together what a run with probes costs from what they take when they measure, and how often they do."""
    loop_seconds, step_seconds = seconds
    cadences = sorted({probe.every for probe in net.plan.probes})
    sets = [[p for p in net.plan.probes if p.every <= every] for every in (0, *cadences)]
    works = [_dense(net, probes, dense) for probes in sets]
    taken = [timed.median / dense for timed in in_turn(rounds, *works, clock=net.clock)]
    extra = [now - before for before, now in pairwise(taken)]
    per_step = loop_seconds + sum(cost / every for cost, every in zip(extra, cadences, strict=True))
    parts = ", ".join(f"{cost / step_seconds:.1f} each {every}" for cost, every in zip(extra, cadences, strict=True))
    question, note = "loop with all probes at their cadence / floor, a step", f"put together: probes, in steps, {parts}"
    return Answer(
        question, net.name, 1e3 * per_step, 1e3 * step_seconds, "ms", per_step / step_seconds, None, None, CADENCE, note
    )


def _dense(net: Net, probes: Sequence[Probe], steps: int) -> Work:
    """Return so many steps of the loop, each of which these probes measure."""
    state, always = net.fresh(), [copy.copy(probe) for probe in probes]
    for probe in always:
        probe.every = 1
    plan = replace(net.plan, probes=always)

    def work() -> None:
        until = state.step + steps
        train(plan, state, lambda step, rows: step < until)

    return work
