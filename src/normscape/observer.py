"""Opens a step before its forward pass, closes it after the update, and asks the probes that are due."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from normscape.errors import UserError
from normscape.fingerprint import Fingerprint, of_view, require_untouched, stateless
from normscape.network import Network, network_of
from normscape.probes.probe import Probe
from normscape.records import Records, Row, Snapshot, checked
from normscape.replica import Replica
from normscape.seeds import Streams, kept_streams
from normscape.selfcheck import require_rate_of_the_update, self_check
from normscape.update_rule import UpdateRule
from normscape.view import Autocast, LossFunction, Replay, StepView, dense


class Observer:
    """The probes of one network in training, its twin, and what is known of its layers.

    Parameters
    ----------
    model, optimizer, loss_function
        What trains. The loss takes the network's output and the targets, and returns a scalar.
    probes
        What is measured.
    seed
        Determines the random choices of probes.
    numbered
        Whether rows name layers by number or by module path.
    self_check
        Whether to check the first observed step (`normscape.selfcheck`).

    Raises
    ------
    UserError
        If the network or the loss cannot be copied.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        loss_function: LossFunction,
        probes: Sequence[Probe],
        seed: int,
        *,
        numbered: bool = True,
        self_check: bool = True,
    ) -> None:
        self.model, self.optimizer, self.loss_function = model, optimizer, loss_function
        self.probes, self.seed, self.numbered = probes, seed, numbered
        self.unchecked = self_check
        self.network: Network | None = None

    @cached_property
    def replica(self) -> Replica:
        """The twin, made when it is first needed."""
        return Replica(self.model, self.loss_function)

    def due(self, step: int) -> list[Probe]:
        """Return the probes that measure the step."""
        return [probe for probe in self.probes if probe.is_due(step)]

    def open(
        self, step: int, arguments: tuple[Any, ...], targets: Any, options: Mapping[str, Any] | None = None
    ) -> "OpenStep":
        """Note all that the step's forward pass begins with; call right before it, whatever its mode.

        Parameters
        ----------
        arguments, options
            What the network is about to be called with; the mini-batch is the first argument.
        targets
            What the loss is about to be called with, besides the output.
        """
        device = next(self.replica.model.parameters()).device
        return OpenStep(
            self,
            step,
            Replay(
                self.replica,
                self.replica.capture(),
                Streams.now(device),
                Autocast.now(device),
                arguments,
                options or {},
                targets,
            ),
        )

    def fingerprint(self) -> Fingerprint:
        """Return digests of all that training depends on."""
        return Fingerprint.of(self.model, self.optimizer, self.loss_function)

    def describe(self, replay: Replay) -> Network:
        """Return the network's layers, from the first step on which it can be seen running, and check the probes."""
        if self.network is None:
            replay.replica.place(replay.state.parameters)
            with torch.no_grad():
                network = network_of(self.replica.twin, replay.run, numbered=self.numbered)
            for probe in self.probes:
                probe.check(network)
            self.network = network
        return self.network


@dataclass
class OpenStep:
    """A step between the start of its forward pass and its update."""

    observer: Observer
    step: int
    replay: Replay
    gradient: dict[str, Tensor] | None = None
    rule: UpdateRule | None = None

    def before_update(self) -> None:
        """Copy the gradient and read the optimiser; call after the backward pass, before the update.

        The update may write into the gradient and change the optimiser's rates.
        """
        self.rule = UpdateRule.of(self.observer.optimizer, self.observer.replica.model)
        named = dict(self.observer.replica.model.named_parameters())
        self.gradient = {name: _gradient(named[name]) for name in self.rule.learning_rates}
        if self.observer.replica.moved(self.replay.state):  # the pass itself set weights: W(t) is what it left
            state = self.observer.replica.capture()
            self.replay = Replay(**{**vars(self.replay), "state": state})

    def close(self, loss: Tensor) -> StepView:
        """Return the view of the whole step; call when the optimiser has made its update."""
        if self.gradient is None or self.rule is None:
            raise UserError(f"step {self.step}: the optimiser has made no update to look at")
        updated = {name: p.detach().clone() for name, p in self.observer.replica.model.named_parameters()}
        network = self.observer.describe(self.replay)
        seed = self.observer.seed
        return StepView(self.step, seed, network, updated, loss.detach(), self.gradient, self.rule, self.replay)

    def repeated(self) -> StepView:
        """Return the view with loss and gradient from a repetition of the step at W(t), where nobody has noted them."""
        view = self.close(torch.zeros(()))
        with stateless(view.loss_function):
            loss, gradient = view.loss_and_gradient_at(view.parameters)
        return replace(view, loss=loss, gradient=gradient)

    def measure(self, view: StepView, records: Records) -> list[Row]:
        """Let the probes that are due measure the step, take it into the records, and return the rows.

        Raises
        ------
        UserError
            If the step cannot be measured right, or a probe yields what would be lost; nothing is recorded then.
        """
        observer, measured, seen = self.observer, list[Row | Snapshot](), set[Any]()
        with kept_streams(self.replay.streams.device):
            given, shared = self.gradient or {}, (view.parameters, view.gradient, view.updated)
            require_rate_of_the_update(view, observer.optimizer, given)
            before = observer.fingerprint() if observer.unchecked else None
            if before:
                self_check(view, given)
                require_untouched(before, observer.fingerprint(), "repeating the step on a copy")
            kept = of_view(shared) if before else ""
            for probe in observer.due(self.step):
                name = type(probe).__name__
                measured += checked(_yielded(probe, view), self.step, name, records, seen)
                if before:
                    require_untouched(before, observer.fingerprint(), f"probe {name}")
                    if of_view(shared) != kept:
                        raise UserError(f"probe {name}: it changed a tensor of the view, which all probes look at")
        observer.unchecked = False
        return records.add(measured)


def _yielded(probe: Probe, view: StepView) -> Iterable[Any]:
    measured = probe.measure(view)
    if not isinstance(measured, Iterable):
        raise UserError(f"probe {type(probe).__name__}: measure returned {measured!r}; expected it to yield Rows")
    return measured


def _gradient(p: Tensor) -> Tensor:
    return torch.zeros_like(p) if p.grad is None else dense(p.grad.detach()).clone()
