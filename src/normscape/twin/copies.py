"""Copies of what a module or a function holds, in which modules and parameters are replaced by their twins."""

import copy
import dis
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from types import BuiltinFunctionType, CellType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn

Memo = dict[int, Any]
"""What objects, by their id, are in the copy; as `copy.deepcopy` keeps it."""

MACHINERY = (frozenset(vars(nn.Module())) - {"training"}) | {"_compiled_call_impl"}
"""Attributes in which `torch.nn.Module` keeps parameters, buffers, submodules and hooks."""

_BARE = len(vars(nn.Module())) - 1

_PLAIN = (int, float, complex, bool, str, bytes, type(None), type, BuiltinFunctionType)
IMMUTABLE = frozenset((*_PLAIN, torch.dtype, torch.device, torch.layout, torch.memory_format, torch.Size))


def attributes(module: nn.Module) -> dict[str, Any]:
    """Return what a module keeps besides parameters, buffers, submodules and hooks; its mode is part of it."""
    return {name: value for name, value in vars(module).items() if name not in MACHINERY}


def machinery_of(module: nn.Module) -> int:
    """Return how many attributes a module has besides those of `attributes`."""
    return _BARE + ("_compiled_call_impl" in vars(module))


def copied(value: Any, memo: Memo) -> Any:
    """Return a copy that shares nothing that can change; modules and parameters are what the memo has for them."""
    if type(value) in IMMUTABLE or (type(value) is tuple and all(type(item) in IMMUTABLE for item in value)):
        return value
    if id(value) in memo:
        return memo[id(value)]
    if isinstance(value, Tensor) and type(value) is not nn.Parameter:
        memo[id(value)] = value.detach().clone()
        return memo[id(value)]
    if isinstance(value, FunctionType | MethodType):
        return rebound(value, memo)
    for tensor in tensors_in(value):
        if tensor.grad_fn is not None:  # deepcopy refuses it
            memo.setdefault(id(tensor), tensor.detach().clone())
    return copy.deepcopy(value, memo)


def tensors_in(value: Any, depth: int = 5) -> Iterator[Tensor]:
    """Yield the tensors in nested containers and plain objects."""
    if isinstance(value, Tensor):
        yield value
    elif depth and not isinstance(value, nn.Module | type | FunctionType):
        items = value if isinstance(value, list | tuple | set | deque) else getattr(value, "__dict__", {})
        for item in value.values() if isinstance(value, dict) else items.values() if isinstance(items, dict) else items:
            yield from tensors_in(item, depth - 1)


def rebound(function: Any, twin_of: Memo) -> Any:
    """Return a function or method that sees the twins of modules where its closure, or its self, holds modules.

    A function without any of them is returned as it is, and what ``torch.compile`` has wrapped is unwrapped.
    """
    function = getattr(function, "_torchdynamo_orig_callable", function)
    if isinstance(function, MethodType):
        owner = twin_of.get(id(function.__self__))
        return function if owner is None else MethodType(function.__func__, owner)
    if not isinstance(function, FunctionType) or not function.__closure__:
        return function
    before = [cell.cell_contents for cell in function.__closure__ if is_filled(cell)]
    if not any(_seen(content, twin_of) is not content for content in before):
        return function
    cells = [CellType(_seen(c.cell_contents, twin_of)) if is_filled(c) else c for c in function.__closure__]
    made = FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__, tuple(cells))
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def _seen(content: Any, twin_of: Memo) -> Any:
    if isinstance(content, FunctionType | MethodType):
        return rebound(content, twin_of)
    return twin_of.get(id(content), content)


def is_filled(cell: CellType) -> bool:
    """Whether a variable of a closure has a value."""
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def reached(function: Any) -> dict[str, Any]:
    """Return what a function can read besides its arguments, by name: closure, globals that it loads, its self."""
    if isinstance(function, partial):
        held = {**function.keywords, **{str(i): item for i, item in enumerate(function.args)}}
        return {**reached(function.func), **held}
    if isinstance(function, MethodType):
        loaded = {i.argval for i in dis.get_instructions(function.__func__) if i.opname in ("LOAD_ATTR", "LOAD_METHOD")}
        own = getattr(function.__self__, "__dict__", {})
        return {**reached(function.__func__), **{name: own[name] for name in loaded if name in own}}
    if isinstance(function, BuiltinFunctionType):
        return {function.__name__: function.__self__}
    if not isinstance(function, FunctionType):
        return dict(getattr(function, "__dict__", {}))
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    closure = {name: cell.cell_contents for name, cell in cells if is_filled(cell)}
    loaded = {i.argval for i in dis.get_instructions(function) if i.opname == "LOAD_GLOBAL"}
    return {**closure, **{name: function.__globals__[name] for name in loaded if name in function.__globals__}}


def reached_at_last(function: Any) -> dict[str, Any]:
    """Return the modules and tensors that a function can reach, through helpers and containers too, by name."""
    found: dict[str, Any] = {}
    seen: set[int] = set()

    def visit(name: str, value: Any, depth: int) -> None:
        if id(value) in seen or depth > DEEPEST:
            return
        seen.add(id(value))
        if isinstance(value, nn.Module | Tensor):
            found.setdefault(name, value)
        elif isinstance(value, list | tuple | set | dict) and len(value) < MANY:
            for item in value.values() if isinstance(value, dict) else value:
                visit(name, item, depth + 1)
        elif isinstance(value, partial | MethodType | FunctionType) and not is_torch_s(value):
            for inner, item in reached(value).items():
                visit(inner, item, depth + 1)

    for name, value in reached(function).items():
        visit(name, value, 0)
    return found


DEEPEST = 6
MANY = 1000
"""Longer containers are taken for data."""


def is_torch_s(function: Any) -> bool:
    """Whether a function is torch's or NumPy's."""
    return str(getattr(function, "__module__", "")).split(".")[0] in ("torch", "torchvision", "numpy")


def is_plain_object(value: Any) -> bool:
    """Whether a value is an object with attributes, and none of the kinds that have a meaning of their own."""
    foreign = not isinstance(
        value, nn.Module | Tensor | type | FunctionType | MethodType | ModuleType | torch.optim.Optimizer
    )
    return foreign and isinstance(getattr(value, "__dict__", None), dict)


@contextmanager
def kept_contents(functions: Iterable[Any]) -> Iterator[None]:
    """Put back after the block what functions fill: lists, dictionaries and plain objects, as of hooks that collect."""
    lists: list[tuple[Any, list[Any]]] = []
    dictionaries: list[tuple[dict[Any, Any], dict[Any, Any]]] = []
    tensors: list[tuple[Tensor, Tensor]] = []
    for function in functions:
        for value in (function, getattr(function, "__self__", None), *reached(function).values()):
            if isinstance(value, list | deque):
                lists.append((value, list(value)))
            held = value if isinstance(value, dict) else vars(value) if is_plain_object(value) else {}
            if held:
                dictionaries.append((held, dict(held)))
                tensors += [
                    (t, t.detach().clone()) for t in held.values() if type(t) is Tensor and t.numel() < MANY * MANY
                ]
    try:
        yield
    finally:
        for held, items in lists:
            if [*map(id, held)] != [*map(id, items)]:
                held.clear()
                held.extend(items)
        for held, entries in dictionaries:
            if [*map(id, held.values())] != [*map(id, entries.values())] or held.keys() != entries.keys():
                held.clear()
                held.update(entries)
        for tensor, before in tensors:
            if not torch.equal(tensor, before):
                tensor.data.copy_(before)
