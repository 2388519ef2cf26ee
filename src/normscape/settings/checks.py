"""What is checked of a composed configuration: its keys, its components, the types of values, the numbers."""

import inspect
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import is_dataclass
from typing import Any, get_type_hints

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException, ValidationError
from torch.optim.lr_scheduler import ReduceLROnPlateau

from normscape.errors import UserError, first_line, suggest
from normscape.forward import Forward
from normscape.process.kernels import check_kernels
from normscape.reduced.eligible import arithmetic_of
from normscape.schema import COMPONENTS, DECAYED, RunConfig
from normscape.settings.hints import hints, in_words, parameters, shown, suits, takes_anything
from normscape.settings.limits import check_measure, check_numbers

GLOBAL = ("run", "study", "figure")
"""Groups whose files hold settings of the whole run, if they say so in their first line."""


def check(config: DictConfig) -> RunConfig:
    """Merge a composed configuration onto the schema and check it.

    Catches what Hydra lets pass: an unknown key that was added by ``+key=value`` or occurs in a YAML file, a value of
    the wrong type, a number that makes no sense.
    """
    keys = [str(key) for key in config if key != "hydra"]
    known = list(RunConfig.__dataclass_fields__)
    for key in keys:
        if key in GLOBAL:
            raise UserError(
                f"{key}={shown(config[key])}: expected '# @package _global_' as the first line of that {key}'s YAML "
                "file, with no byte-order mark before it, and settings of a run below it"
            )
        if key not in known:
            raise UserError(f"{key}={config[key]!r}: there is no such key{suggest(key, known)}")
    plain = OmegaConf.masked_copy(config, keys)
    for path in _unset(plain):
        raise UserError(_not_set(path))
    run = _merged(plain)
    for probe in run.probe.values():
        if isinstance(probe, dict) and probe.get("float64") is False:  # which a probe of the user's need not know
            del probe["float64"]
    _check_components(run)
    check_numbers(run)
    check_kernels(run.kernels, run.threads)
    Forward.asked(run)
    arithmetic_of(run)
    run.runs_dir = _folder("runs_dir", run.runs_dir)
    if not run.name.strip():
        raise UserError(f"name={run.name!r}: expected a name; without it a run is called as its file in configs/run")
    if run.decayed not in DECAYED:
        raise UserError(f"decayed={run.decayed}: expected weights or all{suggest(run.decayed, DECAYED)}")
    return run


def _folder(key: str, name: str) -> str:
    """Return the name of a folder with ``~`` replaced by the home of the user."""
    expanded = os.path.expanduser(name)
    if not name.strip() or "\0" in name or expanded.startswith("~"):
        raise UserError(f"{key}={shown(name)}: expected a folder, e.g. runs or /data/runs")
    return expanded


def _unset(node: Any, path: str = "") -> Iterator[str]:
    """Yield the keys whose value is ``???``: to be given."""
    for key in map(str, node) if isinstance(node, DictConfig) else ():
        here = f"{path}.{key}".lstrip(".")
        if OmegaConf.is_interpolation(node, key):
            continue
        if OmegaConf.is_missing(node, key):
            yield here
        else:
            yield from _unset(node[key], here)


def _not_set(path: str) -> str:
    example = "package.module.Class" if path.endswith("_target_") else "..."
    return f"{path} is not set: give it as {path}={example}, or in its file"


def _merged(plain: DictConfig) -> RunConfig:
    try:
        merged = OmegaConf.merge(OmegaConf.structured(RunConfig), plain)
        run = OmegaConf.to_object(merged)
    except ConfigKeyError as error:
        fields = getattr(error.object_type, "__dataclass_fields__", {})
        value = OmegaConf.select(plain, str(error.full_key))
        raise UserError(f"{error.full_key}={value}: there is no such key{suggest(str(error.key), fields)}") from error
    except OmegaConfBaseException as error:
        raise UserError(_mismatch(error, plain)) from error
    assert isinstance(run, RunConfig)
    for key, hint in get_type_hints(RunConfig).items():
        if hint is bool and not isinstance(given := OmegaConf.select(plain, key), bool | str):  # 2 would pass for true
            raise UserError(f"{key}={shown(given)}: expected {in_words(bool)}")
    return run


