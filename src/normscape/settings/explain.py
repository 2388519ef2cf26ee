"""What is wrong with Hydra overrides, in one line: before composing, and after it has failed."""

import re
import shlex
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from normscape.errors import UserError, first_line, suggest
from normscape.settings.hints import parameters, takes_anything


def parsed(overrides: Sequence[str]) -> list[Override]:
    """Parse Hydra overrides."""
    parser = OverridesParser.create()
    known = []
    for override in overrides:
        try:
            known += parser.parse_overrides([override])
        except HydraException as error:
            reason = str(error).split("See https")[0].replace(f"Error parsing override '{override}'", "")
            if "" in map(str.strip, override.partition("=")[2].split(",")) and "," in override:
                raise UserError(f"{override}: expected a value before and after each comma, e.g. seed=0,1,2") from error
            quoted = _quoted(override, parser)
            cure = f"in quotes, for Hydra and for the shell: {quoted}" if quoted else " ".join(reason.split())
            raise UserError(f"{override}: expected key=value{', ' if quoted else '; '}{cure}") from error
    return known


def _quoted(override: str, parser: OverridesParser) -> str | None:
    """Return an override with its value in quotes, as a shell needs it, if Hydra then understands it."""
    key, equals, value = override.partition("=")
    if not equals or not value or value[0] in "'\"[{" or "(" in value:
        return None
    quoted = f"{key}='{value}'" if "'" not in value else f'{key}="{value}"'
    try:
        parser.parse_overrides([quoted])
    except HydraException:
        return None
    return shlex.quote(quoted)


def check_choices(overrides: Sequence[str], folders: Sequence[Path]) -> None:
    """Raise `UserError` for an override without key, a sweep, or a choice that no folder of configs has."""
    for override in parsed(overrides):
        if not override.key_or_group:
            raise UserError(f"{override.input_line}: expected key=value")
        if override.is_sweep_override():
            raise UserError(f"{override.input_line}: expected one value; several are a sweep, experiments/train.py -m")
        group = override.key_or_group
        if override.is_delete() or not _is_group(group, folders) or group.startswith("hydra"):
            continue
        value = override.value()
        known = _choices(group, folders)
        for choice in value if isinstance(value, list) else [value]:
            wanted = "null" if choice is None else str(choice)
            if wanted not in known:
                raise UserError(f"{override.input_line}: no such {group}{suggest(wanted, known)}")


def explained(error: Exception, overrides: Sequence[str], folders: Sequence[Path], name: str) -> UserError:
    """Turn Hydra's message about a failed composition into one line, with a suggestion where a key is unknown."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        file = _asking(group, choice, folders)
        where = f"{file}: there is no {group}/{choice}" if file else first_line(error)
        return UserError(f"{where}{suggest(choice, [option for option in error.options if option[0] != '_'])}")
    all_parsed = parsed(overrides)
    groups = [o for o in all_parsed if _is_group(o.key_or_group, folders)]
    try:
        known = compose(name, [o.input_line or "" for o in groups], return_hydra_config=True)
    except (HydraException, OmegaConfBaseException):
        return UserError(first_line(error))
    for override in all_parsed:
        if override in groups or override.is_add() or override.is_force_add():
            continue
        node: Any = known
        for part in override.key_or_group.split("."):
            names = [str(name) for name in node] if isinstance(node, DictConfig) else []  # those without value too
            if part not in names:
                if part in _taken(node):
                    return UserError(f"{override.input_line}: '{part}' is not set; to add it, +{override.input_line}")
                hint = suggest(part, names) or _others(override.key_or_group.split(".")[0], folders)
                return UserError(f"{override.input_line}: there is no key '{part}'{hint}")
            node = OmegaConf.select(node, part) if isinstance(node, DictConfig) else None
    return UserError(first_line(error))


def _asking(group: str, choice: str, folders: Sequence[Path]) -> Path | None:
    """Return the file whose defaults ask for a choice."""
    asked = re.compile(rf"^\s*- .*\b{re.escape(group)}\s*:.*\b{re.escape(choice)}\b", re.MULTILINE)
    files = (file for folder in folders for file in sorted(folder.rglob("*.yaml")))
    return next((file for file in files if asked.search(file.read_text(errors="replace"))), None)


def _others(group: str, folders: Sequence[Path]) -> str:
    """Say which choices there are, where the one that was taken has no settings."""
    choices = sorted(f"{group}={choice}" for choice in _choices(group, folders))
    return f" here; there are {', '.join(choices)}" if choices else ""


def _choices(group: str, folders: Sequence[Path]) -> set[str]:
    """Return the names of a group's YAMLs; those of a folder in it, as of a family's own runs, with the folder's."""
    places = [folder / group for folder in folders]
    files = [(file, place) for place in places for file in place.rglob("[!_]*.yaml")]
    return {file.relative_to(place).with_suffix("").as_posix() for file, place in files}


def _taken(node: Any) -> Collection[str]:
    """Return what the target of a config node takes, as far as it tells."""
    try:
        called = get_object(node["_target_"])
    except Exception:  # no component, or one that `check` will refuse
        return ()
    return () if takes_anything(called) else parameters(called)


def _is_group(key: str, folders: Sequence[Path]) -> bool:
    return key.startswith(("hydra/", "hydra.searchpath")) or any((folder / key).is_dir() for folder in folders)
