"""The training loop: explicit, with one measurement point per step."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from normscape.data.augment import augment
from normscape.data.dataset import Dataset, Split
from normscape.forward import Forward
from normscape.observing.observer import Observer
from normscape.probes.probe import Probe
from normscape.seeds import generator, kept_streams, seed_layer_noise, seed_streams
from normscape.storage.records import Records, Row
from normscape.twin.replay import LossFunction
from normscape.view import forward_mode

EVALUATION_BATCH = 1000


@dataclass(frozen=True)
class Plan:
    """Everything that determines a run's numbers besides the initial weights."""

    dataset: Dataset
    loss_function: LossFunction
    probes: Sequence[Probe]
    seed: int
    steps: int
    batch_size: int | None
    log_every: int
    eval_every: int
    augmented: bool = False
    forward: Forward = field(default_factory=Forward)
    self_check: bool = True


@dataclass
class State:
    """What a run has become after ``step`` steps; a checkpoint holds exactly this."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler | None = None
    step: int = 0
    records: Records = field(default_factory=Records)
    diverged_at: int | None = None


class Batches:
    """Mini-batches as a function of the step: each epoch a new order without replacement, its last batch may be short.

    The order depends on the seed and the epoch alone, so all variants of a network see the same batches. With
    ``batch_size`` None every batch is the whole split in its own order. Augmentation is a function of the step.
    """

    def __init__(self, dataset: Dataset, seed: int, batch_size: int | None, *, augmented: bool = False) -> None:
        self._dataset, self._split, self._seed, self._augmented = dataset, dataset.train, seed, augmented
        self._size = min(batch_size or len(self._split), len(self._split))
        self._per_epoch = -(-len(self._split) // self._size)
        self._epoch, self._order = -1, torch.empty(0)

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """Return network inputs and targets of the step's mini-batch."""
        if self._per_epoch == 1 and not self._augmented:
            return self._dataset.network_inputs(self._split.inputs.clone()), self._split.targets.clone()
        epoch, position = divmod(step, self._per_epoch)
        if epoch != self._epoch:
            order = torch.randperm(len(self._split), generator=generator(self._seed, "order", epoch))
            self._epoch, self._order = epoch, order.to(self._split.inputs.device)
        chosen = self._order[position * self._size : (position + 1) * self._size]
        stored = self._split.inputs[chosen]
        if self._augmented:
            stored = augment(stored, generator(self._seed, "augment", step))
        return self._dataset.network_inputs(stored), self._split.targets[chosen]


def accuracy(outputs: Tensor, targets: Tensor) -> float:
    """Return the share of samples whose largest output ``(N, K)`` is the target class ``(N,)``, from 0 to 1."""
    return (outputs.argmax(dim=1) == targets).float().mean().item()


@torch.no_grad()
def split_accuracy(model: nn.Module, dataset: Dataset, split: Split) -> float:
    """Return the accuracy on a split in evaluation mode (running statistics)."""
    correct = 0
    with forward_mode(model, training=False):
        for start in range(0, len(split), EVALUATION_BATCH):
            inputs = dataset.network_inputs(split.inputs[start : start + EVALUATION_BATCH].clone())
            targets = split.targets[start : start + EVALUATION_BATCH]
            correct += int((model(inputs).argmax(dim=1) == targets).sum())
    return correct / len(split)


def train(plan: Plan, state: State, on_step: Callable[[int, list[Row]], bool]) -> bool:
    """Train ``state`` from its step to the end of the plan, in place.

    Training loss and accuracy are those of the step's mini-batch at W(t), before the update; so are the probes'
    measurements and, at its cadence, the accuracy on the test set, which is also taken once after the last step.

    Parameters
    ----------
    plan, state
        What to do, and where to start: a fresh state or one from a checkpoint.
    on_step
        Called after every step with the steps done and the rows that the step added; when it returns False, training
        stops there and may continue later from the same state.

    Returns
    -------
    bool
        Whether the run has ended: at its last step, or because its loss is no longer finite (``state.diverged_at``).
    """
    model, optimizer, schedule = state.model, state.optimizer, state.schedule
    batches = Batches(plan.dataset, plan.seed, plan.batch_size, augmented=plan.augmented)
    forward = plan.forward.of(model)
    observer = Observer(
        forward,
        optimizer,
        plan.loss_function,
        plan.probes,
        plan.seed,
        self_check=plan.self_check,
        exact=plan.forward.is_plain,
        unmeasured=state.step == 0,
    )
    model.train()
    while state.step < plan.steps and state.diverged_at is None:
        step = state.step
        rows = _test_rows(plan, state) if step % plan.eval_every == 0 else []
        seed_layer_noise(plan.seed, step)
        inputs, targets = batches.at(step)

        with plan.forward.computing(inputs.device):
            opened = observer.open(step, (inputs,), targets) if observer.due(step) else None
            outputs = forward(inputs)
            loss = plan.loss_function(outputs, targets)
        optimizer.zero_grad(set_to_none=True)
        if opened:
            opened.before_backward()
        loss.backward()  # type: ignore[no-untyped-call]
        if opened:
            opened.before_update()
        logged = step % plan.log_every == 0
        if logged:
            rows += state.records.add(_training_rows(step, loss, outputs, targets, state))
        optimizer.step()
        if (logged or step + 1 == plan.steps) and not torch.isfinite(loss):
            state.diverged_at = step
        if opened:
            rows += opened.measure(opened.close(loss), state.records)
        if schedule:
            schedule.step()
        state.step = step + 1
        if state.step == plan.steps or state.diverged_at is not None:
            rows += _test_rows(plan, state)
        if not on_step(state.step, rows):
            break
    return state.step >= plan.steps or state.diverged_at is not None


def _training_rows(step: int, loss: Tensor, outputs: Tensor, targets: Tensor, state: State) -> Iterator[Row]:
    yield Row(step, "train_loss", None, None, loss.item())
    if not targets.is_floating_point():
        yield Row(step, "train_accuracy", None, None, accuracy(outputs, targets))
    if state.schedule:
        yield Row(step, "learning_rate", None, None, float(state.optimizer.param_groups[0]["lr"]))


def _test_rows(plan: Plan, state: State) -> list[Row]:
    if plan.dataset.test is None or plan.dataset.test.targets.is_floating_point():
        return []
    with kept_streams(plan.dataset.test.inputs.device):
        seed_streams(plan.seed, "evaluation", state.step)
        value = split_accuracy(state.model, plan.dataset, plan.dataset.test)
    return state.records.add([Row(state.step, "test_accuracy", None, None, value)])