def _mismatch(error: OmegaConfBaseException, plain: DictConfig) -> str:
    """Say what a key expects, if its value is of another type; else what OmegaConf says."""
    key = str(error.full_key)
    if isinstance(error, ValidationError):
        try:
            key = key.split("[")[0]  # an item of a list: show the list
            return f"{key}={shown(_plain_value(plain, key))}: expected {in_words(_hint(key))}"
        except (OmegaConfBaseException, KeyError):
            pass
    if isinstance(error, MissingMandatoryValue):
        return _not_set(key)
    lists = [str(name) for name in plain if OmegaConf.is_list(plain._get_node(name))]
    if not key and lists:  # a YAML that is a list: OmegaConf does not say where
        return f"{lists[0]}={shown(_plain_value(plain, lists[0]))}: expected keys and values, in its YAML too"
    return f"{key}: {first_line(error)}"


def _hint(key: str) -> Any:
    """Return the schema's type of a key."""
    hint: Any = RunConfig
    for part in key.split("."):
        hint = get_type_hints(hint)[part]
    return dict if is_dataclass(hint) else hint


def _plain_value(plain: DictConfig, key: str) -> Any:
    value = OmegaConf.select(plain, key)
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _check_components(run: RunConfig) -> None:
    for name, probe in run.probe.items():
        if not isinstance(probe, Mapping):
            hint = "does its YAML begin with # @package probe.NAME?"
            raise UserError(f"probe.{name}={shown(probe)}: expected a probe with a _target_ ({hint})")
    check_measure(run)
    for name in COMPONENTS:
        _check_component(name, getattr(run, name))
    for name, probe in run.probe.items():
        _check_component(f"probe.{name}", probe)
    if run.schedule:
        _check_component("schedule", run.schedule)
        target = run.schedule["_target_"]
        scheduler = _imported("schedule", target)
        if inspect.isclass(scheduler) and issubclass(scheduler, ReduceLROnPlateau):
            other = "expected one that depends on steps alone, e.g. schedule=cosine"
            raise UserError(f"schedule._target_={target}: needs a measurement at each step; {other}")


def _check_component(path: str, node: Mapping[str, Any]) -> None:
    """Raise `UserError` unless the node's target can be imported and takes each of the node's keys and its value."""
    target = node.get("_target_")
    if not target:
        raise UserError(f"{path}: expected a _target_, the dotted path of a class or function")
    called = _imported(path, target)
    taken, expected = parameters(called), hints(called)
    for key, value in node.items():
        if key.startswith("_"):
            if key in ("_partial_", "_recursive_") and not isinstance(value, bool):
                raise UserError(f"{path}.{key}={shown(value)}: expected {in_words(bool)}")
            continue
        if key not in taken and not takes_anything(called):
            own = f"; {path}=own leaves the settings of others out" if path in ("model", "data") else ""
            raise UserError(f"{path}.{key}={shown(value)}: {target} takes no '{key}'{suggest(key, taken)}{own}")
        if key in expected and not suits(value, expected[key]) and not (value is None and taken[key].default is None):
            raise UserError(_mistyped(f"{path}.{key}", value, target, expected[key]))
        if node.get("_recursive_", True):
            _check_inside(f"{path}.{key}", value)


def _mistyped(path: str, value: Any, target: str, hint: Any) -> str:
    digits = type(value) in (int, float) and suits(str(value), hint)
    return f"{path}={shown(value)}: {target} expects {in_words(hint)}" + (f", \"{path}='{value}'\"" if digits else "")


def _check_inside(path: str, value: Any) -> None:
    """Check the components nested in a component's settings."""
    if isinstance(value, Mapping) and "_target_" in value:
        _check_component(path, value)
    elif isinstance(value, Mapping | list):
        for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
            _check_inside(f"{path}.{key}", item)


def _imported(path: str, target: Any) -> Any:
    if not isinstance(target, str):
        raise UserError(f"{path}._target_={shown(target)}: expected the dotted path of a class or function")
    try:
        with _silent("hydra.utils"):  # what it would log is reported here
            called = get_object(target)
    except Exception as error:  # importing foreign code may raise anything
        reason = " ".join(str(error).split())
        raise UserError(f"{path}._target_={target}: cannot be imported; {reason}") from error
    if not callable(called):
        raise UserError(f"{path}._target_={target}: expected a class or function, not a {type(called).__name__}")
    return called


@contextmanager
def _silent(name: str) -> Iterator[None]:
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)
