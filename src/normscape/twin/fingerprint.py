"""Digests of all that training depends on, to tell whether anything has changed, and what."""

import hashlib
import io
import itertools
import pickle
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import BuiltinFunctionType, FunctionType, GeneratorType, MethodType, ModuleType
from typing import Any
from weakref import ReferenceType

import numpy as np
import torch
from torch import Tensor, nn

from normscape.errors import UserError
from normscape.twin.copies import attributes, reached_at_last
from normscape.twin.held import OF_CLASS, OF_MODULE, held_by_classes, held_by_loss
from normscape.twin.replica import original

LOSS = "the loss's "
"""How the places begin that a loss reaches."""


@dataclass(frozen=True)
class Fingerprint:
    """Digests of all that training depends on, by where it is."""

    parts: dict[str, str]

    @classmethod
    def of(cls, model: nn.Module, optimizer: torch.optim.Optimizer, loss_function: Any) -> "Fingerprint":
        """Take the digests now."""
        return cls(dict(_parts(original(model), optimizer, loss_function)))

    def changed(self, other: "Fingerprint") -> list[str]:
        """Return where two fingerprints differ; what a loss has appended to a record meanwhile does not count."""
        places = self.parts.keys() | {place for place in other.parts if not _may_be_appended(place)}
        return sorted(place for place in places if self.parts.get(place) != other.parts.get(place))


def _may_be_appended(place: str) -> bool:
    return place.startswith(LOSS) and "[" in place


def of_view(tensors: Iterable[Mapping[str, Tensor]]) -> str:
    """Return a digest of the points and gradients that all probes of a step share."""
    return digest(list(tensors))


def require_untouched(before: Fingerprint, now: Fingerprint, what: str) -> None:
    """Raise `UserError` if what trains is no longer what it was."""
    if places := before.changed(now):
        more = f" and {len(places) - 1} more" if len(places) > 1 else ""
        out_of_reach = places[0].endswith((OF_CLASS, OF_MODULE))
        cure = (
            "keep it in a buffer, which is saved and restored"
            if out_of_reach
            else "measuring must not touch what trains"
        )
        raise UserError(f"{places[0]}{more}: changed by {what}; {cure}")


@contextmanager
def stateless(loss_function: Any) -> Iterator[None]:
    """Refuse a loss that the block's call of it changes: nothing would save or restore its state.

    What it can reach counts too, e.g. another network that it runs, whose BatchNorm updates its running statistics. The
    buffers of that network are restored before the loss is refused. New entries of containers may be a record that it
    keeps, and are let pass; entries that have changed may be what it goes by.
    """
    before = {name: digest(value) for name, value in held_by_loss(loss_function)}
    modules = [value for value in reached_at_last(loss_function).values() if isinstance(value, nn.Module)]
    buffers = [(buffer, buffer.clone()) for module in modules for buffer in module.buffers()]
    yield
    for name, value in held_by_loss(loss_function):
        if digest(value) != before.get(name) and (name in before or "[" not in name):
            for buffer, kept in buffers:
                buffer.copy_(kept)
            kind = getattr(loss_function, "__name__", type(loss_function).__name__)
            raise UserError(f"loss: {kind}.{name} changes when it is called; a loss must be a function")


def _parts(model: nn.Module, optimizer: torch.optim.Optimizer, loss_function: Any) -> Iterator[tuple[str, str]]:
    for path, module in model.named_modules():
        here = f"{path}." if path else ""
        for name, value in {**attributes(module), **module._buffers, **module._parameters}.items():
            yield f"{here}{name}", digest(value)
        for name, p in module._parameters.items():
            yield f"gradient of {here}{name}", digest(None if p is None else p.grad)
        yield f"hooks of {here or 'the network'}", str(len(module._forward_hooks) + len(module._forward_pre_hooks))
    for place, value in held_by_classes(model):
        yield place, digest(value)
    yield "the optimiser's state", digest([list(optimizer.state.values()), _settings(optimizer)])
    for name, value in held_by_loss(loss_function):
        yield f"{LOSS}{name}", digest(value)


def _settings(optimizer: torch.optim.Optimizer) -> list[Any]:
    return [{name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups]


def digest(value: Any, depth: int = 6, within: tuple[int, ...] = ()) -> str:
    """Return a text that differs when the value differs; of objects of ours, such as an `Observation`, their type.

    What measures is not what trains, although it may stand in the same file, and leads to a twin whose weights move.
    """
    if _measures(value) or id(value) in within:
        return str(type(value))
    within = (*within, id(value))
    if isinstance(value, Tensor):
        return f"{value.dtype}{tuple(value.shape)}{_hash(_bytes(value))}"
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{value.shape}{_hash(value.tobytes())}"
    if isinstance(value, torch.Generator):
        return digest(value.get_state())
    if isinstance(value, Mapping):
        return str([(str(key), digest(item, depth, within)) for key, item in value.items()])
    if isinstance(value, list | tuple | deque):
        return str([digest(item, depth, within) for item in value])
    if isinstance(value, type | ModuleType | BuiltinFunctionType):
        return getattr(value, "__name__", str(type(value)))
    if isinstance(value, nn.Module | MethodType | FunctionType | partial | ReferenceType):
        return str(type(value))
    if isinstance(value, GeneratorType):
        frame = value.gi_frame
        return digest([frame.f_lasti, dict(frame.f_locals)], depth - 1, within) if frame and depth else str(frame)
    if isinstance(value, itertools.count):
        return repr(value)
    if isinstance(value, int | float | str | bytes | bool | type(None)):
        return repr(value)
    try:
        with warnings.catch_warnings(action="ignore"):
            content = io.BytesIO()
            _Pickler(content).dump(value)
            return _hash(content.getbuffer())
    except Exception:  # what cannot be pickled is what it holds
        held = digest(dict(vars(value)), depth - 1, within) if hasattr(value, "__dict__") and depth else id(value)
        return f"{type(value)}{held}"


def _measures(value: Any) -> bool:
    return type(value).__module__.split(".")[0] == "normscape" and not isinstance(value, nn.Module)


class _Pickler(pickle.Pickler):
    def persistent_id(self, value: Any) -> str | None:
        """Return what stands for an object of ours."""
        return str(type(value)) if _measures(value) else None


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
