"""What every engine offers, and the engine that a config names."""

import importlib.util
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from hydra.utils import get_class
from omegaconf import OmegaConf

from normscape.config import RunConfig
from normscape.errors import UserError
from normscape.tally import Tally

HYDRAS_OWN = "BasicLauncher"
"""Hydra's launcher where no config of ours is found, as with a folder of configs of the user's own."""


class Engine(Protocol):
    """Carries out runs, several at a time, and tells how it goes."""

    local: bool
    """Whether it computes with the devices of this machine alone."""

    def require(self, configs: Sequence[RunConfig]) -> None:
        """Raise `UserError` at once if it cannot be used here, or has not what the runs ask for."""

    def described(self, configs: Sequence[RunConfig]) -> str:
        """Return how runs will be carried out, e.g. ``2 at a time``."""

    def seconds(self, configs: Sequence[RunConfig]) -> tuple[float, Sequence[float]] | None:
        """Return about how long all of the runs will take and how long each; None if that is not known."""

    def run(self, configs: Sequence[RunConfig], tally: Tally) -> list[str]:
        """Carry out runs; return a line for each that failed. One that fails does not stop others.

        Raises
        ------
        Interrupted
            If runs were stopped by a signal; they are saved, and no process is left.
        """


def engine_of(launcher: Mapping[str, Any]) -> Engine | None:
    """Return the engine of a node ``hydra.launcher``; None if it is a launcher that is not ours."""
    plain = OmegaConf.to_container(OmegaConf.create(dict(launcher)), resolve=True)
    settings = {str(key): value for key, value in dict(plain).items()}  # type: ignore[arg-type]
    target = str(settings.pop("_target_", ""))
    if "engine" not in settings:
        from normscape.engines.here import LocalEngine

        return LocalEngine(runs_at_once=1) if target.endswith(HYDRAS_OWN) else None
    kind = get_class(settings.pop("engine"))
    for name in settings:
        if name not in inspect.signature(kind).parameters:
            raise UserError(f"hydra.launcher.{name}: there is no such setting of this launcher")
    engine: Engine = kind(**settings)
    return engine


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
