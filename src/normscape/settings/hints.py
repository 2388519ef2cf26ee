"""Whether a value of a config suits the type hint of the parameter that takes it, and how to say that it does not."""

import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from torch import Tensor
from torch.nn import Module

UNIONS = (Union, types.UnionType)
PLAIN = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null"}
"""Types that YAML has, in words."""

NEVER_PLAIN = (Tensor, Module)
"""Types that no YAML value has; only a nested component, with a ``_target_`` of its own, can make one."""


def parameters(called: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Return what a class or function takes by name; nothing if it does not tell."""
    try:
        return inspect.signature(called).parameters
    except (ValueError, TypeError):  # some that are written in C
        return {}


def accepts(called: Callable[..., Any], name: str) -> bool:
    """Whether a class or function names an argument of its own, rather than passing on any."""
    return name in parameters(called)


def takes_anything(called: Callable[..., Any]) -> bool:
    """Whether a class or function takes any name, or does not tell which."""
    try:
        known = inspect.signature(called).parameters.values()
    except (ValueError, TypeError):
        return True
    return any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in known)


def hints(called: Callable[..., Any]) -> dict[str, Any]:
    """Return the type hints of what a class or function takes, as far as they can be evaluated here."""
    function = inspect.unwrap(called.__init__ if inspect.isclass(called) else called)
    found: dict[str, Any] = {}
    for name, annotation in getattr(function, "__annotations__", {}).items():
        alone = types.SimpleNamespace(__annotations__={name: annotation})
        try:
            found |= get_type_hints(alone, getattr(function, "__globals__", {}))
        except Exception:  # a name that its module has for type checkers only, or anything else that eval can raise
            continue
    return found


def suits(value: Any, hint: Any) -> bool:
    """Whether a value read from YAML suits a type hint; it suits every hint that is not understood."""
    if hint is Any or (isinstance(value, Mapping) and "_target_" in value):
        return True
    if hint is None:
        return value is None
    origin, inner = get_origin(hint), get_args(hint)
    if origin in UNIONS:
        return any(suits(value, part) for part in inner)
    if origin is Literal:
        return any(type(value) is type(choice) and value == choice for choice in inner)
    if hint in PLAIN:
        return type(value) is hint or (hint is float and type(value) is int)
    container = origin or hint
    if not inspect.isclass(container):
        return True
    if issubclass(container, Mapping):
        return isinstance(value, Mapping) and (len(inner) < 2 or all(suits(item, inner[1]) for item in value.values()))
    if issubclass(container, Sequence) or container in (set, frozenset) or container.__module__ == "collections.abc":
        return _suits_sequence(value, container, inner)
    return not issubclass(container, NEVER_PLAIN)


def _suits_sequence(value: Any, container: type, inner: tuple[Any, ...]) -> bool:
    if container.__module__ == "collections.abc" and not issubclass(list, container):  # Callable, Hashable, ...
        return True
    if not isinstance(value, list | tuple):
        return False
    if container is tuple and inner and inner[-1] is not Ellipsis:
        return len(value) == len(inner) and all(map(suits, value, inner))
    return not inner or all(suits(item, inner[0]) for item in value)


def in_words(hint: Any) -> str:
    """Say which values suit a type hint: ``a number or null``."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in UNIONS:
        named = [part for part in inner if not (inspect.isclass(part) and issubclass(part, NEVER_PLAIN))]
        return " or ".join(dict.fromkeys(map(in_words, named)))
    if origin is Literal:
        return " or ".join(map(str, inner))
    if hint is None or hint in PLAIN:
        return PLAIN[type(None) if hint is None else hint]
    container = origin or hint
    if inspect.isclass(container) and issubclass(container, Mapping):
        return "a dictionary"
    if (inspect.isclass(container) and issubclass(list, container)) or container in (tuple, set, frozenset):
        if container is tuple and inner and inner[-1] is not Ellipsis:
            return f"a list of {len(inner)}: {', '.join(map(in_words, inner))}"
        return f"a list, each {in_words(inner[0])}" if inner else "a list"
    return f"a {getattr(container, '__name__', container)}"


def shown(value: Any) -> str:
    """Return a value as a command line would have it: ``null``, ``true``, ``[1, 2]``; text like a number's, quoted."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(shown, value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {shown(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str):
        return repr(value) if _looks_unlike_text(value) else value
    return str(value)


def _looks_unlike_text(text: str) -> bool:
    if text.lower() in ("", "null", "true", "false"):
        return True
    try:
        float(text)
    except ValueError:
        return False
    return True
