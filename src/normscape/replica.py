"""A twin of a network, on which a step can be repeated at any point in weight space while the network stays untouched.

A forward pass may read and write more than parameters and buffers: plain attributes, generators, modes. The twin is a
deep copy, and before each pass all of that is put back to where it stood when the step began. Aliases stay aliases: a
module or a parameter that is used in two places is one in the twin too.
"""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType
from typing import Any

import torch
from torch import Tensor, nn

from normscape.errors import UserError

Parameters = Mapping[str, Tensor]
"""A point in weight space: every parameter of the network by its name."""

MACHINERY = (frozenset(vars(nn.Module())) - {"training"}) | {"_compiled_call_impl"}
"""Attributes in which `torch.nn.Module` keeps parameters, buffers, submodules and hooks."""

BARE = len(vars(nn.Module())) - 1
"""How many attributes a module has besides those of `attributes`, as long as a pass adds none."""

HOOKS = sorted(name for name in MACHINERY if name.endswith("_hooks"))

_PLAIN = (int, float, complex, bool, str, bytes, type(None), type, FunctionType, BuiltinFunctionType)
IMMUTABLE = frozenset((*_PLAIN, torch.dtype, torch.device, torch.layout, torch.memory_format, torch.Size))

Memo = dict[int, Any]
"""What objects, by their id, are in the copy; as `copy.deepcopy` keeps it."""


def original(model: nn.Module) -> nn.Module:
    """Return the network that ``torch.compile`` has wrapped, or the network itself."""
    inner = getattr(model, "_orig_mod", model)
    assert isinstance(inner, nn.Module)
    return inner


def is_compiled(model: nn.Module) -> bool:
    """Whether ``torch.compile`` or ``compile()`` has been at work on the network."""
    return model is not original(model) or model._compiled_call_impl is not None


def attributes(module: nn.Module) -> dict[str, Any]:
    """Return what a module keeps besides parameters, buffers, submodules and hooks; its mode is part of it."""
    return {name: value for name, value in vars(module).items() if name not in MACHINERY}


def copied(value: Any, memo: Memo) -> Any:
    """Return a copy that shares nothing that can change; modules and parameters are what the memo has for them."""
    if type(value) in IMMUTABLE or (type(value) is tuple and all(type(item) in IMMUTABLE for item in value)):
        return value
    if id(value) in memo:
        return memo[id(value)]
    if isinstance(value, Tensor) and type(value) is not nn.Parameter:
        memo[id(value)] = value.detach().clone()
        return memo[id(value)]
    return copy.deepcopy(value, memo)


@dataclass(frozen=True)
class ModuleState:
    """What one module holds besides its parameters."""

    attributes: dict[str, Any]
    buffers: dict[str, Tensor | None]


@dataclass(frozen=True)
class NetworkState:
    """A network as it stood at one moment: W, by name, and what else its modules hold, in the order of the modules."""

    parameters: dict[str, Tensor]
    modules: tuple[ModuleState, ...]


class Replica:
    """The twin of a network and of the loss.

    Parameters
    ----------
    model
        The network in training, of which nothing is ever written; what ``torch.compile`` made of it counts as itself.
    loss_function
        A loss that is a module is copied too; a function is called as it is.

    Raises
    ------
    UserError
        If the network or the loss cannot be copied.
    """

    def __init__(self, model: nn.Module, loss_function: Any) -> None:
        self.model = original(model)
        self.loss_function = _twin(loss_function, "loss") if isinstance(loss_function, nn.Module) else loss_function
        self._make()

    def _make(self) -> None:
        self._form = _form(self.model)
        self.twin = _twin(self.model, "network")
        self._modules = list(self.twin.modules())
        self.parameters = dict(self.twin.named_parameters())
        live = [*self.model.modules(), *self.model.parameters()]
        twins = [*self._modules, *self.parameters.values()]
        self._twin_of = {id(mine): twin for mine, twin in zip(live, twins, strict=True)}
        self._itself = {id(twin): twin for twin in twins}

    def capture(self) -> NetworkState:
        """Copy all that the network holds now; if it has other modules or parameters than before, make a new twin."""
        if _form(self.model) != self._form:
            self._make()
        memo: Memo = {**self._twin_of}
        modules = tuple(
            ModuleState(
                {name: copied(value, memo) for name, value in attributes(module).items()},
                {name: copied(buffer, memo) for name, buffer in module._buffers.items()},
            )
            for module in self.model.modules()
        )
        return NetworkState({name: p.detach().clone() for name, p in self.model.named_parameters()}, modules)

    def moved(self, state: NetworkState) -> bool:
        """Whether the network's parameters are others than they were, as after a data-dependent initialisation."""
        now = dict(self.model.named_parameters())
        return now.keys() != state.parameters.keys() or not all(
            torch.equal(p, now[name]) or bool(torch.isnan(p).any()) for name, p in state.parameters.items()
        )

    def restore(self, state: NetworkState) -> None:
        """Give the twin what the network held besides parameters."""
        memo: Memo = {**self._itself}
        for module, kept in zip(self._modules, state.modules, strict=True):
            own = vars(module)
            if len(own) != BARE + len(kept.attributes):
                for name in attributes(module).keys() - kept.attributes.keys():
                    del own[name]
            for name, value in kept.attributes.items():
                own[name] = copied(value, memo)
            if len(module._buffers) != len(kept.buffers):
                module._buffers.clear()
            for name, buffer in kept.buffers.items():
                module._buffers[name] = copied(buffer, memo)

    @torch.no_grad()
    def place(self, point: Parameters, differentiated: Iterable[str] = ()) -> list[Tensor]:
        """Give the twin's parameters their values at a point; return those by which one wants to differentiate."""
        for name, value in point.items():
            self.parameters[name].requires_grad_(False).copy_(value)
        return [self.parameters[name].requires_grad_() for name in differentiated]


def _form(model: nn.Module) -> list[Any]:
    """Return what a twin must share with its network: modules, parameters, their shapes, types and device."""
    parameters = [(name, p.shape, p.dtype, p.device) for name, p in model.named_parameters()]
    return [*parameters, *map(id, model.modules())]


def _twin(module: nn.Module, what: str) -> nn.Module:
    memo: Memo = {}
    own = {id(part) for part in module.modules()}
    for part in module.modules():
        for tensor in _tensors([attributes(part), part._buffers]):
            if tensor.grad_fn is not None:  # such as a weight that is computed from others before each pass
                memo[id(tensor)] = tensor.detach().clone()
        for hook in (hook for name in HOOKS for hook in vars(part).get(name, {}).values()):
            if id(getattr(hook, "__self__", None)) not in own:
                memo[id(hook)] = hook  # a hook of somebody else's, which may hold anything
    try:
        if isinstance(module, nn.parallel.DistributedDataParallel | nn.DataParallel | torch.jit.ScriptModule):
            raise TypeError("give the plain module that it was made of")
        twin = copy.deepcopy(module, memo)
    except Exception as error:
        reason = " ".join(str(error).split())
        message = f"{what}: {type(module).__name__} cannot be copied, and the probes repeat a step on a copy; {reason}"
        raise UserError(message) from error
    return twin


def _tensors(value: Any) -> Iterable[Tensor]:
    """Yield the tensors in nested lists, tuples and dictionaries."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _tensors(item)
