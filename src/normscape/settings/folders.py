"""Folders of YAMLs that a user has beside ``configs/``: found, and refused if they cannot be used."""

from collections.abc import Sequence
from pathlib import Path
from types import NoneType

import yaml  # type: ignore[import-untyped]

from normscape.errors import UserError
from normscape.settings.explain import parsed

SEARCH_PATH = "hydra.searchpath"


def searched(overrides: Sequence[str]) -> list[str]:
    """Return where Hydra overrides say that further YAMLs are: ``hydra.searchpath=[file:///home/me/configs]``."""
    for override in parsed(overrides):
        if override.get_key_element() == SEARCH_PATH:
            value = override.value()
            if not isinstance(value, list) or not all(isinstance(place, str) for place in value):
                raise UserError(f"{override.input_line}: expected a list of folders, e.g. [/home/me/configs]")
            return [str(place) for place in value]
    return []


def search_path(places: Sequence[str]) -> str:
    """Return the Hydra override that makes it look at ``places`` after ``configs/``."""
    quoted = ["'" + place.replace("'", "\\'") + "'" for place in places]
    return f"{SEARCH_PATH}=[{','.join(quoted)}]"


def further_folders(places: Sequence[str], configs: Path) -> list[Path]:
    """Return the folders among the places to search, after making sure that none of their files would be ignored.

    Raises
    ------
    UserError
        If there is no such folder, or one has a YAML that differs from the suite's own of that name, which Hydra would
        silently use instead.
    """
    folders = [Path(place.removeprefix("file://")) for place in places if "://" not in place.removeprefix("file://")]
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder of configs")
        for file in sorted(folder.rglob("*.yaml")):
            same = configs / file.relative_to(folder)
            if same.is_file() and same.read_bytes() != file.read_bytes():
                raise UserError(f"{file}: the suite's own file of that name would be used instead; rename yours")
    return folders


def undecodable(folders: Sequence[Path]) -> Path:
    """Return the first YAML file that is not UTF-8 text."""
    for folder in folders:
        for file in sorted(folder.rglob("*.yaml")):
            try:
                file.read_bytes().decode()
            except UnicodeDecodeError:
                return file
    return folders[0]


def shapeless(folders: Sequence[Path]) -> Path | None:
    """Return the first YAML file that is neither keys and values nor empty."""
    for folder in folders:
        for file in sorted(folder.rglob("*.yaml")):
            try:
                if not isinstance(yaml.safe_load(file.read_bytes()), dict | NoneType):
                    return file
            except (yaml.YAMLError, ValueError):
                return file
    return None
