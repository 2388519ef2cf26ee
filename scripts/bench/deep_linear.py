"""The deep linear nets of the figures: run after run on all samples, beside all seeds of a norm as one, reduced."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from bench.measures import SHIFT
from bench.naive import Naive
from bench.networks import ALONE, Net
from bench.timing import Answer, Timed, compared, in_turn
from normscape.build import build, device_of
from normscape.config import RunConfig, compose_run
from normscape.loop import train
from normscape.network import network_of
from normscape.probes import InternalCovariateShift
from normscape.reduced.batch import ReducedBatch
from normscape.reduced.groups import groups
from normscape.reduced.loop import Run, train_together
from normscape.reduced.measure import Lane, StackedStep, measured
from normscape.reduced.network import StackedNetwork
from normscape.storage.records import Records

RUNS = ("standard", "standard_lr1e-7", "batch", "batch_lr1e-7", "l1", "l2", "linf")
FIFTH = 0.2
"""Target: all as one over run after run."""


class Runs:
    """Runs of deep linear nets, built, to be trained together or one after another from step 1 of their plans.

    They begin at step 1, so that in so many times the cadence of their probes these measure so many times.
    """

    def __init__(self, configs: Sequence[RunConfig]) -> None:
        self._configs = configs
        self._made = [build(config, device_of(config)) for config in configs]
        self._kept = [made.state.model.state_dict() for made in self._made]
        self._kept = [{name: tensor.clone() for name, tensor in kept.items()} for kept in self._kept]

    def _begun(self, steps: int) -> list[Run]:
        runs = []
        for made, kept in zip(self._made, self._kept, strict=True):
            made.state.model.load_state_dict(kept)
            made.state.step, made.state.diverged_at = 1, None
            made.state.records = Records()
            runs.append(Run(replace(made.plan, steps=1 + steps, self_check=False), made.state, lambda step, rows: True))
        return runs

    def one_by_one(self, steps: int) -> None:
        """Train each by itself, on all samples."""
        for run in self._begun(steps):
            train(run.plan, run.state, run.on_step)

    def as_one(self, steps: int) -> None:
        """Train all that can be trained together so, on reduced batches."""
        runs = self._begun(steps)
        for positions in groups(self._configs):
            train_together([runs[position] for position in positions])


def configs(seeds: int, *overrides: str) -> list[RunConfig]:
    """Return the configs of the seven runs for so many seeds."""
    own = [option for option in ALONE if not option.startswith("arithmetic")]
    return [
        compose_run([f"run=dln_{run}", "scale=paper", f"seed={seed}", *own, *overrides])
        for run in RUNS
        for seed in range(seeds)
    ]


def as_one(seeds: int, steps: int, rounds: int) -> Iterator[Answer]:
    """Compare so many seeds of all runs as one with as many times one seed of each, run after run."""
    plain, together = Runs(configs(1)), Runs(configs(seeds))
    one, whole = in_turn(rounds, lambda: plain.one_by_one(steps), lambda: together.as_one(steps))
    after = Timed([seeds * seconds for seconds in one.seconds])
    question = f"{len(RUNS)} runs x {seeds} seeds as one / run after run, {steps} steps"
    yield compared(question, "DLN", whole, after, target=FIFTH, note="with all probes; plain: one seed, times seeds")


def shift_as_one(seeds: int, rounds: int) -> Iterator[Answer]:
    """Compare the covariate shift of all layers of so many seeds as one with as many times its naive form."""
    nets = [Net.of("DLN", f"seed={seed}") for seed in range(seeds)]
    naive, shift = Naive(*nets[0].step()), InternalCovariateShift(layers="all")
    step = stacked_step(nets)
    ours, full = in_turn(rounds, lambda: measured(shift, step), naive.shift)
    count = len(step.lanes[0].network.layers)
    question = f"covariate shift of all {count} layers, {seeds} seeds as one / {seeds} times naive"
    yield compared(question, "DLN", ours, full, times=seeds, target=SHIFT["dln"])


def stacked_step(nets: Sequence[Net]) -> StackedStep:
    """Take the first step of several networks as one."""
    models = [net.fresh().model for net in nets]
    network = network_of(models[0], lambda: None, numbered=True)
    stack = StackedNetwork(models)  # type: ignore[arg-type] # they are deep linear nets
    data = [net.plan.dataset for net in nets]
    batch = ReducedBatch.of([(each.network_inputs(each.train.inputs), each.train.targets) for each in data])
    rates = [float(net.state.optimizer.param_groups[0]["lr"]) for net in nets]
    before = stack.point.map(torch.clone)
    losses, gradient = stack.losses_and_gradients(stack.point, batch)
    stack.update(gradient, torch.tensor(rates))
    lanes = [Lane(0, net.plan.seed, network, rate, first=False) for net, rate in zip(nets, rates, strict=True)]
    return StackedStep(lanes, stack, batch, before, stack.point, losses, gradient)
