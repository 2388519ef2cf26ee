"""What every engine offers, and the engine that a config names."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from hydra.utils import get_class
from omegaconf import OmegaConf

from normscape.config import RunConfig
from normscape.errors import UserError
from normscape.overview.tally import Tally

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
