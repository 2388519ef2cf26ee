"""Whose code a module is: the user's own, or a package's."""

import importlib.util
import site
import sys
from pathlib import Path


def is_known(module: str) -> bool:
    """Whether a dotted path is in this project, in what it builds on, or in Python: no code of the user's."""
    package = module.split(".")[0]
    return package in ("normscape", "torch", "torchvision", "hydra") or package in sys.stdlib_module_names


def is_own(name: str) -> bool:
    """Whether a module is a file of the user's, which no package index has installed."""
    installed = [*site.getsitepackages(), site.getusersitepackages(), sys.prefix]
    top, file = file_of(name.partition(".")[0]), None
    if top is None or not any(top.is_relative_to(folder) for folder in installed):
        file = file_of(name)
    return file is not None and not any(file.is_relative_to(folder) for folder in installed)


def file_of(name: str) -> Path | None:
    """Return the source file of a module, imported or not; None if it has none, or is none."""
    file = getattr(sys.modules.get(name), "__file__", None)
    if file is None:
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, AttributeError, ValueError):
            return None
        file = spec.origin if spec else None
    return Path(file) if file and file.endswith(".py") else None
