"""From a command line to a checked configuration: schema, composition, and messages for mistakes."""

import inspect
import itertools
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from normscape.errors import UserError, suggest

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


@dataclass
class VggScale:
    """Size and cadences of the image networks at one scale."""

    width: float
    train_images: int
    steps: int
    log_every: int
    eval_every: int
    probe_every: int


@dataclass
class DlnScale:
    """Size and cadences of the deep linear nets at one scale."""

    steps: int
    log_every: int
    probe_every: int


@dataclass
class Scale:
    """A named set of sizes from which the runs take theirs."""

    name: str
    vgg: VggScale
    dln: DlnScale


@dataclass
class Measure:
    """What the probes of a run look at, in one place; their YAMLs take it from here."""

    every: int
    activation_layers: list[int]
    ics_layers: list[int]
    step_sizes: list[float]


@dataclass
class RunConfig:
    """The keys of ``configs/train.yaml``; components are dictionaries with a ``_target_``."""

    name: str
    seed: int
    steps: int
    batch_size: int | None
    augment: bool
    log_every: int
    eval_every: int
    tf32: bool
    measure: Measure
    data: dict[str, Any]
    model: dict[str, Any]
    norm: dict[str, Any]
    optimizer: dict[str, Any]
    loss: dict[str, Any]
    tracker: dict[str, Any]
    scale: Scale
    group: str | None
    device: str
    threads: int
    checkpoint_seconds: float
    runs_dir: str
    probe: dict[str, Any] = field(default_factory=dict)
    schedule: dict[str, Any] = field(default_factory=dict)


COMPONENTS = ("data", "model", "norm", "optimizer", "loss", "tracker")
AT_LEAST = {
    "seed": 0,
    "steps": 1,
    "batch_size": 1,
    "log_every": 1,
    "eval_every": 1,
    "threads": 1,
    "checkpoint_seconds": 0,
}


def default_scale() -> str:
    """Return ``paper`` where there is a GPU and ``laptop`` elsewhere."""
    return "paper" if torch.cuda.is_available() else "laptop"


def with_scale(overrides: Sequence[str]) -> list[str]:
    """Replace ``scale=auto``, or a scale that is not given, by the one that suits this machine."""
    others = [override for override in overrides if override != "scale=auto"]
    if any(override.startswith("scale=") for override in others):
        return others
    return [*others, f"scale={default_scale()}"]


def jobs(overrides: Sequence[str]) -> list[list[str]]:
    """Expand the sweeps in Hydra overrides (``seed=0,1 norm=l1,l2``) to one list of overrides per job."""
    choices: list[list[str]] = []
    for override in _parsed(overrides):
        if override.is_sweep_override():
            try:
                values = list(override.sweep_string_iterator())
            except HydraException as error:  # interval() and glob(), which only some sweepers know
                line = override.input_line
                raise UserError(f"{line}: expected a list of values to sweep, e.g. seed=0,1,2") from error
            choices.append([f"{override.get_key_element()}={value}" for value in values])
        else:
            choices.append([override.input_line or ""])
    return [list(combination) for combination in itertools.product(*choices)]


def compose_run(overrides: Sequence[str], configs: Path = CONFIGS) -> RunConfig:
    """Compose and check the configuration of one run.

    Raises
    ------
    UserError
        For any key or value that the suite does not know, wherever it was written.
    """
    with initialize_config_dir(version_base="1.3", config_dir=str(configs.resolve())):
        _check_groups(overrides, configs)
        try:
            config = compose("train", overrides=list(overrides))
        except (HydraException, OmegaConfBaseException) as error:
            raise _explained(error, overrides) from error
        except YAMLError as error:
            raise UserError(" ".join(str(error).split())) from error
    return check(config)


def check(config: DictConfig) -> RunConfig:
    """Merge a composed configuration onto the schema and check it.

    Catches what Hydra lets pass: an unknown key that was added by ``+key=value`` or stands in a YAML file.
    """
    keys = [str(key) for key in config if key != "hydra"]
    known = list(RunConfig.__dataclass_fields__)
    for key in keys:
        if key not in known:
            raise UserError(f"{key}={config[key]!r}: there is no such key{suggest(key, known)}")
    plain = OmegaConf.masked_copy(config, keys)
    try:
        run = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(RunConfig), plain))
    except ConfigKeyError as error:
        fields = getattr(error.object_type, "__dataclass_fields__", {})
        value = OmegaConf.select(plain, str(error.full_key))
        raise UserError(f"{error.full_key}={value}: there is no such key{suggest(str(error.key), fields)}") from error
    except OmegaConfBaseException as error:
        raise UserError(_first_line(error, error.full_key)) from error
    assert isinstance(run, RunConfig)
    for key, least in AT_LEAST.items():
        value = getattr(run, key)
        if value is not None and value < least:
            raise UserError(f"{key}={value}: expected {least} or more")
    for name in COMPONENTS:
        _check_component(name, getattr(run, name))
    for name, probe in run.probe.items():
        if not isinstance(probe, Mapping):
            hint = "does its YAML begin with # @package probe.NAME?"
            raise UserError(f"probe.{name}={probe!r}: expected a probe with a _target_ ({hint})")
        _check_component(f"probe.{name}", probe)
    return run


