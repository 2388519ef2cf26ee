"""A twin of a network, on which a step can be repeated at any point in weight space while the network stays untouched.

A forward pass may read and write more than parameters and buffers: plain attributes, generators, modes. The twin is a
deep copy, and before each pass all of that is restored to what it was when the step began. Aliases stay aliases: a
module or a parameter that is used in two places is one in the twin too. What ``torch.compile`` has wrapped is copied
unwrapped.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

from normscape.errors import UserError
from normscape.twin.copies import IMMUTABLE, Memo, attributes, copied, machinery_of, rebound, tensors_in

Parameters = Mapping[str, Tensor]
"""A point in weight space: every parameter of the network by its name."""

WRAPPED = "_orig_mod"
"""Where ``torch.compile`` keeps the module that it has wrapped."""


def original(model: nn.Module) -> nn.Module:
    """Return the network that ``torch.compile`` has wrapped, or the network itself."""
    inner = getattr(model, WRAPPED, model)
    assert isinstance(inner, nn.Module)
    return inner


def is_compiled(model: nn.Module) -> bool:
    """Whether ``torch.compile`` or ``compile()`` has been applied to the network or a part of it."""
    return any(
        WRAPPED in module._modules or module._compiled_call_impl is not None or "forward" in vars(module)
        for module in model.modules()
    )


def modules_of(model: nn.Module) -> list[nn.Module]:
    """Return a network's modules, each once, without the wrappers of ``torch.compile``."""
    return [module for module in model.modules() if WRAPPED not in module._modules]


