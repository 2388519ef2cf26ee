"""One step on a copy, before any training: what would fail or go wrong later is reported now, in one line."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from normscape.errors import UserError, first_line
from normscape.loop import EVALUATION_BATCH, Batches, Plan, State
from normscape.observing.observer import Observer
from normscape.probes.activations import Activations
from normscape.seeds import kept_streams, seed_layer_noise
from normscape.twin.copies import kept_contents
from normscape.twin.fingerprint import require_untouched, stateless
from normscape.twin.replay import Replay
from normscape.twin.replica import hooks_of, parameters_of, require_real
from normscape.view import forward_mode, halves_of


def rehearse(plan: Plan, state: State, norm: type[nn.Module] | None = None) -> None:
    """Pass the first and the smallest batch of a run through a copy of its network, in training and in evaluation.

    Parameters
    ----------
    plan, state
        The run.
    norm
        The class of the normalisation that the network is to use, if one is asked for.

    Raises
    ------
    UserError
        If a batch does not pass: names the module that refuses it. If a batch is a single sample left over, if the
        output or the loss is not what the suite can record, if the network has modules of the normalisation and calls
        none of them, or if a probe asks for a layer that does not run.
    """
    if plan.probes:
        require_real(state.model)
    observer = Observer(state.model, state.optimizer, plan.loss_function, plan.probes, plan.seed)
    before = observer.fingerprint()
    with kept_streams(plan.dataset.train.inputs.device), kept_contents([*hooks_of(state.model), plan.loss_function]):
        _pass_batches(observer, plan, norm)
    require_untouched(before, observer.fingerprint(), "a rehearsal on a copy")


def _pass_batches(observer: Observer, plan: Plan, norm: type[nn.Module] | None) -> None:
    batches = Batches(plan.dataset, plan.seed, plan.batch_size, augmented=plan.augmented)
    halved = _smallest_halved(plan)
    for step in sorted({0, _smallest(plan), *halved}):
        seed_layer_noise(plan.seed, step)
        inputs, targets = batches.at(step)
        replay = observer.open(step, (inputs,), targets).replay
        replay.replica.place(
            replay.state.parameters, [n for n, p in parameters_of(observer.model).items() if p.requires_grad]
        )
        with (
            stateless(replay.replica.loss_function),
            _required(norm, replay.replica.twin),
            _named_failure(replay, inputs),
        ):
            _require_outputs(replay, inputs, targets, plan)
            if step in halved:
                parts = (partial(replay.run_part, half) for half in halves_of(len(inputs)))
                replay.without_graph(*parts)
        if step == 0 and plan.probes:
            observer.describe(replay)
    for count in _evaluated(plan):
        assert plan.dataset.test is not None
        twin, inputs = replay.replica.twin, plan.dataset.network_inputs(plan.dataset.test.inputs[:count])
        replay.replica.restore(replay.state)
        with forward_mode(twin, training=False), torch.no_grad(), _named_failure(replay, inputs, "evaluation"):
            outputs = twin(inputs)
        if plan.dataset.test.has_classes:
            _require_classes(outputs, count, plan, " in evaluation mode")


def _evaluated(plan: Plan) -> set[int]:
    """Return sizes of batches of the test set to try: two samples, and one if one is left over at the end."""
    if plan.dataset.test is None:
        return set()
    samples = len(plan.dataset.test)
    return {min(2, samples)} | ({1} if samples % EVALUATION_BATCH == 1 else set())


def _require_classes(outputs: object, count: int, plan: Plan, when: str = "") -> None:
    """Require a score for each class of each sample: accuracies are of the largest."""
    if not isinstance(outputs, Tensor):
        raise UserError(f"model: expected a tensor as its output{when}, not a {type(outputs).__name__}")
    splits = [split for split in (plan.dataset.train, plan.dataset.test) if split is not None]
    classes = max(2, 1 + max(int(split.targets.max()) for split in splits))
    if outputs.dim() != 2 or len(outputs) != count or outputs.shape[1] < classes:
        raise UserError(
            f"model: expected an output (N, classes){when} for {count} samples of {classes} classes or more, not "
            f"{tuple(outputs.shape)}"
        )


def _smallest(plan: Plan) -> int:
    """Return the step of an epoch whose batch is the smallest, if the run gets there; refuse a single sample."""
    images = len(plan.dataset.train)
    size = min(plan.batch_size or images, images)
    last, left = (images - 1) // size, images % size
    if last >= plan.steps:
        return 0
    if left == 1 and size > 1:
        raise UserError(
            f"batch_size={size}: {images} training samples leave a last batch of one, which has no batch statistics; "
            "choose another batch_size or number of samples"
        )
    return last


def _smallest_halved(plan: Plan) -> list[int]:
    """Return a step at which the noise floor is measured of as few samples as at any, if it is measured."""
    floors = [probe for probe in plan.probes if isinstance(probe, Activations) and probe.noise_floor]
    images = len(plan.dataset.train)
    size = min(plan.batch_size or images, images)
    of_epoch = -(-images // size)

    def samples(step: int) -> int:
        return min(size, images - step % of_epoch * size)

    due = [step for step in range(plan.steps) if any(probe.is_due(step) for probe in floors)]
    return [min(due, key=samples)] if due else []


def _require_outputs(replay: Replay, inputs: Tensor, targets: Tensor, plan: Plan) -> None:
    with replay.forward_pass() as twin:
        outputs = twin(inputs)
        if not isinstance(outputs, Tensor):
            raise UserError(f"model: expected a tensor as its output, not a {type(outputs).__name__}")
        if not targets.is_floating_point():
            _require_classes(outputs, len(targets), plan)
        with warnings.catch_warnings(record=True) as said:
            loss = replay.loss(outputs)
    if any("target size" in str(warning.message) for warning in said):
        shapes = f"{tuple(outputs.shape)} and {tuple(targets.shape)}"
        raise UserError(f"loss: outputs and targets of shapes {shapes} do not match; choose another loss or data")
    if not isinstance(loss, Tensor) or loss.dim():
        found = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else f"a {type(loss).__name__}"
        raise UserError(f"loss: expected a scalar, not {found}; take its mean or sum")
    if not loss.requires_grad:
        raise UserError("loss: it does not depend on any weight that trains")
    loss.backward()  # type: ignore[no-untyped-call]


@contextmanager
def _required(norm: type[nn.Module] | None, twin: nn.Module) -> Iterator[None]:
    """Refuse a network that has modules of that class, and runs none of them in the block: it trains without."""
    ran: list[nn.Module] = []
    there = [module for module in twin.modules() if type(module) is norm]
    handles = [module.register_forward_pre_hook(lambda module, _: ran.append(module)) for module in there]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
    if there and not ran:
        kind = type(there[0]).__name__
        raise UserError(f"model: it makes {len(there)} {kind} and calls none in its forward pass; call them")


@contextmanager
def _named_failure(replay: Replay, inputs: Tensor, mode: str = "training") -> Iterator[None]:
    """Turn what the block raises into a line that names the innermost module that was running."""
    running: list[str] = []
    twin = replay.replica.twin

    def begin(module: nn.Module, _: object) -> None:
        running.append(f"{paths[module]} ({type(module).__name__})" if paths[module] else type(module).__name__)

    paths = {module: path for path, module in twin.named_modules()}
    handles = [module.register_forward_pre_hook(begin) for module in paths]
    handles += [module.register_forward_hook(lambda *_: running.pop() and None) for module in paths]
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        where = running[-1] if running else "loss"
        reason = first_line(error)
        shape = tuple(inputs.shape)
        raise UserError(f"{where}: a batch of shape {shape} does not pass in {mode}; {reason}") from error
    finally:
        for handle in handles:
            handle.remove()
