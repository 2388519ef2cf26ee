"""What code of the user's holds outside of modules, parameters and buffers, where nothing saves or restores it."""

import math
import sys
from collections import deque
from collections.abc import Iterator
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
from torch import Tensor, nn

from normscape.process.own_files import is_known, is_own
from normscape.twin.copies import DEEPEST, MANY, attributes, is_filled, is_plain_object, is_torch_s, reached

Held = Iterator[tuple[str, Any]]
"""Values by the places where they are held, as a message names them."""

OF_CLASS, OF_MODULE = " (of the class)", " (of the module)"
"""How places end that are in a class or in a file."""

CODE = (type, ModuleType, BuiltinFunctionType, nn.Module)
"""What holds nothing itself, or is looked at elsewhere."""


def held_by_classes(model: nn.Module) -> Held:
    """Yield what foreign classes of a network, and the user's own files that they use, hold for all of their kind."""
    kinds = {kind for module in model.modules() for kind in type(module).__mro__}
    foreign = [kind for kind in kinds if kind.__module__.split(".")[0] not in ("torch", "torchvision", "normscape")]
    foreign = [kind for kind in foreign if kind is not object]
    for kind in foreign:
        for name, value in vars(kind).items():
            if isinstance(value, FunctionType) or not name.startswith("__"):
                yield from _own(f"{kind.__name__}.{name}{OF_CLASS}", value)
    for module in _modules_of({kind.__module__ for kind in foreign}):
        yield from _globals(module)


def held_by_loss(loss_function: Any) -> Held:
    """Yield what a loss may change and use: what it holds, entry by entry, and what functions that it calls reach."""
    if isinstance(loss_function, nn.Module):
        yield from {**attributes(loss_function), **dict(loss_function.named_buffers())}.items()
        return
    seen: set[int] = set()

    def visit(name: str, value: Any, depth: int) -> Held:
        if id(value) in seen or depth > DEEPEST:
            return
        if isinstance(value, partial | MethodType | FunctionType):
            seen.add(id(value))
            for inner, item in reached(value).items() if not is_torch_s(value) else ():
                yield from visit(inner, item, depth + 1)
        elif isinstance(value, ModuleType):
            seen.add(id(value))
            if not is_known(value.__name__) and is_own(value.__name__):
                yield from _globals(value)
        else:
            yield from _entries(name, value)

    for name, value in reached(loss_function).items():
        yield from visit(name, value, 0)


def _entries(name: str, value: Any, depth: int = 3) -> Held:
    """Yield what containers and plain objects hold, one by one: what is appended is told from what is changed."""
    parts: dict[str, Any] | None = None
    if _is_long(value) or (isinstance(value, CODE) and not isinstance(value, nn.Module)):
        return
    if isinstance(value, nn.Module):
        yield name, [[attributes(part), list(part._buffers.values())] for part in value.modules()]
        return
    if isinstance(value, dict):
        parts = {f"{name}[{key!r}]": item for key, item in value.items()}
    elif isinstance(value, list | deque):
        parts = {f"{name}[{place}]": item for place, item in enumerate(value)}
    elif is_plain_object(value) and not isinstance(value, partial):
        parts = {f"{name}.{key}": item for key, item in vars(value).items()}
    if parts is None or not depth:
        yield name, value
        return
    for inner, item in parts.items():
        yield from _entries(inner, item, depth - 1)


def _modules_of(names: set[str]) -> list[ModuleType]:
    """Return modules, and the user's own that they use, as far as they have been imported."""
    found: dict[str, ModuleType] = {}
    waiting = {name for name in names if not is_known(name)}
    while waiting:
        name = waiting.pop()
        if name in found or name not in sys.modules:
            continue
        found[name] = sys.modules[name]
        for value in list(vars(found[name]).values()):
            used = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
            if isinstance(used, str) and used not in found and not is_known(used) and is_own(used):
                waiting.add(used)
    return [found[name] for name in sorted(found)]


def _globals(module: ModuleType) -> Held:
    for name, value in list(vars(module).items()):
        if not name.startswith("__"):
            yield from _own(f"{module.__name__}.{name}{OF_MODULE}", value)


def _own(place: str, value: Any) -> Held:
    """Yield a value, or what a function keeps: its closure, its defaults and its attributes."""
    value = getattr(value, "__func__", value)
    if isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or () if is_filled(cell)]
        kept = [*cells, value.__defaults__, value.__kwdefaults__, vars(value)]
        if content := [item for item in kept if item and not isinstance(item, (*CODE, FunctionType))]:
            yield place, content
    elif not isinstance(value, (*CODE, property)) and not _is_long(value):
        yield place, value


def _is_long(value: Any) -> bool:
    if isinstance(value, Tensor | np.ndarray):
        return math.prod(value.shape) >= MANY * MANY
    return isinstance(value, list | dict | set | deque) and len(value) >= MANY
