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


def origin_tables(entries: Iterable[tuple[str, int, Mapping[str, Any]]]) -> tuple[Table, Table]:
    """Return where runs come from, a row per run and seed, and the versions and machines that they were made with."""
    rows, machines = [], dict[str, list[str]]()
    for name, seed, origin in entries:
        data, hardware = origin.get("data") or {}, origin.get("hardware") or {}
        status = str(origin.get("status", ""))
        if origin.get("diverged_at") is not None:
            status = f"{status} at step {origin['diverged_at']}"
        seconds = origin.get("wall_seconds")
        checksum = " ".join(shown(data.get(key)) for key in ("name", "checksum"))
        took = "" if seconds is None else f"{float(seconds):,.0f}"
        made = [shown(origin.get(key)) for key in ("commit", "command", "written")]
        made[0] = made[0][:12] + ("+changes" if made[0].endswith("+changes") else "")
        rows.append([name, str(seed), status, took, *made, checksum, shown(hardware.get("device"))])
        machine = f"{shown(origin.get('versions') or {})}. {shown(hardware)}"
        machines.setdefault(machine, []).append(f"{name} s{seed}")
    columns = ["run", "seed", "status", "seconds", "commit", "command", "date", "data", "device"]
    one = len(machines) == 1
    made_with = [["all runs" if one else ", ".join(runs), machine] for machine, runs in machines.items()]
    return Table(columns, rows), Table(["runs", "versions and machine"], made_with)
