"""Digests of all that training depends on, to tell whether anything has changed, and what."""

import hashlib
import math
import pickle
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import FunctionType, MethodType
from typing import Any
from weakref import ReferenceType

import numpy as np
import torch
from torch import Tensor, nn

from normscape.copies import MANY, attributes, reached, reached_at_last
from normscape.errors import UserError
from normscape.replica import original


@dataclass(frozen=True)
class Fingerprint:
    """Digests of all that training depends on, by where it is."""

    parts: dict[str, str]

    @classmethod
    def of(cls, model: nn.Module, optimizer: torch.optim.Optimizer, loss_function: Any) -> "Fingerprint":
        """Take the digests now."""
        return cls(dict(_parts(original(model), optimizer, loss_function)))

    def changed(self, other: "Fingerprint") -> list[str]:
        """Return where two fingerprints differ."""
        return sorted(
            place for place in self.parts.keys() | other.parts.keys() if self.parts.get(place) != other.parts.get(place)
        )


def of_view(tensors: Iterable[Mapping[str, Tensor]]) -> str:
    """Return a digest of the points and gradients that all probes of a step share."""
    return digest(list(tensors))


def require_untouched(before: Fingerprint, now: Fingerprint, what: str) -> None:
    """Raise `UserError` if what trains is no longer what it was."""
    if places := before.changed(now):
        more = f" and {len(places) - 1} more" if len(places) > 1 else ""
        raise UserError(f"{places[0]}{more}: changed by {what}; measuring must not touch what trains")


@contextmanager
def stateless(loss_function: Any) -> Iterator[None]:
    """Refuse a loss that the block's call of it changes: nothing would save or restore its state.

    What it can reach counts too, e.g. another network that it runs, whose BatchNorm updates its running statistics. The
    buffers of that network are restored before the loss is refused.
    """
    before = {name: digest(value) for name, value in _held(loss_function).items()}
    modules = [value for value in reached_at_last(loss_function).values() if isinstance(value, nn.Module)]
    buffers = [(buffer, buffer.clone()) for module in modules for buffer in module.buffers()]
    yield
    for name, value in _held(loss_function).items():
        if digest(value) != before.get(name):
            for buffer, kept in buffers:
                buffer.copy_(kept)
            kind = getattr(loss_function, "__name__", type(loss_function).__name__)
            raise UserError(f"loss: {kind}.{name} changes when it is called; a loss must be a function")


def _held(loss_function: Any) -> dict[str, Any]:
    """Return what a loss may change and use: what it holds, numbers that it reads, modules that it can reach."""
    if isinstance(loss_function, nn.Module):
        return {**attributes(loss_function), **dict(loss_function.named_buffers())}
    held: dict[str, Any] = {
        name: value for name, value in reached(loss_function).items() if isinstance(value, int | float | Tensor)
    }
    for name, value in reached_at_last(loss_function).items():
        if isinstance(value, nn.Module):
            held[name] = [[attributes(part), list(part._buffers.values())] for part in value.modules()]
    return held


def _parts(model: nn.Module, optimizer: torch.optim.Optimizer, loss_function: Any) -> Iterator[tuple[str, str]]:
    for path, module in model.named_modules():
        here = f"{path}." if path else ""
        for name, value in {**attributes(module), **module._buffers, **module._parameters}.items():
            yield f"{here}{name}", digest(value)
        for name, p in module._parameters.items():
            yield f"gradient of {here}{name}", digest(None if p is None else p.grad)
        yield f"hooks of {here or 'the network'}", str(len(module._forward_hooks) + len(module._forward_pre_hooks))
    yield from _shared(model)
    yield "the optimiser's state", digest([list(optimizer.state.values()), _settings(optimizer)])
    for name, value in _held(loss_function).items():
        yield f"the loss's {name}", digest(value)


HOLDS = (Tensor, np.ndarray, int, float, list, dict, set, deque, torch.Generator)
KNOWN = ("torch", "torchvision", "normscape", "builtins")


def _shared(model: nn.Module) -> Iterator[tuple[str, str]]:
    """Yield what foreign classes, and the files that they are from, hold for all of their kind."""
    kinds = {kind for module in model.modules() for kind in type(module).__mro__}
    foreign = [kind for kind in kinds if kind.__module__.split(".")[0] not in KNOWN]
    for kind in foreign:
        for name, value in vars(kind).items():
            if isinstance(value, HOLDS) and not name.startswith("__"):
                yield f"{kind.__name__}.{name} (of the class)", digest(value)
    for file in {kind.__module__ for kind in foreign}:
        for name, value in vars(sys.modules.get(file)).items() if file in sys.modules else ():
            if isinstance(value, HOLDS) and not name.startswith("__") and not _is_long(value):
                yield f"{file}.{name} (of the module)", digest(value)


def _is_long(value: Any) -> bool:
    if isinstance(value, Tensor | np.ndarray):
        return math.prod(value.shape) >= MANY * MANY
    return isinstance(value, list | dict | set | deque) and len(value) >= MANY


def _settings(optimizer: torch.optim.Optimizer) -> list[Any]:
    return [{name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups]


def digest(value: Any, depth: int = 6) -> str:
    """Return a text that differs when the value differs."""
    if isinstance(value, Tensor):
        return f"{value.dtype}{tuple(value.shape)}{_hash(_bytes(value))}"
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{value.shape}{_hash(value.tobytes())}"
    if isinstance(value, torch.Generator):
        return digest(value.get_state())
    if isinstance(value, Mapping):
        return str([(str(key), digest(item, depth)) for key, item in value.items()])
    if isinstance(value, list | tuple | deque):
        return str([digest(item, depth) for item in value])
    if isinstance(value, nn.Module | MethodType | FunctionType | partial | ReferenceType):
        return str(type(value))
    if isinstance(value, int | float | str | bytes | bool | type(None)):
        return repr(value)
    try:
        return _hash(pickle.dumps(value))
    except Exception:  # what cannot be pickled is what it holds
        held = digest(dict(vars(value)), depth - 1) if hasattr(value, "__dict__") and depth else id(value)
        return f"{type(value)}{held}"


def _bytes(tensor: Tensor) -> Any:
    """Return a tensor's content as a buffer, without a copy if it is contiguous in CPU memory."""
    if tensor.is_meta:
        return b""
    plain = tensor.detach().cpu()
    plain = plain.to_dense() if plain.layout is not torch.strided else plain
    content: Any = plain.contiguous().view(-1).view(torch.uint8).numpy()
    return memoryview(content) if plain.numel() else b""


def _hash(content: Any) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
