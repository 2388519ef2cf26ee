"""What an engine may ask for: a package, a number as a setting, GPUs."""

import importlib.util
from typing import Any

from normscape.config import RunConfig
from normscape.errors import UserError


def require_package(package: str, asked: str, extra: str) -> None:
    """Raise `UserError` if a package is not installed that something asks for; say what installs it."""
    if importlib.util.find_spec(package) is None:
        raise UserError(f"{asked}: expected the package {package}; install it with: make env EXTRAS={extra}")


def require_number(name: str, value: Any, least: float, whole: bool = False) -> None:
    """Raise `UserError` unless a setting of an engine is a number of at least so much."""
    kinds = (int,) if whole else (int, float)
    if type(value) not in kinds or not value >= least:
        kind = "a whole number" if whole else "a number"
        raise UserError(f"hydra.launcher.{name}={value}: expected {kind}, {least:g} or more")


def gpus_of(config: RunConfig, asked: float | None, there: float, where: str) -> float:
    """Return how many GPUs a run gets: what is asked for, or one if it may use one and there is one.

    Raises
    ------
    UserError
        If there are not as many: the run would wait for ever.
    """
    if config.device == "cpu":
        return 0
    needed = asked if asked is not None else (1 if there or config.device != "auto" else 0)
    if needed > there:
        key = f"device={config.device}" if asked is None else f"hydra.launcher.gpus_per_run={asked:g}"
        has = f"{there:g} GPUs" if there else "no GPU"
        raise UserError(f"{key}: {where} has {has}; expected at most that many, or device=cpu")
    if needed == 0 and config.device != "auto":
        raise UserError(f"device={config.device}: expected hydra.launcher.gpus_per_run above 0, or device=cpu")
    return needed
