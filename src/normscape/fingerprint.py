"""Digests of all that training depends on, to tell whether anything has changed, and what."""

import hashlib
import pickle
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from normscape.errors import UserError
from normscape.replica import attributes, original


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
    """Refuse a loss that the block's call of it changes: nothing would keep its state, nor put it back."""
    before = {name: digest(value) for name, value in _held(loss_function).items()}
    yield
    for name, value in _held(loss_function).items():
        if digest(value) != before.get(name):
            kind = getattr(loss_function, "__name__", type(loss_function).__name__)
            raise UserError(
                f"loss: {kind}.{name} changes when it is called; expected a function of outputs and targets"
            )


def _held(loss_function: Any) -> dict[str, Any]:
    """Return what an object holds that is called as a loss; its buffers too, if it is a module."""
    if isinstance(loss_function, nn.Module):
        return {**attributes(loss_function), **dict(loss_function.named_buffers())}
    return dict(getattr(loss_function, "__dict__", {}))


def _parts(model: nn.Module, optimizer: torch.optim.Optimizer, loss_function: Any) -> Iterator[tuple[str, str]]:
    for path, module in model.named_modules():
        here = f"{path}." if path else ""
        for name, value in {**attributes(module), **module._buffers, **module._parameters}.items():
            yield f"{here}{name}", digest(value)
        for name, p in module._parameters.items():
            yield f"gradient of {here}{name}", digest(None if p is None else p.grad)
        yield f"hooks of {here or 'the network'}", str(len(module._forward_hooks) + len(module._forward_pre_hooks))
        for kind in type(module).__mro__:
            if kind.__module__.split(".")[0] not in ("torch", "normscape", "builtins"):
                for name, value in vars(kind).items():
                    if isinstance(value, Tensor | int | float | list | dict) and not name.startswith("__"):
                        yield f"{kind.__name__}.{name} (of the class)", digest(value)
    yield "the optimiser's state", digest([list(optimizer.state.values()), _settings(optimizer)])
    for name, value in _held(loss_function).items():
        yield f"the loss's {name}", digest(value)


def _settings(optimizer: torch.optim.Optimizer) -> list[Any]:
    return [{name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups]


def digest(value: Any) -> str:
    """Return a text that is another one when the value is another one."""
    if isinstance(value, Tensor):
        return f"{value.dtype}{tuple(value.shape)}{_hash(_bytes(value))}"
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{value.shape}{_hash(value.tobytes())}"
    if isinstance(value, torch.Generator):
        return digest(value.get_state())
    if isinstance(value, nn.Module):
        return "module"
    if isinstance(value, Mapping):
        return str([(str(key), digest(item)) for key, item in value.items()])
    if isinstance(value, list | tuple):
        return str([digest(item) for item in value])
    if isinstance(value, int | float | str | bytes | bool | type(None)):
        return repr(value)
    try:
        return _hash(pickle.dumps(value))
    except Exception:  # what cannot be pickled is taken for itself
        return f"{type(value)}{id(value)}"


def _bytes(tensor: Tensor) -> bytes:
    plain = tensor.detach().cpu()
    plain = plain.to_dense() if plain.layout is not torch.strided else plain
    return bytes(plain.contiguous().view(-1).view(torch.uint8).numpy().tobytes()) if plain.numel() else b""


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
