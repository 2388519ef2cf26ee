"""Opens a step before its forward pass, closes it after the update, and asks the probes that are due."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn

from normscape.errors import UserError
from normscape.forward import exact_products
from normscape.network import Network, network_of
from normscape.observing.selfcheck import require_rate_of_the_update, require_same_step, self_check
from normscape.probes.probe import Probe
from normscape.process.own_files import is_known
from normscape.seeds import Streams, kept_streams
from normscape.storage.records import Records, Row, Snapshot, checked
from normscape.twin.copies import kept_contents
from normscape.twin.fingerprint import Fingerprint, digest, of_view, require_untouched, stateless
from normscape.twin.replay import Autocast, LossFunction, Replay, fresh
from normscape.twin.replica import Replica, hooks_of, parameters_of
from normscape.update_rule import UpdateRule
from normscape.view import StepView, dense


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
        Whether to check the first observed step (`normscape.observing.selfcheck`), and what is not known later too.
    exact
        Whether the step is what is to be measured. If not, probes see it repeated by the network's own modules, without
        mixed precision and TF32, for one more pass; W(t+1) is what the step has made.
    compared
        Whether who opens the steps compares each with its repetition. Otherwise that is done here where code of the
        user's runs in a step, which may do something else later than at first.
    unmeasured
        Whether no step of the run was measured before: probes check at its first one what they rely on. A run that goes
        on is not refused for how small its steps have become.

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
        exact: bool = True,
        compared: bool = False,
        unmeasured: bool = True,
    ) -> None:
        self.model, self.optimizer, self.loss_function = model, optimizer, loss_function
        self.probes, self.seed, self.numbered = probes, seed, numbered
        self.checks, self.compared, self.exact = self_check, compared, exact
        self.unchecked, self.unmeasured = self_check, unmeasured
        self.network: Network | None = None

    @cached_property
    def replica(self) -> Replica:
        """The twin, made when it is first needed."""
        return Replica(self.model, self.loss_function)

    @cached_property
    def unknown(self) -> bool:
        """Whether code of the user's runs in a step: a module's, a hook's or the loss's."""
        model = self.replica.model
        loss = self.loss_function if hasattr(self.loss_function, "__module__") else type(self.loss_function)
        codes = [*(type(module).__module__ for module in model.modules()), str(loss.__module__)]
        return bool(hooks_of(model)) or not all(map(is_known, codes))

    def due(self, step: int) -> list[Probe]:
        """Return the probes that measure the step."""
        return [probe for probe in self.probes if probe.is_due(step)]

    def open(
        self, step: int, arguments: tuple[Any, ...], targets: Any, options: Mapping[str, Any] | None = None
    ) -> "OpenStep":
        """Record the state in which the step's forward pass starts; call right before it, whatever its mode.

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
                fresh(arguments),
                fresh(dict(options or {})),
                fresh(targets),
            ),
        )

    def fingerprint(self) -> Fingerprint:
        """Return digests of all that training depends on."""
        return Fingerprint.of(self.model, self.optimizer, self.loss_function)

    def describe(self, replay: Replay) -> Network:
        """Return the network's layers as they run in a step; at first, check the probes against them.

        A network may take different paths at different steps, so it is traced at each of them, unless it is a chain.

        Raises
        ------
        UserError
            If a probe asks for a layer that does not exist, or if rows name layers by numbers and these have changed.
        """
        replay.replica.place(replay.state.parameters)
        network = network_of(replay.replica.twin, partial(replay.without_graph, replay.run), numbered=self.numbered)
        if self.network is None:
            for probe in self.probes:
                probe.check(network)
            self.network = network
        elif self.numbered and network.layers != self.network.layers:
            raise UserError(
                f"{network.kind}: its layers run in another order than at first, so their numbers name other layers; "
                "switch the probes off, or measure it by module paths with normscape.observe"
            )
        return network


