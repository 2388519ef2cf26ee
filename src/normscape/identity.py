"""What makes a run: every setting that can change one of its numbers, and the source of what the user brings.

The same setup under another name, tracker or device is the same run; a changed setting is another one.
"""

import ast
import hashlib
import inspect
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from hydra.utils import get_object

from normscape.config import COMPONENTS, RunConfig
from normscape.errors import UserError, first_line
from normscape.process.own_files import file_of, is_known, is_own
from normscape.reduced.eligible import arithmetic_of
from normscape.storage.files import worded

NUMERICS = 2
"""Part of every identity; raised by a change of the code that changes the numbers of every run."""

NUMERICS_OF = {"Whitening": 2}
"""Part of the identities of runs with that class of this project, raised by a change that changes these alone."""


def settings(config: RunConfig) -> dict[str, Any]:
    """Return the settings that can change a number of the run, as the fields of `RunConfig` are marked."""
    content = asdict(config)
    kept = {item.name: content[item.name] for item in fields(config) if item.metadata.get("identity", True)}
    kept["data"].pop("root", None)  # where the data lies, a label inside a component; its checksum is kept
    if config.kernels == "auto":  # what it comes to depends on the machine, as the device does
        del kept["kernels"]
    kept["arithmetic"] = arithmetic_of(config)
    if kept["arithmetic"] == "plain":  # what every run was before there was another
        del kept["arithmetic"]
    if config.decayed == "all":  # what an optimiser does by itself
        del kept["decayed"]
    if config.precision == "float32":
        del kept["precision"]
    if config.compile == "none":
        del kept["compile"]
    return kept


