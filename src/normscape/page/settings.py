"""Settings and origin of runs as tables of a page."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from normscape.gather import flat
from normscape.page.words import shown


class Table(NamedTuple):
    """Names of columns, and rows of cells."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def settings_tables(configs: Mapping[str, Mapping[str, Any]]) -> tuple[Table, Table]:
    """Return the settings that differ between runs, a row per run, and those that they share, a row per setting."""
    each = {name: {key: shown(value) for key, value in flat(config)} for name, config in configs.items()}
    keys = list(dict.fromkeys(key for settings in each.values() for key in settings))
    differing = [key for key in keys if len({settings.get(key) for settings in each.values()}) > 1]
    rows = [[name, *(settings.get(key, "") for key in differing)] for name, settings in each.items()]
    first = next(iter(each.values()), {})
    same = [[key, first[key]] for key in keys if key not in differing]
    return Table(["run", *differing], rows), Table(["setting", "value"], same)


def origin_tables(entries: Iterable[tuple[str, int, Mapping[str, Any]]]) -> tuple[Table, Table, Table]:
    """Return where runs come from: a row per run and seed, per command that made them, and per machine it ran on."""
    rows: list[list[str]] = []
    commands, machines = _Numbered(), _Numbered()
    for name, seed, origin in entries:
        data, hardware = origin.get("data") or {}, origin.get("hardware") or {}
        status = str(origin.get("status", ""))
        if origin.get("diverged_at") is not None:
            status = f"{status} at step {origin['diverged_at']}"
        seconds = origin.get("wall_seconds")
        took = "" if seconds is None else f"{float(seconds):,.0f}"
        commit, command, written = (shown(origin.get(key)) for key in ("commit", "command", "written"))
        commit = commit[:12] + ("+changes" if commit.endswith("+changes") else "")
        checksum = " ".join(shown(data.get(key)) for key in ("name", "checksum"))
        machine = machines.number(shown(origin.get("versions") or {}), shown(hardware))
        made_by = commands.number(command, commit, checksum, machine)
        rows.append([name, str(seed), status, took, written, made_by])
    return (
        Table(["run", "seed", "status", "seconds", "date", "command"], rows),
        Table(["number", "command", "commit", "data", "machine"], commands.rows),
        Table(["number", "versions", "machine"], machines.rows),
    )


class _Numbered:
    """Rows that others refer to by their number, each different one once."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, ...], str] = {}

    def number(self, *cells: str) -> str:
        """Return the number of a row with these cells."""
        return self._numbers.setdefault(cells, str(len(self._numbers) + 1))

    @property
    def rows(self) -> list[list[str]]:
        return [[number, *cells] for cells, number in self._numbers.items()]
