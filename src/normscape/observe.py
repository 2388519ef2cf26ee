"""The suite's measurements in a training loop of one's own."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from normscape.errors import UserError
from normscape.observer import Observer, OpenStep
from normscape.probes.probe import Probe
from normscape.records import Records
from normscape.replica import is_compiled, original
from normscape.selfcheck import require_same_gradient
from normscape.view import LossFunction, dense


class Observation:
    """What the probes see of a network that somebody else's loop trains; made by `observe`."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._records = Records()
        self._next = 0

    @contextmanager
    def step(self, targets: Any, step: int | None = None) -> Iterator[None]:
        """Make the block one optimisation step on a mini-batch: one forward pass, one backward pass, one update.

        What the network is called with is noted as it is called. A step that is not due costs nothing.

        Parameters
        ----------
        targets
            What the loss takes besides the network's output.
        step
            Number of the step; the steps so far, if it is not given.

        Raises
        ------
        UserError
            If the step is due and is not one that can be measured right; the network's own step is done by then.
        """
        number = self._next if step is None else step
        self._next = number + 1
        if not self._observer.due(number):
            yield
            return
        with _Watch(self._observer, number, targets) as watch:
            yield
        watch.measure(self._records)

    def table(self) -> pd.DataFrame:
        """Return what was measured so far, tidy: ``step, quantity, layer, step_size, value``; layers by module path."""
        return self._records.table()

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the snapshots so far, ``activation_quantiles/features.24`` of ``(snapshots, 100)``, and steps."""
        return self._records.arrays()


@contextmanager
def observe(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss_fn: LossFunction,
    probes: Sequence[Probe],
    seed: int = 0,
) -> Iterator[Observation]:
    """Measure a network while a loop of one's own trains it, without changing its training.

    ::

        with normscape.observe(model, optimizer, loss_fn, [normscape.Landscape(every=100)]) as seen:
            for inputs, targets in loader:
                with seen.step(targets):
                    optimizer.zero_grad()
                    loss_fn(model(inputs), targets).backward()
                    optimizer.step()
        table = seen.table()

    Parameters
    ----------
    model
        Any network with convolutions or linear maps; compiled or in mixed precision too.
    optimizer
        The optimiser of the network's parameters, of any kind; groups, frozen parameters and schedules are respected.
    loss_fn
        A function of the network's output and the targets that returns a scalar, without weights of its own.
    probes
        What is measured, and how often. Layers are weight layers, by number in forward order or by module path.
    seed
        Determines the probes' own random choices (which unit, which random direction).

    Notes
    -----
    A due step costs what its probes say, and one more forward-backward pass, which repeats the step at W(t): its loss
    and gradient are the base of all differences, and must be those that the loop trains on. What the loop does to the
    gradient afterwards (clipping, noise) is part of the optimiser's update. Hooks and the rest of the state that a due
    step needs are gone when it is over.

    Raises
    ------
    UserError
        On a due step that cannot be measured right: the network runs more than once (gradient accumulation), is in
        evaluation mode, or trains on another loss or gradient than ``loss_fn`` of this batch.
    """
    _require_trainable(model, optimizer, loss_fn, probes)
    yield Observation(Observer(model, optimizer, loss_fn, probes, seed, numbered=False))


def _require_trainable(model: Any, optimizer: Any, loss_fn: Any, probes: Any) -> None:
    if not isinstance(model, nn.Module):
        raise UserError(f"model={model!r}: expected a torch.nn.Module")
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise UserError(f"optimizer={optimizer!r}: expected a torch.optim.Optimizer")
    if not callable(loss_fn):
        raise UserError(f"loss_fn={loss_fn!r}: expected a function of the network's output and the targets")
    if isinstance(probes, Probe) or not all(isinstance(probe, Probe) for probe in probes):
        raise UserError(
            f"probes={probes!r}: expected a list of normscape probes, e.g. [normscape.Landscape(every=100)]"
        )
    if isinstance(loss_fn, nn.Module) and any(p.requires_grad for p in loss_fn.parameters()):
        raise UserError("loss_fn: it has weights of its own; make it part of the network, so that W holds them")
    for name, p in original(model).named_parameters():
        if torch.nn.parameter.is_lazy(p):
            raise UserError(f"model: {name} has no shape yet; run one forward pass first")
        if p.is_complex():
            raise UserError(f"model: {name} is complex; the probes measure real weights")


class _Watch:
    """One due step: what of it is noted through temporary hooks, and is measured when the block is over."""

    def __init__(self, observer: Observer, step: int, targets: Any) -> None:
        self._observer, self._step, self._targets = observer, step, targets
        self._opened: OpenStep | None = None
        self._error: UserError | None = None
        self._forwards = self._updates = self._nested = 0
        self._accumulated: dict[str, int] = {}
        self._gradient: dict[str, Tensor] = {}
        self._hooks = ExitStack()

    def __enter__(self) -> "_Watch":
        observer = self._observer
        before_forward = self._before_forward
        if is_compiled(observer.model):
            before_forward = torch.compiler.disable(before_forward)  # type: ignore[no-untyped-call]
        handles: list[Any] = [
            observer.model.register_forward_pre_hook(before_forward, with_kwargs=True, prepend=True),
            observer.optimizer.register_step_pre_hook(self._before_update),
            observer.optimizer.register_step_post_hook(self._after_update),
        ]
        for name, p in original(observer.model).named_parameters():
            if p.requires_grad:
                noted = partial(self._accumulate, name)
                handles.append(p.register_post_accumulate_grad_hook(noted))  # type: ignore[no-untyped-call]
        for handle in handles:
            self._hooks.callback(handle.remove)
        return self

    def __exit__(self, *_: object) -> None:
        self._hooks.close()

    def _before_forward(self, model: nn.Module, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        if not torch.is_grad_enabled():
            return
        self._forwards += 1
        if self._forwards == 1:
            self._training = model.training
            try:
                self._opened = self._observer.open(self._step, arguments, self._targets, options)
            except UserError as error:  # the loop's own step goes on
                self._error = error

    def _accumulate(self, name: str, p: Tensor) -> None:
        self._accumulated[name] = self._accumulated.get(name, 0) + 1
        assert p.grad is not None
        self._gradient[name] = dense(p.grad.detach()).clone()

    def _before_update(self, *_: object) -> None:
        self._nested += 1
        if self._nested > 1:  # a step that calls that of its base class
            return
        self._updates += 1
        if self._updates == 1 and self._opened:
            try:
                self._opened.before_update()
            except UserError as error:
                self._error = error

    def _after_update(self, *_: object) -> None:
        self._nested -= 1

    def measure(self, records: Records) -> None:
        """Repeat the step at W(t), compare, and let the probes measure it."""
        opened, what = self._opened, f"step {self._step}"
        if self._error:
            raise self._error
        if opened is None:
            raise UserError(
                f"{what}: the network did not run in it with gradients; call it inside the block of seen.step"
            )
        if not self._training:
            raise UserError(f"{what}: the network was in evaluation mode; call model.train() before it is trained")
        backwards = max(self._accumulated.values(), default=0)
        if max(self._forwards, backwards, self._updates) > 1:
            raise UserError(
                f"{what}: {self._forwards} forward passes, {backwards} backward passes, {self._updates} updates; a "
                "step is one of each: accumulated gradients, closures and several losses are not measured"
            )
        if opened.rule is None:
            raise UserError(
                f"{what}: the optimiser made no update; call optimizer.step() inside the block of seen.step"
            )
        view = opened.repeated()
        own = {name: self._gradient.get(name, torch.zeros_like(g)) for name, g in view.gradient.items()}
        require_same_gradient(view, own if self._gradient else opened.gradient or {})
        opened.measure(view, records)