def identity(config: RunConfig) -> str:
    """Return the run's identity, 12 hexadecimal digits.

    Classes of the user's own count by their source: that of the class, of its bases, and of what their files import
    from the user's own files and from the package that they are in, installed or not; edited, they make another run.
    Classes of this project count by `NUMERICS` and `NUMERICS_OF`.
    """
    content = {"numerics": NUMERICS, **_canonical(settings(config)), **_numerics(config), **_foreign_sources(config)}
    text = json.dumps(worded(content), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def same_settings(config: RunConfig, kept: Mapping[str, Any]) -> bool:
    """Whether the settings that a run has written down are its own, as far as this version knows them."""
    now = worded(_canonical(settings(config)))
    return all(_canonical(kept[key]) == now[key] for key in now if key in kept)


def _numerics(config: RunConfig) -> dict[str, int]:
    """Return the entries of `NUMERICS_OF` for the classes that a config names."""
    ours = {target.rpartition(".")[2] for target in _of(config) if target.startswith("normscape.")}
    return {f"numerics of {name}": NUMERICS_OF[name] for name in sorted(ours & NUMERICS_OF.keys())}


def _foreign_sources(config: RunConfig) -> dict[str, str]:
    """Return a hash of the source of each target, at any depth, that neither this project nor torch brings."""
    return {f"source of {target}": _source_hash(target) for target in _of(config) if not is_known(target)}


def _of(config: RunConfig) -> list[str]:
    """Return every dotted path of the config's components that can change a number."""
    nodes = [getattr(config, name) for name in (*COMPONENTS, "schedule", "probe") if name != "tracker"]
    return list(_targets(nodes))


def _targets(node: Any) -> Iterator[str]:
    """Yield every dotted path that a config names as something to call or to get, at any depth."""
    if isinstance(node, dict):
        target = node.get("_target_")
        if isinstance(target, str):
            yield target
            if target.startswith("hydra.utils.get_") and isinstance(node.get("path"), str):
                yield node["path"]
    for item in node.values() if isinstance(node, dict) else node if isinstance(node, list | tuple) else ():
        yield from _targets(item)


def _source_hash(target: str) -> str:
    """Return a hash of the file that a dotted path names, of those of a class's bases, and of what these import."""
    try:
        found = get_object(target)
    except Exception:  # building it will say so
        return ""
    kinds = inspect.getmro(found) if inspect.isclass(found) else (found, type(found))
    modules = {kind.__module__ for kind in kinds if hasattr(kind, "__module__") and not is_known(kind.__module__)}
    parts = target.split(".")
    paths = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    modules.add(next((path for path in paths if path in sys.modules), target))
    sources = _imported(modules)
    hashes = {name: _hash_of(name, sources[name]) for name in sorted(sources)}
    if len(hashes) < 2:  # none: written in C, or made on the way
        return "".join(hashes.values())
    return hashlib.sha256("".join(f"{name} {kept}" for name, kept in hashes.items()).encode()).hexdigest()


_LOADED: dict[str, tuple[ModuleSpec, str]] = {}


def _hash_of(name: str, file: Path) -> str:
    """Return a hash of a module's source; of one that this process has loaded, of the source that it runs.

    Edited while a process carries out runs, it stays what it is there until it is loaded again.
    """
    spec: ModuleSpec | None = getattr(sys.modules.get(name), "__spec__", None)
    if spec is None:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    if name not in _LOADED or _LOADED[name][0] is not spec:
        _LOADED[name] = spec, hashlib.sha256(file.read_bytes()).hexdigest()
    return _LOADED[name][1]


def _imported(names: set[str]) -> dict[str, Path]:
    """Return the files of modules, and of what they import, anywhere in them, of the user's own or of their packages.

    An installed package that has been named is followed too: it may be the user's own, installed anew after an edit.
    """
    packages = {name.partition(".")[0] for name in names}
    found: dict[str, Path] = {}
    waiting = {name: file_of(name) for name in names}
    while waiting:
        name, file = waiting.popitem()
        if file is None:
            continue
        found[name] = file
        changed = file.stat()
        for used in _imports(name, file, (changed.st_mtime_ns, changed.st_size)):
            if used in found or is_known(used):
                continue
            if used.partition(".")[0] in packages or is_own(used):
                waiting[used] = file_of(used)
    return found


@cache
def _imports(name: str, file: Path, _changed: tuple[int, int]) -> frozenset[str]:
    """Return the modules that a module's file, last changed then, may import; large packages are read once."""
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    try:
        tree = ast.parse(file.read_bytes())  # bytes, whose first lines may name their encoding
    except (SyntaxError, ValueError) as error:
        raise UserError(f"{file}: cannot be read as Python ({first_line(error)})") from error
    return frozenset(used for node in ast.walk(tree) for used in _named(node, package))


def _named(node: ast.AST, package: str) -> Iterator[str]:
    """Yield the modules that an import statement may mean, in a module of the package."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        above = package.rsplit(".", node.level - 1)[0] if node.level > 1 else package
        base = ".".join(filter(None, [above if node.level else "", node.module or ""]))
        yield base
        yield from (f"{base}.{alias.name}" for alias in node.names)


def changes(overrides: Sequence[str]) -> list[str]:
    """Return those of some Hydra overrides that change what a run computes, e.g. ``["optimizer.lr=0.3"]``."""
    plain = [override.replace("~", "no-").lstrip("+") for override in overrides]
    return [override for override in plain if not _is_neutral(override.removeprefix("no-").split("=")[0])]


def _is_neutral(key: str) -> bool:
    """Whether a key of a command line changes no number of a run, or what its name and folder tell anyway.

    Among the latter is the choice of a whole scale; what is set in one is a change, as what is set in ``measure``.
    """
    unnamed = {item.name for item in fields(RunConfig) if not item.metadata.get("named", True)}
    return key.split(".")[0] in {"run", *unnamed} or key in ("scale", "data.root") or key.startswith("hydra")


def _canonical(value: Any) -> Any:
    """Return the value with 1.0 written as 1, as YAML and command lines do not care either."""
    if isinstance(value, dict):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