def _check_component(path: str, node: Mapping[str, Any]) -> None:
    """Raise `UserError` unless the node's target can be imported and takes each of the node's keys."""
    target = node.get("_target_")
    if not target:
        raise UserError(f"{path}: expected a _target_, the dotted path of a class or function")
    logging.getLogger("hydra.utils").setLevel(logging.CRITICAL)  # what it would log is said below
    try:
        called = get_object(target)
    except Exception as error:  # importing foreign code may raise anything
        reason = " ".join(str(error).split())
        raise UserError(f"{path}._target_={target}: cannot be imported; {reason}") from error
    if not callable(called):
        raise UserError(f"{path}._target_={target}: expected a class or function, not a {type(called).__name__}")
    parameters = _parameters(called)
    if parameters is None:
        return
    for key, value in node.items():
        if not key.startswith("_") and key not in parameters:
            raise UserError(f"{path}.{key}={value}: {target} takes no '{key}'{suggest(key, parameters)}")


def _parameters(called: Callable[..., Any]) -> Collection[str] | None:
    """Return the names of what a class or function takes, or None if it takes any or does not tell."""
    try:
        parameters = inspect.signature(called).parameters
    except ValueError:  # some that are written in C
        return None
    return None if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()) else list(parameters)


def accepts(called: Callable[..., Any], name: str) -> bool:
    """Whether a class or function names an argument of its own, rather than passing on any."""
    try:
        return name in inspect.signature(called).parameters
    except ValueError:  # some that are written in C
        return False


def _parsed(overrides: Sequence[str]) -> list[Override]:
    parser = OverridesParser.create()
    parsed = []
    for override in overrides:
        try:
            parsed += parser.parse_overrides([override])
        except HydraException as error:
            reason = str(error).split("See https")[0].replace(f"Error parsing override '{override}'", "")
            raise UserError(f"{override}: expected key=value; {' '.join(reason.split())}") from error
    return parsed


def _check_groups(overrides: Sequence[str], configs: Path) -> None:
    for override in _parsed(overrides):
        if not override.key_or_group:
            raise UserError(f"{override.input_line}: expected key=value")
        if override.is_sweep_override():
            raise UserError(f"{override.input_line}: expected one value; several are a sweep, experiments/train.py -m")
        folder = configs / override.key_or_group
        if override.is_delete() or not folder.is_dir() or override.key_or_group.startswith("hydra/"):
            continue
        value = override.value()
        known = [path.stem for path in folder.glob("[!_]*.yaml")]
        for choice in value if isinstance(value, list) else [value]:
            if str(choice) not in known:
                raise UserError(f"{override.input_line}: no such {override.key_or_group}{suggest(str(choice), known)}")


def _explained(error: Exception, overrides: Sequence[str]) -> UserError:
    """Turn what Hydra says of a failed composition into one line, with a suggestion where a key is unknown."""
    parsed = _parsed(overrides)
    groups = [override for override in parsed if "." not in override.key_or_group]
    try:
        known = compose("train", overrides=[o.input_line or "" for o in groups if _is_group(o)])
    except (HydraException, OmegaConfBaseException):
        return UserError(_first_line(error))
    for override in parsed:
        if _is_group(override) or override.is_add() or override.is_force_add():
            continue
        node: Any = known
        for part in override.key_or_group.split("."):
            if not isinstance(node, DictConfig) or part not in node:
                names = [str(name) for name in node] if isinstance(node, DictConfig) else []
                if part in _taken(node):
                    return UserError(f"{override.input_line}: '{part}' is not set; to add it, +{override.input_line}")
                return UserError(f"{override.input_line}: there is no key '{part}'{suggest(part, names)}")
            node = OmegaConf.select(node, part) if isinstance(node, DictConfig) else None
    return UserError(_first_line(error))


def _taken(node: Any) -> Collection[str]:
    """Return what the target of a config node takes, as far as it tells."""
    try:
        return _parameters(get_object(node["_target_"])) or ()
    except Exception:  # no component, or one that `_check_component` will refuse
        return ()


def _is_group(override: Override) -> bool:
    return (CONFIGS / override.key_or_group).is_dir() or override.key_or_group.startswith("hydra")


def _first_line(error: Exception, key: str | None = None) -> str:
    line = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__).strip()
    return f"{key}: {line}" if key else line
