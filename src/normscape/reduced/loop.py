"""The training loop of many deep linear nets at once, step by step what `normscape.loop.train` does for one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from normscape.errors import UserError
from normscape.loop import Plan, State, train
from normscape.models import DLN
from normscape.network import Network, network_of
from normscape.observing.observer import Observer, OpenStep
from normscape.probes.probe import Probe
from normscape.reduced.batch import ReducedBatch
from normscape.reduced.eligible import arithmetic_of
from normscape.reduced.measure import Lane, StackedStep, can_measure, measured
from normscape.reduced.network import Seen, StackedNetwork
from normscape.rounding import tolerance
from normscape.schema import RunConfig
from normscape.seeds import seed_layer_noise
from normscape.storage.records import Row, checked
from normscape.view import StepView

OnStep = Callable[[int, list[Row]], bool]


@dataclass
class Run:
    """One run of many: what to do, how far it is, and what is called after each of its steps."""

    plan: Plan
    state: State
    on_step: OnStep
    unchecked: bool = field(init=False)
    unmeasured: bool = field(init=False)

    def __post_init__(self) -> None:
        self.unchecked, self.unmeasured = self.plan.self_check, self.state.step == 0

    @property
    def ended(self) -> bool:
        """Whether it has taken its last step, or its loss is no longer finite."""
        return self.state.step >= self.plan.steps or self.state.diverged_at is not None

    @property
    def rate(self) -> float:
        """Its learning rate."""
        return float(self.state.optimizer.param_groups[0]["lr"])

    @property
    def batch(self) -> tuple[Tensor, Tensor]:
        """Network inputs and targets of each of its steps."""
        split = self.plan.dataset.train
        return self.plan.dataset.network_inputs(split.inputs.clone()), split.targets.clone()


def train_any(config: RunConfig, runs: Sequence[Run]) -> None:
    """Train runs as their config says: on reduced batches as one, or one after the other."""
    if arithmetic_of(config) == "reduced":
        train_together(runs)
    else:
        for run in runs:
            train(run.plan, run.state, run.on_step)


def train_together(runs: Sequence[Run]) -> list[bool]:
    """Train deep linear nets of one kind from their steps to the end of their plans, in place.

    A run's numbers do not depend on which others it is trained with. While they train, the parameters and buffers of
    the networks are views into stacked tensors.

    Parameters
    ----------
    runs
        Equal but for seed and learning rate, and how far they are.

    Returns
    -------
    list of bool
        For each run whether it has ended; if one of them asked to stop, all that were being trained are left as they
        are then, to be continued later.
    """
    waiting = [run for run in runs if not run.ended]
    while waiting:
        first = min(run.state.step for run in waiting)
        abreast = [run for run in waiting if run.state.step == first]
        later = [run.state.step for run in waiting if run.state.step > first]
        if not _advance(abreast, min(later, default=None)):
            break
        waiting = [run for run in waiting if not run.ended]
    return [run.ended for run in runs]


def _advance(runs: Sequence[Run], until: int | None) -> bool:
    """Train runs that are equally far until one of them ends, or to a step; return whether none asked to stop."""
    stack = StackedNetwork([_model(run) for run in runs])
    batch = ReducedBatch.of([run.batch for run in runs])
    rates = stack.point.weights.new_tensor([run.rate for run in runs])
    network = network_of(runs[0].state.model, lambda: None, numbered=True)
    together = _Together(runs, stack, batch, rates, network)
    going = True
    while going and not any(run.ended for run in runs) and runs[0].state.step != until:
        going = together.step()
    return going


def _model(run: Run) -> DLN:
    assert isinstance(run.state.model, DLN)
    return run.state.model


@dataclass(frozen=True)
class _Together:
    """Runs that are equally far, and their stacked network."""

    runs: Sequence[Run]
    stack: StackedNetwork
    batch: ReducedBatch
    rates: Tensor
    network: Network

    def step(self) -> bool:
        """Take one step of each run; return whether none asked to stop."""
        step, plan = self.runs[0].state.step, self.runs[0].plan
        due = [position for position, probe in enumerate(plan.probes) if probe.is_due(step)]
        opened = self._opened(step, due)
        before = self.stack.point.map(torch.clone) if due else self.stack.point
        statistics: dict[int, tuple[Tensor, Tensor]] = {}
        losses, gradient = self.stack.losses_and_gradients(self.stack.point, self.batch, Seen(statistics))
        rows: list[list[Row]] = [[] for _ in self.runs]
        if step % plan.log_every == 0 or step + 1 == plan.steps:
            self._log(step, losses, rows)
        self.stack.update(gradient, self.rates)
        self.stack.follow(statistics, self.batch.samples)
        if due:
            whole = StackedStep(self._lanes(step), self.stack, self.batch, before, self.stack.point, losses, gradient)
            self._measure(whole, due, opened, rows)
        going = True
        for run, added in zip(self.runs, rows, strict=True):
            run.state.step = step + 1
            going &= run.on_step(run.state.step, added)
        return going

    def _log(self, step: int, losses: Tensor, rows: list[list[Row]]) -> None:
        finite = torch.isfinite(losses).tolist()
        for run, loss, is_finite, added in zip(self.runs, losses.tolist(), finite, rows, strict=True):
            if step % run.plan.log_every == 0:
                added += run.state.records.add([Row(step, "train_loss", None, None, loss)])
            if not is_finite:
                run.state.diverged_at = step

    def _lanes(self, step: int) -> list[Lane]:
        return [Lane(step, run.plan.seed, self.network, run.rate, first=run.unmeasured) for run in self.runs]

    @staticmethod
    def _is_compared(run: Run, step: int) -> bool:
        """Whether the step is compared with the network's own: the first; near an optimum gradients are rounding."""
        return run.unchecked and step == 0

    def _opened(self, step: int, due: Sequence[int]) -> list[OpenStep | None]:
        """Open the step for each run that has something to look at its network in the plain way."""
        found: list[OpenStep | None] = []
        for run in self.runs:
            others = [run.plan.probes[position] for position in due if not can_measure(run.plan.probes[position])]
            if not others and not (due and self._is_compared(run, step)):
                found.append(None)
                continue
            observer = _observer(run, others)
            inputs, targets = run.batch
            seed_layer_noise(run.plan.seed, step)
            found.append(observer.open(step, (inputs,), targets))
            found[-1].before_update()  # type: ignore[union-attr] # reads the optimiser; there is no gradient yet
        return found

    def _measure(
        self, step: StackedStep, due: Sequence[int], opened: Sequence[OpenStep | None], rows: list[list[Row]]
    ) -> None:
        plain = {number: each.repeated() for number, each in enumerate(opened) if each}
        for number, view in plain.items():
            if self._is_compared(self.runs[number], view.step):
                require_same(view, step.losses[number], step.gradient.of(number))
        seen: list[set[Any]] = [set() for _ in self.runs]
        kept: list[list[Any]] = [[] for _ in self.runs]
        for position in due:
            probe = self.runs[0].plan.probes[position]
            if can_measure(probe):
                for number, items in enumerate(measured(probe, step)):
                    records = self.runs[number].state.records
                    kept[number] += checked(items, step.lanes[number].step, type(probe).__name__, records, seen[number])
        for number, run in enumerate(self.runs):
            rows[number] += run.state.records.add(kept[number])
            each = opened[number]
            if each is not None and each.observer.probes:
                each.gradient, each.idle = step.gradient.of(number), set()  # what the update was made of
                rows[number] += each.measure(plain[number], run.state.records)
            run.unchecked = run.unmeasured = False