def parameters_of(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return a network's parameters, each once, by the names that they have uncompiled."""
    return {name.replace(f"{WRAPPED}.", ""): p for name, p in model.named_parameters()}


def require_real(model: nn.Module) -> None:
    """Raise `UserError` if a network has complex weights."""
    for name, p in parameters_of(model).items():
        if p.is_complex():
            raise UserError(f"model: {name} is complex; the probes measure real weights")


@dataclass(frozen=True)
class ModuleState:
    """What one module holds besides its parameters: attributes of `IMMUTABLE` types, the others, buffers."""

    fixed: dict[str, Any]
    changeable: dict[str, Any]
    buffers: dict[str, Tensor | None]


@dataclass(frozen=True)
class NetworkState:
    """The state of a network at one moment.

    Attributes
    ----------
    parameters
        W, by name.
    modules, loss
        What else the modules of the network and of the loss hold, in the order of the modules.
    """

    parameters: dict[str, Tensor]
    modules: tuple[ModuleState, ...]
    loss: tuple[ModuleState, ...]


class Replica:
    """The twin of a network and of the loss.

    Parameters
    ----------
    model
        The network in training, which is never written to; what ``torch.compile`` made of it counts as itself.
    loss_function
        A loss that is a module is copied too, and a method of the network becomes that of its twin; any other function
        is called as it is.

    Attributes
    ----------
    wide
        A twin of the twin in float64, once it has been asked for (`normscape.twin.precision`).

    Raises
    ------
    UserError
        If the network or the loss cannot be copied.
    """

    def __init__(self, model: nn.Module, loss_function: Any) -> None:
        self._given, self.model, self._loss = model, original(model), loss_function
        self._make()

    def _make(self) -> None:
        self.wide: Replica | None = None
        self._form = _form(self.model)
        self.compiled = is_compiled(self._given)
        self.twin = _twin(self.model, "network")
        self._modules = modules_of(self.twin)
        self.parameters = parameters_of(self.twin)
        live = [*modules_of(self.model), *parameters_of(self.model).values()]
        twins = [*self._modules, *self.parameters.values()]
        self._twin_of: Memo = {id(mine): twin for mine, twin in zip(live, twins, strict=True)}
        self._itself: Memo = {id(twin): twin for twin in twins}
        _rebind_hooks(self._modules, self._twin_of)
        self.loss_function = self._loss
        if isinstance(self._loss, nn.Module):
            self.loss_function = _twin(self._loss, "loss")
        elif isinstance(self._loss, MethodType):
            self.loss_function = rebound(self._loss, self._twin_of)

    def capture(self) -> NetworkState:
        """Copy all that the network holds now; if it has other modules or parameters than before, make a new twin."""
        if _form(self.model) != self._form:
            self._make()
        loss = self._loss.modules() if isinstance(self._loss, nn.Module) else ()
        return NetworkState(
            {name: p.detach().clone() for name, p in parameters_of(self.model).items()},
            tuple(_state(modules_of(self.model), {**self._twin_of})),
            tuple(_state(loss, {})),
        )

    def now(self, loss: tuple[ModuleState, ...]) -> NetworkState:
        """Copy all that the twin holds now besides parameters, as in the midst of a pass; of the loss what is given."""
        return NetworkState({}, tuple(_state(self._modules, {**self._itself})), loss)

    def moved(self, state: NetworkState) -> bool:
        """Whether the network's parameters have changed, as after a data-dependent initialisation."""
        now = parameters_of(self.model)
        return now.keys() != state.parameters.keys() or not all(
            torch.equal(p, now[name]) or bool(torch.isnan(p).any()) for name, p in state.parameters.items()
        )

    def restore(self, state: NetworkState) -> None:
        """Give the twin what the network held besides parameters, and the loss what it held."""
        _put(self._modules, state.modules, {**self._itself})
        if state.loss:
            _put(self.loss_function.modules(), state.loss, {})

    @torch.no_grad()
    def place(self, point: Parameters, differentiated: Iterable[str] = ()) -> list[Tensor]:
        """Give the twin's parameters their values at a point; return those to differentiate by."""
        places = [self.parameters[name].requires_grad_(False) for name in point]
        torch._foreach_copy_(places, list(point.values()))
        return [self.parameters[name].requires_grad_() for name in differentiated]


def _state(modules: Iterable[nn.Module], memo: Memo) -> Iterator[ModuleState]:
    for module in modules:
        held = attributes(module)
        yield ModuleState(
            {name: value for name, value in held.items() if type(value) in IMMUTABLE},
            {name: copied(value, memo) for name, value in held.items() if type(value) not in IMMUTABLE},
            {name: copied(buffer, memo) for name, buffer in module._buffers.items()},
        )


def _put(modules: Iterable[nn.Module], states: tuple[ModuleState, ...], memo: Memo) -> None:
    for module, kept in zip(modules, states, strict=True):
        own = vars(module)
        own.update(kept.fixed)
        for name, value in kept.changeable.items():
            own[name] = copied(value, memo)
        if len(own) != machinery_of(module) + len(kept.fixed) + len(kept.changeable):
            for name in attributes(module).keys() - kept.fixed.keys() - kept.changeable.keys():
                del own[name]
        if len(module._buffers) != len(kept.buffers):
            module._buffers.clear()
        for name, buffer in kept.buffers.items():
            module._buffers[name] = copied(buffer, memo)


def _form(model: nn.Module) -> list[Any]:
    """Return what a twin must share with its network: modules, parameters, their shapes, types and device."""
    parameters = [(name, p.shape, p.dtype, p.device) for name, p in model.named_parameters()]
    return [*parameters, *map(id, model.modules())]


HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
WATCHING = "normscape.observing.watch"
"""Where the hooks come from by which a step is recorded: they are not part of the network, nor of its twin."""


def _twin(module: nn.Module, what: str) -> nn.Module:
    memo: Memo = {}
    own = {id(part) for part in module.modules()}
    try:
        if isinstance(module, nn.parallel.DistributedDataParallel | nn.DataParallel | torch.jit.ScriptModule):
            raise TypeError("give the plain module that it was made of")
        for part in module.modules():
            for tensor in tensors_in([attributes(part), part._buffers]):
                if tensor.grad_fn is not None:  # such as a weight that is computed from others before each pass
                    memo[id(tensor)] = tensor.detach().clone()
        for hook in _all_hooks(module):
            if id(getattr(hook, "__self__", None)) not in own:
                memo[id(hook)] = hook  # a foreign hook, which may hold anything
        for part in module.modules():
            if WRAPPED in part._modules:
                memo[id(part)] = copy.deepcopy(part._modules[WRAPPED], memo)
        twin = copy.deepcopy(module, memo)
        for part in twin.modules():
            for key in [key for key, hook in part._forward_pre_hooks.items() if _watches(hook)]:
                del part._forward_pre_hooks[key]
                part._forward_pre_hooks_with_kwargs.pop(key, None)
        return twin
    except Exception as error:
        reason = " ".join(str(error).split())
        message = f"{what}: {type(module).__name__} cannot be copied, and the probes repeat a step on a copy; {reason}"
        raise UserError(message) from error


def hooks_of(model: nn.Module) -> list[Any]:
    """Return the hooks of a network's modules, but those by which a step is recorded."""
    return [hook for hook in _all_hooks(model) if not _watches(hook)]


def _all_hooks(model: nn.Module) -> list[Any]:
    return [hook for part in model.modules() for name in HOOKS for hook in vars(part).get(name, {}).values()]


def _watches(hook: Any) -> bool:
    return getattr(hook, "__module__", None) == WATCHING


def _rebind_hooks(modules: list[nn.Module], twin_of: Memo) -> None:
    """Let hooks that are functions with a module of the network in their closure see its twin there."""
    for module in modules:
        for name in HOOKS:
            hooks = vars(module).get(name, {})
            for key, hook in list(hooks.items()):
                hooks[key] = rebound(hook, twin_of)
