"""What is recorded of one step of a user's loop, through hooks that are removed when it ends."""

import warnings
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from normscape.errors import UserError
from normscape.observing.observer import Observer, OpenStep
from normscape.observing.selfcheck import (
    is_same_gradient,
    is_unscaled_and_clipped,
    require_same_gradient,
    require_still,
)
from normscape.storage.records import Records
from normscape.twin.replica import is_compiled, parameters_of
from normscape.view import StepView, dense


class Watch:
    """One due step: recorded through temporary hooks, and measured when the block ends."""

    def __init__(self, observer: Observer, step: int, targets: Any) -> None:
        self._observer, self._step, self._targets = observer, step, targets
        self._opened: OpenStep | None = None
        self._error: UserError | None = None
        self._forwards = self._updates = self._nested = 0
        self._closure = False
        self._accumulated: dict[str, int] = {}
        self._gradient: dict[str, Tensor] = {}
        self._hooks = ExitStack()

    def __enter__(self) -> "Watch":
        observer, model = self._observer, self._observer.model
        try:
            if vars(model).get("_compiled_call_impl"):  # a hook would have it compiled again, or fail
                self._hooks.callback(setattr, model, "_compiled_call_impl", model._compiled_call_impl)
                model._compiled_call_impl = partial(self._noted_call, model._compiled_call_impl)
            else:
                before = torch.compiler.disable(self._before_forward) if is_compiled(model) else self._before_forward  # type: ignore[no-untyped-call]
                self._remove_later(model.register_forward_pre_hook(before, with_kwargs=True, prepend=True))
            self._remove_later(observer.optimizer.register_step_pre_hook(self._before_update))
            self._remove_later(observer.optimizer.register_step_post_hook(self._after_update))
            for name, p in parameters_of(model).items():
                if p.requires_grad:
                    self._remove_later(p.register_post_accumulate_grad_hook(partial(self._accumulate, name)))  # type: ignore[no-untyped-call]
        except BaseException:
            self._hooks.close()
            raise
        return self

    def _remove_later(self, handle: Any) -> None:
        self._hooks.callback(handle.remove)

    def _noted_call(self, call: Any, *arguments: Any, **options: Any) -> Any:
        self._before_forward(self._observer.model, arguments, options)
        return call(*arguments, **options)

    def __exit__(self, *_: object) -> None:
        self._hooks.close()

    def _before_forward(self, model: nn.Module, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        if not torch.is_grad_enabled():
            return
        self._forwards += 1
        if self._forwards == 1:
            self._training = any(part.training for part in model.modules())
            try:
                self._opened = self._observer.open(self._step, arguments, self._targets, options)
            except UserError as error:  # the loop's own step continues
                self._error = error

    def _accumulate(self, name: str, p: Tensor) -> None:
        self._accumulated[name] = self._accumulated.get(name, 0) + 1
        if p.grad is not None:  # another hook may have taken it
            self._gradient[name] = dense(p.grad.detach()).clone()

    def _before_update(self, *_: object) -> None:
        self._nested += 1
        if self._nested > 1:  # a step that calls that of its base class
            return
        self._updates += 1
        self._closure = self._opened is None
        if self._updates == 1 and self._opened:
            try:
                self._opened.before_update()
            except UserError as error:
                self._error = error

    def _after_update(self, *_: object) -> None:
        self._nested -= 1
        if self._nested == 0 and self._opened and self._updates == 1:
            self._opened.after_update()

    def measure(self, records: Records) -> None:
        """Repeat the step at W(t), compare, and let the probes measure it."""
        opened, what = self._opened, f"step {self._step}"
        if self._error:
            raise self._error
        if opened is None:
            raise UserError(
                f"{what}: the network did not run with gradients; call model(inputs) in the block of seen.step"
            )
        if not self._training:
            raise UserError(f"{what}: the network was in evaluation mode; call model.train() before it is trained")
        backwards = max(self._accumulated.values(), default=0)
        if max(self._forwards, backwards, self._updates) > 1 or self._closure:
            raise UserError(
                f"{what}: {self._forwards} forward passes, {backwards} backward passes, {self._updates} updates; a "
                "step is one of each, in this order: accumulated gradients, closures and second losses are not measured"
            )
        if opened.rule is None:
            warnings.warn(
                f"{what}: the optimiser made no update in the block of seen.step; nothing measured", stacklevel=4
            )
            return
        self._require_one_optimizer(opened)
        opened.measure(self._compared(opened), records)

    def _require_one_optimizer(self, opened: OpenStep) -> None:
        """Refuse a step in which another optimiser moves weights too, before or after the one that is observed."""
        now, before, rule = parameters_of(self._observer.model), opened.replay.state.parameters, opened.rule
        assert rule is not None
        for name in self._accumulated:
            if name not in rule.learning_rates and name in before and not torch.equal(now[name], before[name]):
                raise UserError(
                    f"{name}: it has moved in this step, and {rule.name} does not train it; give normscape.observe one "
                    "optimiser that trains all of the network (groups of parameters may have rates of their own)"
                )

    def _compared(self, opened: OpenStep) -> StepView:
        """Return the view of the repeated step, if its gradient is the one that the loop trains on.

        That is the gradient as the backward pass left it, or, if the loss was scaled, as the optimiser was given it,
        which may have been clipped besides. A loss may have been taken inside autocast or outside.
        """
        view = opened.repeated()
        require_still(view)
        own = {name: self._gradient.get(name, torch.zeros_like(g)) for name, g in view.gradient.items()}
        given = opened.gradient or {}

        def is_trained_on(view: StepView) -> bool:
            same = is_same_gradient(view, own) or is_same_gradient(view, given)
            return same or is_unscaled_and_clipped(view, own, given)

        if is_trained_on(view):
            return view
        if opened.replay.autocast.enabled:
            inside, opened.replay = opened.replay, replace(opened.replay, cast_loss=False)
            outside = opened.repeated()
            if is_trained_on(outside):
                return outside
            opened.replay = inside
        require_same_gradient(view, own if self._gradient else given)
        return view