def _observer(run: Run, probes: Sequence[Probe]) -> Observer:
    plan, state = run.plan, run.state
    return Observer(
        state.model,
        state.optimizer,
        plan.loss_function,
        probes,
        plan.seed,
        self_check=run.unchecked and bool(probes),
        unmeasured=run.unmeasured,
    )


def require_same(view: StepView, loss: Tensor, gradient: dict[str, Tensor]) -> None:
    """Raise `UserError` unless loss and gradient are those of the network itself on all samples, up to rounding."""
    allowed = tolerance(view)
    for name, ours, own in _pairs(view, loss, gradient):
        size = torch.linalg.vector_norm(own)
        error = float(torch.linalg.vector_norm(ours - own) / size) if size > 0 else 0.0
        if torch.isfinite(own).all() and not error <= allowed:
            raise UserError(
                f"arithmetic=reduced: at step {view.step} the {name} differs from the network's own by {error:.1e} of "
                f"its size; expected at most {allowed:.1e}; use arithmetic=plain"
            )


def _pairs(view: StepView, loss: Tensor, gradient: dict[str, Tensor]) -> Iterator[tuple[str, Tensor, Tensor]]:
    yield "loss", loss, view.loss
    both = [torch.cat([g[name].flatten() for name in view.gradient]) for g in (gradient, view.gradient)]
    yield "gradient", both[0], both[1]
