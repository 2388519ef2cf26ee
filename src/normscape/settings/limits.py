"""Numbers that make no sense anywhere: not finite, out of range, an empty or repeating list of what to measure."""

import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from fnmatch import fnmatch
from typing import Any, NamedTuple

from normscape.errors import UserError
from normscape.schema import RunConfig
from normscape.settings.hints import shown

MOST_THREADS = 1024
"""With more CPU threads than this, the process ends on any machine."""


class Limit(NamedTuple):
    """What a number must be, in words and as a test."""

    words: str
    holds: Callable[[float], bool]


ABOVE_0 = Limit("a number above 0", lambda number: number > 0)
FROM_0 = Limit("0 or more", lambda number: number >= 0)
FROM_1 = Limit("1 or more", lambda number: number >= 1)
BELOW_1 = Limit("0 or more and below 1", lambda number: 0 <= number < 1)
UP_TO_1 = Limit("a number from 0 to 1", lambda number: 0 <= number <= 1)
THREADS = Limit(f"1 to {MOST_THREADS}", lambda number: 1 <= number <= MOST_THREADS)

LIMITS = {
    "scale.*.width": ABOVE_0,
    "scale.*gamma": ABOVE_0,
    "scale.*": FROM_1,
    "seed": FROM_0,
    "steps": FROM_1,
    "batch_size": FROM_1,
    "log_every": FROM_1,
    "eval_every": FROM_1,
    "threads": THREADS,
    "checkpoint_seconds": FROM_0,
    "measure.every": FROM_1,
    "optimizer.lr": ABOVE_0,
    "optimizer.weight_decay": FROM_0,
    "optimizer.momentum": BELOW_1,
    "optimizer.dampening": BELOW_1,
    "optimizer.betas": BELOW_1,
    "optimizer.eps": FROM_0,
    "norm.eps": FROM_0,
    "norm.momentum": UP_TO_1,
    "schedule.T_max": FROM_1,
    "schedule.step_size": FROM_1,
    "schedule.gamma": ABOVE_0,
    "schedule.eta_min": FROM_0,
    "probe.*.every": FROM_1,
    "probe.*.weight_decay": FROM_0,
}
"""Limits by key, the first that fits; a list's hold for each of its numbers."""

OWN_LIMITS = {
    "data.seed": FROM_0,
    "data.noise": FROM_0,
    "data.target_scale": ABOVE_0,
    "data.*": FROM_1,
    "model.width": ABOVE_0,
    "model.*gain": ABOVE_0,
    "model.initial_std": ABOVE_0,
    "model.dropout": BELOW_1,
    "model.*": FROM_1,
}
"""Limits of this project's data sets and networks; those of others may mean something else by the same names."""

MAY_BE_INFINITE = "norm.p"
"""The one key whose number may be infinite: the exponent of an Lp norm."""

ORDER = ("scale", "seed", "steps", "measure")
"""Checked first: what other keys take their values from, so that the key that was set is the one that is named."""

NO_PROBE = "to do without the probe, ~probe.{name}, or a list without it, e.g. probe=[landscape]"
PROBE_OF = {"ics_layers": "ics", "activation_layers": "activations"}
STEP_SIZES = {"lr_multiples": "multiples of the learning rate", "step_sizes": "step sizes"}


def check_measure(config: RunConfig) -> None:
    """Raise `UserError` unless what is to be measured can be: layer numbers from 1, step sizes above 0, each once."""
    for key, probe in PROBE_OF.items():
        value = getattr(config.measure, key)
        if value != "all" and not (isinstance(value, list) and not any(isinstance(layer, str) for layer in value)):
            raise UserError(f"measure.{key}={shown(value)}: expected layer numbers, e.g. [1, 2], or all")
        _check_layers(f"measure.{key}", value, probe)
    _check_step_sizes("measure.lr_multiples", config.measure.lr_multiples)
    for name, node in config.probe.items():
        _check_layers(f"probe.{name}.layers", node.get("layers"), name)
        for key in STEP_SIZES:
            _check_step_sizes(f"probe.{name}.{key}", node.get(key))


def _check_layers(path: str, layers: Any, probe: str) -> None:
    if not isinstance(layers, list) or any(isinstance(layer, str) for layer in layers):
        return  # all, or what a probe of the user's own calls its layers
    where = f"{path}={shown(layers)}: expected"
    if not layers:
        raise UserError(f"{where} at least one layer number; {NO_PROBE.format(name=probe)}")
    if not all(type(layer) is int and layer >= 1 for layer in layers):
        raise UserError(f"{where} whole numbers, the first layer is 1; {NO_PROBE.format(name=probe)}")
    if len(set(layers)) < len(layers):
        raise UserError(f"{where} each layer number once")


def _check_step_sizes(path: str, sizes: Any) -> None:
    if not isinstance(sizes, list):
        return
    where = f"{path}={shown(sizes)}: expected"
    if not sizes:
        raise UserError(f"{where} at least one, e.g. [0.5, 1.0]; to do without its probes, probe=[activations,ics]")
    if not all(type(size) in (int, float) and math.isfinite(size) and size > 0 for size in sizes):
        raise UserError(f"{where} finite {STEP_SIZES[path.rpartition('.')[2]]}, above 0")
    if len(set(sizes)) < len(sizes):
        raise UserError(f"{where} each of them once")


def check_numbers(config: RunConfig) -> None:
    """Raise `UserError` for the first number of a configuration that is not finite or out of its range."""
    content = asdict(config)
    nodes = {key: content[key] for key in dict.fromkeys([*ORDER, *content])}
    for path, number, whole in _numbers(nodes):
        limit = _limit(path, content)
        if math.isfinite(number):
            expected = limit.words if limit and not limit.holds(number) else None
        elif path == MAY_BE_INFINITE:
            expected = "a finite number, or inf" if not number > 0 else None
        else:
            expected = f"a finite number, {limit.words.removeprefix('a number ')}" if limit else "a finite number"
        if expected:
            raise UserError(f"{path}={shown(whole)}: expected {expected}")


def _limit(path: str, content: Mapping[str, Any]) -> Limit | None:
    target = str(content[path.split(".")[0]]["_target_"]) if path.startswith(("data.", "model.")) else ""
    known = OWN_LIMITS if target.startswith("normscape.") else LIMITS
    return next((limit for pattern, limit in known.items() if fnmatch(path, pattern)), None)


def _numbers(node: Any, path: str = "", whole: Any = None) -> Iterator[tuple[str, float, Any]]:
    """Yield each number with its key and the whole value of that key: the number itself, or a list."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _numbers(value, f"{path}.{key}".lstrip("."))
    elif isinstance(node, list | tuple):
        for item in node:
            yield from _numbers(item, path, node if whole is None else whole)
    elif isinstance(node, int | float) and not isinstance(node, bool):
        yield path, node, node if whole is None else whole


def check_threads(threads: int, cores: int | None = None) -> None:
    """Raise `UserError` if the executing machine has fewer cores than CPU threads are asked for."""
    cores = cores or os.cpu_count() or 1
    if threads > cores:
        raise UserError(f"threads={threads}: this machine has {cores} cores; expected 1 to {cores}")