@dataclass
class OpenStep:
    """A step between the start of its forward pass and its update."""

    observer: Observer
    step: int
    replay: Replay
    gradient: dict[str, Tensor] | None = None
    rule: UpdateRule | None = None
    updated: dict[str, Tensor] | None = None
    idle: set[str] = field(default_factory=set)

    def before_backward(self) -> None:
        """Require that the gradient of the step begins at zero, where it trains, and that no hook will change it."""
        held = {id(p) for group in self.observer.optimizer.param_groups for p in group["params"]}
        for name, p in parameters_of(self.observer.model).items():
            if id(p) in held and p.grad is not None and bool(p.grad.any()):
                kind = type(self.observer.optimizer).__name__
                raise UserError(f"optimizer: zero_grad of {kind} keeps the gradient of {name}; a step is one batch")
            if p.requires_grad and (p._backward_hooks or p._post_accumulate_grad_hooks):
                raise UserError(
                    f"{name}: a hook changes its gradient, which is then not that of the loss; remove the hook"
                )

    def before_update(self) -> None:
        """Copy the gradient and read the optimiser; call after the backward pass, before the update.

        The update may write into the gradient and change the optimiser's rates.
        """
        model, replica = self.observer.model, self.observer.replica
        self.rule = UpdateRule.of(self.observer.optimizer, model)
        named = parameters_of(model)
        self.gradient = {name: _gradient(named[name]) for name in self.rule.learning_rates}
        self.idle = {name for name in self.gradient if named[name].grad is None}
        if self.idle:  # optimisers leave them alone, and their weight decay too
            decays = {name: 0.0 if name in self.idle else decay for name, decay in self.rule.weight_decays.items()}
            self.rule = replace(self.rule, weight_decays=decays)
        if replica.moved(self.replay.state):  # the pass itself set weights: W(t) is what it left
            self.replay = replace(self.replay, state=replica.capture())

    def after_update(self) -> None:
        """Copy W(t+1); call when the optimiser has made its update, before anything else changes the weights."""
        self.updated = {name: p.detach().clone() for name, p in parameters_of(self.observer.model).items()}

    def close(self, loss: Tensor) -> StepView:
        """Return the view of the whole step."""
        if self.gradient is None or self.rule is None:
            raise UserError(f"step {self.step}: the optimiser has made no update to look at")
        if self.updated is None:
            self.after_update()
        assert self.updated is not None
        with kept_contents(hooks_of(self.observer.model)):
            network = self.observer.describe(self.replay)
        seed, first = self.observer.seed, self.observer.unmeasured
        return StepView(
            self.step, seed, network, self.updated, loss.detach(), self.gradient, self.rule, self.replay, first
        )

    def repeated(self) -> StepView:
        """Return the view with loss and gradient from repeating the step at W(t), where they were not recorded."""
        observer = self.observer
        loss_function = observer.replica.loss_function
        with kept_contents([*hooks_of(observer.model), loss_function]), ExitStack() as checks:
            if not isinstance(loss_function, nn.Module):  # whose state is restored before each pass
                checks.enter_context(stateless(loss_function))
            view = self.close(torch.zeros(()))
            loss, gradient = view.loss_and_gradient_at(view.parameters)
        return replace(view, loss=loss, gradient=gradient)

    def measure(self, view: StepView, records: Records) -> list[Row]:
        """Let the probes that are due measure the step, take it into the records, and return the rows.

        Raises
        ------
        UserError
            If the step cannot be measured correctly, or a probe yields what could not be stored; nothing is recorded
            then.
        """
        observer = self.observer
        given = {name: g for name, g in (self.gradient or {}).items() if name not in self.idle}
        measured, seen, due = list[Row | Snapshot](), set[Any](), observer.due(self.step)
        filled = [*hooks_of(observer.model), observer.replica.loss_function]
        with kept_streams(self.replay.streams.device), kept_contents(filled), ExitStack() as exactly:
            require_rate_of_the_update(view, observer.optimizer, given)
            before = observer.fingerprint() if observer.unchecked or (observer.checks and _foreign(due)) else None
            if observer.unchecked:
                self_check(view, given)
            elif observer.checks and not observer.compared and observer.unknown:
                require_same_step(view)
            if not observer.exact:
                exactly.enter_context(exact_products())
                view = view.uncast()
            shared = (view.parameters, view.gradient, view.updated)
            shown = of_view(shared) if before else None
            for probe in due:
                name, versions, held = type(probe).__name__, _versions(view), digest(vars(probe)) if before else ""
                measured += checked(_yielded(probe, view), self.step, name, records, seen)
                if _versions(view) != versions:
                    raise UserError(f"probe {name}: it changed a tensor of the view, which all probes look at")
                if before and digest(vars(probe)) != held:
                    raise UserError(
                        f"probe {name}: it keeps something between steps, which a resumed run would not have"
                    )
            if before:
                what = _foreign(due) or "repeating the step on a copy"
                require_untouched(before, observer.fingerprint(), what)
                if of_view(shared) != shown:
                    raise UserError(f"{what}: it changed a tensor of the view, which all probes look at")
        observer.unchecked = observer.unmeasured = False
        return records.add(measured)


def _versions(view: StepView) -> list[int]:
    """Return how often the tensors of a view were written into."""
    points = (*view.parameters.values(), *view.gradient.values(), *view.updated.values())
    batch = (*view.replay.arguments, view.targets, view.loss)
    return [tensor._version for tensor in (*points, *batch) if isinstance(tensor, Tensor)]


def _foreign(probes: Sequence[Probe]) -> str:
    """Return which probes are not the suite's own, in words."""
    names = sorted({type(probe).__name__ for probe in probes if not type(probe).__module__.startswith("normscape.")})
    return f"probe {' or '.join(names)}" if names else ""


def _yielded(probe: Probe, view: StepView) -> Iterable[Any]:
    measured = probe.measure(view)
    if not isinstance(measured, Iterable):
        raise UserError(f"probe {type(probe).__name__}: measure returned {measured!r}; expected it to yield Rows")
    return measured


def _gradient(p: Tensor) -> Tensor:
    return torch.zeros_like(p) if p.grad is None else dense(p.grad.detach()).clone()
