"""Compare two folders of results: python scripts/compare_results.py results/santurkar2018/laptop other/laptop.

Every claim's value, interval, values per seed and value on the paper's curves, those of its parts, reasons and
evidence in any order, and every row of every table. Words may differ, and columns may be new; numbers and rows may not.
Old names of claims and columns are mapped to new ones in `CLAIMS` and `COLUMNS`; either folder may have the layout of
results before there were families, whose manifests list claims. Exits with 1 if anything differs.
"""

from normscape.process.interrupts import end_at_once

if __name__ == "__main__":  # so that Ctrl-C says one line while the rest is imported
    end_at_once()

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from normscape.errors import UserError
from normscape.process.entry import Parser, entry_point
from normscape.storage.files import read_json

CLAIMS: dict[str, str | None] = {"spacing_of_snapshots": None}
"""Claims that have another name now: old to new; None for one that was dropped.

``spacing_of_snapshots`` told how often we measure, which is a setting of ours.
"""

COLUMNS: dict[str, str] = {}
"""Columns of tables that have another name now: old to new."""


def main(arguments: list[str]) -> int:
    """Return the exit code, 0 for the same and 1 for a difference; `UserError` for a folder that holds no results."""
    parser = Parser(description="Compare two folders of results, number by number.")
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    options = parser.parse_args(arguments)
    for folder in (options.old, options.new):
        if not list(folder.glob("*.json")):
            raise UserError(f"{folder}: expected a folder with results, e.g. results/santurkar2018/laptop")
    figures = sorted({file.stem for folder in (options.old, options.new) for file in folder.glob("*.json")})
    found = [line for figure in figures for line in differences(figure, options.old, options.new)]
    print("\n".join(found) if found else f"{len(figures)} figures: every claim and every row is the same")
    return 1 if found else 0


def differences(figure: str, old: Path, new: Path) -> Iterator[str]:
    """Yield what differs of a figure, one line each."""
    contents = [folder / f"{figure}.json" for folder in (old, new)]
    for file in contents:
        if not file.exists():
            yield f"{figure}: not in {file.parent}"
            return
    before, now = map(claims, contents)
    for name in sorted(before.keys() | now.keys()):
        if name not in before or name not in now:
            yield f"{figure}: claim {name} is only in {new if name in now else old}"
        elif numbers(before[name]) != numbers(now[name]):
            yield f"{figure}: claim {name}: {numbers(before[name])} became {numbers(now[name])}"
        elif nested(before[name]) != nested(now[name]):
            changed = (nested(before[name]) - nested(now[name])) + (nested(now[name]) - nested(before[name]))
            yield f"{figure}: claim {name}: {sum(changed.values())} numbers of its parts, reasons or evidence differ"
    yield from table_differences(figure, old, new)


def claims(file: Path) -> dict[str, dict[str, Any]]:
    """Return the numbers of the claims of a manifest by the names that they have now."""
    try:
        found = read_json(file)["claims"]
        named = found.items() if isinstance(found, dict) else [(claim["name"], claim) for claim in found]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file}: not a manifest with claims; git checkout brings back what is committed") from error
    current = ((CLAIMS.get(name, name), claim) for name, claim in named)
    return {name: claim for name, claim in current if name is not None}


def numbers(claim: dict[str, Any]) -> str:
    """Return the numbers of a claim, as written in the file."""
    kept = ("value", "values", "spread", "paper_value", "n")
    return json.dumps([claim.get(key, "missing") for key in kept])


def nested(claim: dict[str, Any]) -> Counter[str]:
    """Return the numbers of a claim's parts, reasons and evidence, at any depth."""
    found: Counter[str] = Counter()
    for kind in ("parts", "reasons", "evidence"):
        for item in claim.get(kind, []):
            found[f"{kind}: {numbers(item)}"] += 1
            found += nested(item)
    return found


def table_differences(figure: str, old: Path, new: Path) -> Iterator[str]:
    """Yield how the tables of a figure differ: columns that are gone, and rows of the columns that both have."""
    tables = [_table(folder, figure) for folder in (old, new)]
    if tables[0] is None or tables[1] is None:
        if tables[0] is not tables[1]:
            yield f"{figure}: only one of the folders has its table"
        return
    before, now = tables[0].rename(columns=COLUMNS), tables[1]
    if gone := sorted(set(map(str, before)) - set(map(str, now))):
        yield f"{figure}: the table no longer has column {', '.join(gone)}"
    shared = [column for column in before if column in now]
    rows = [Counter(table[shared].itertuples(index=False, name=None)) for table in (before, now)]
    lost, added = rows[0] - rows[1], rows[1] - rows[0]
    if lost or added:
        first = next(iter(lost or added))
        yield f"{figure}: {sum(lost.values())} rows are missing and {sum(added.values())} are new, e.g. {first}"


def _table(folder: Path, figure: str) -> pd.DataFrame | None:
    file = next(iter(sorted(folder.glob(f"{figure}.csv*"))), None)
    try:
        return None if file is None else pd.read_csv(file, dtype=str, keep_default_na=False)
    except (ValueError, OSError, EOFError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{file}: not a table ({reason}); git checkout brings back what is committed") from error


if __name__ == "__main__":
    with entry_point():
        sys.exit(main(sys.argv[1:]))
