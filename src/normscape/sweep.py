"""From the command line of a sweep to its runs: all composed, checked and built before the first is trained."""

import hashlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.errors import HydraException
from rich.console import Console
from rich.progress import track

from normscape.build import dry_build
from normscape.config import RunConfig, check_threads, compose_run, jobs
from normscape.engines.engine import Engine
from normscape.engines.requirements import require_package
from normscape.errors import UserError
from normscape.labels import labelled
from normscape.settings.explain import parsed

MANY = 20
"""So many jobs take seconds to check; it is said that they are."""

OPTUNA = "hydra/sweeper=optuna"


def with_group(overrides: Sequence[str]) -> list[str]:
    """Give the runs of a sweep a W&B group of their own, unless they have one."""
    if any(override.startswith("group=") for override in overrides):
        return [*overrides]
    what = sorted(override for override in overrides if not override.startswith("hydra"))  # not where it runs
    own = hashlib.sha256(" ".join(what).encode()).hexdigest()[:8]
    return [*overrides, f"group=sweep-{own}"]


def from_sweeper(sweeper: Mapping[str, Any]) -> list[str]:
    """Return the sweeps that a config gives to Hydra's own sweeper, which come before those of the command line."""
    return [f"{key}={value}" for key, value in (sweeper.get("params") or {}).items()]


def is_plain(sweeper: Mapping[str, Any]) -> bool:
    """Whether a node ``hydra.sweeper`` is Hydra's own, which takes all combinations of lists of values."""
    return str(sweeper["_target_"]).endswith("BasicSweeper")


def require_plugins(overrides: Sequence[str]) -> None:
    """Raise `UserError` for a sweeper whose package is not installed, or a launcher that another package hides."""
    if OPTUNA in overrides:
        require_package("hydra_plugins.hydra_optuna_sweeper", OPTUNA, "optuna")
    for name in ("joblib", "ray"):
        asked = f"hydra/launcher={name}"
        if asked in overrides and importlib.util.find_spec(f"hydra_plugins.hydra_{name}_launcher"):
            raise UserError(f"{asked}: hydra-{name}-launcher takes this name; uninstall it, nothing here needs it")


def for_sweeper(overrides: Sequence[str], objective: str) -> list[str]:
    """Return the overrides of a sweep that Hydra carries out, with what its sweeper does not know by itself.

    An accuracy is to be as high as possible, all else as low; a failed run is a failed trial, and others go on. Its
    runs too go through `normscape.engines`, so that Hydra's own launcher makes way for the same by an engine.
    """
    optuna = {"direction": "maximize" if objective.endswith("accuracy") else "minimize", "max_failure_rate": "1.0"}
    known = optuna if OPTUNA in overrides else {}
    given = {override.split("=")[0] for override in overrides}
    more = [f"hydra.sweeper.{key}={value}" for key, value in known.items() if f"hydra.sweeper.{key}" not in given]
    kept = [override for override in overrides if override != "hydra/launcher=basic"]
    if not any(override.startswith("hydra/launcher=") for override in kept):
        more += ["hydra/launcher=local", "hydra.launcher.runs_at_once=1"]
    return [*kept, *more]


def composed(combinations: Sequence[Sequence[str]], tree: Mapping[str, Any], engine: Engine | None) -> list[RunConfig]:
    """Compose and check the jobs of a sweep, and build each kind of run without memory for its weights.

    Parameters
    ----------
    combinations
        The overrides of each job.
    tree
        Where the YAML files are, as arguments of `compose_run`.
    engine
        What will carry them out; if it computes elsewhere, devices are not looked for here.
    """
    here = engine is None or engine.local
    console, many = Console(file=sys.stderr), len(combinations) >= MANY
    if many:
        console.print(f"checking {len(combinations)} jobs", highlight=False)
    shown = track(combinations, "checking", console=console, transient=True, disable=not (many and console.is_terminal))
    built: set[str] = set()
    configs = []
    for combination in shown:
        config = compose_run(combination, **tree)
        kind = str([getattr(config, name) for name in ("model", "norm", "optimizer", "loss", "tracker", "probe")])
        kind += f"{config.schedule}{config.device}{config.kernels}"
        if kind not in built:
            dry_build(config, device_too=here)
            built.add(kind)
        if here:
            check_threads(config.threads)
        configs.append(labelled(config, combination))
    return configs


def examples(overrides: Sequence[str]) -> list[list[str]]:
    """Return command lines of single jobs in which each listed value of a sweep occurs, and both ends of each range."""
    fixed: list[str] = []
    choices: list[list[str]] = []
    for override in parsed(overrides):
        if override.is_sweep_override():
            choices.append([f"{override.get_key_element()}={value}" for value in _values(override)])
        else:
            fixed.append(override.input_line or "")
    firsts = [values[0] for values in choices if values]
    others = [
        [other if first == values[0] else first for first in firsts] for values in choices for other in values[1:]
    ]
    return [[*fixed, *each] for each in (firsts, *others)]


def _values(override: Any) -> Iterator[str]:
    if override.is_interval_sweep():
        for end in (override.value().start, override.value().end):
            yield f"{int(end) if float(end).is_integer() else end}"
        return
    try:
        values = list(override.sweep_string_iterator())
    except (HydraException, ValueError) as error:
        raise UserError(f"{override.input_line}: expected a list of values or a range") from error
    if not values:
        raise UserError(f"{override.input_line}: there is no value in it; expected one at least")
    yield from values


__all__ = ["composed", "examples", "for_sweeper", "from_sweeper", "is_plain", "jobs", "require_plugins", "with_group"]
