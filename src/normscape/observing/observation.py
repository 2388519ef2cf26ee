"""The suite's measurements in your own training loop."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from normscape.errors import UserError
from normscape.observing.observer import Observer
from normscape.observing.watch import Watch
from normscape.probes.probe import Probe
from normscape.storage.records import Records
from normscape.twin.copies import reached_at_last
from normscape.twin.replay import LossFunction
from normscape.twin.replica import parameters_of, require_real


class Observation:
    """What the probes see of a network that your own loop trains; made by `observe`."""

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
            Number of the step, larger than the last one's; by default steps are counted from 0.

        Raises
        ------
        UserError
            If the step is due and cannot be measured correctly; the network has taken the step by then. Before it, if
            the number is none, or not above the last one.
        """
        number = self._next if step is None else step
        if isinstance(number, bool) or not isinstance(number, int) or number < self._next:
            raise UserError(
                f"step={number!r}: expected a whole number, {self._next} or more; count steps over all of training"
            )
        self._next = number + 1
        if not self._observer.due(number):
            yield
            return
        with Watch(self._observer, number, targets) as watch:
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
    """Measure a network while your own loop trains it, without changing its training.

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
        Any network with convolutions or linear maps; it may be compiled or run in mixed precision.
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
    A due step costs what its probes say, a forward pass that shows which layers run (unless the network is a chain of
    the suite's), and a forward-backward pass that repeats the step at W(t): its loss and gradient are the base of all
    differences, and must be those that the loop trains on. What the loop does to the gradient afterwards (clipping,
    noise) is part of the optimiser's update. Hooks and all other state that a due step needs are removed when it ends.

    Raises
    ------
    UserError
        On a due step that cannot be measured correctly: the network runs more than once (gradient accumulation), is in
        evaluation mode, or trains on another loss or gradient than ``loss_fn`` of this batch.
    """
    _require_trainable(model, optimizer, loss_fn, probes)
    yield Observation(Observer(model, optimizer, loss_fn, probes, seed, numbered=False, compared=True))


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
    for name, value in reached_at_last(loss_fn).items() if not hasattr(loss_fn, "__self__") else ():
        if any(value is part for part in (*model.modules(), *model.parameters())):
            line = "whose own weights it would read, not those of the probed points; use the optimiser's weight_decay"
            raise UserError(f"loss_fn: it reads the network itself, through '{name}', {line}, or loss_fn=model.loss")
    if not hasattr(optimizer, "_optimizer_step_pre_hooks"):
        raise UserError(f"optimizer: {type(optimizer).__name__} is not a whole torch optimiser; pass the one inside it")
    if not parameters_of(model):
        raise UserError(f"model: {type(model).__name__} has no parameters; expected a network that trains")
    for name, p in parameters_of(model).items():
        if torch.nn.parameter.is_lazy(p):
            raise UserError(f"model: {name} has no shape yet; run one forward pass first")
    require_real(model)
