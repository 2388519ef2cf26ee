"""The runs that a figure declares: runs of the catalogue by name, or variants of them."""

import itertools
from collections.abc import Mapping
from typing import Any

from normscape.errors import UserError


def declared_runs(declared: Any, where: str) -> dict[str, tuple[str, ...]]:
    """Return, by the label that its figure knows it by, the Hydra overrides that compose each run.

    Parameters
    ----------
    declared
        A list of names of ``configs/run``; or a mapping from names to the settings of variants, of which a list stands
        for one variant per value: ``{mlp_batch: {study: rates, optimizer.lr: [0.1, 1]}}`` are
        ``mlp_batch_rates_lr0.1`` and ``mlp_batch_rates_lr1``. Settings are part of the label, since the labels of all
        figures of a family tell its runs apart.
    where
        The file, for messages.

    Raises
    ------
    UserError
        If it is neither, or a run is declared twice.
    """
    if isinstance(declared, list) and all(isinstance(name, str) for name in declared):
        entries: list[tuple[str, Any]] = [(name, {}) for name in declared]
    elif isinstance(declared, dict) and all(isinstance(part, dict | None) for part in declared.values()):
        entries = [(name, settings or {}) for name, settings in declared.items()]
    else:
        raise UserError(f"{where}: runs: expected names of configs/run, or a mapping from them to settings")
    runs: dict[str, tuple[str, ...]] = {}
    for name, settings in entries:
        for chosen in _variants(settings):
            label = "_".join([name, *(_in_label(key, value) for key, value in chosen.items())])
            if label in runs:
                raise UserError(f"{where}: runs: {label} is declared twice")
            own = [f"name='{label}'"] if chosen else []
            runs[label] = (f"run={name}", *(f"{key}={_in_override(value)}" for key, value in chosen.items()), *own)
    return runs


def _variants(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return one set of settings for each combination of the values of those that have several."""
    choices = [value if isinstance(value, list) else [value] for value in settings.values()]
    return [dict(zip(settings, values, strict=True)) for values in itertools.product(*choices)]


def _in_label(key: str, value: Any) -> str:
    """Return a setting in a label: a choice by its name, a number with the last part of its key."""
    if isinstance(value, str):
        return value
    return f"{key.rpartition('.')[2]}{value:g}"


def _in_override(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
