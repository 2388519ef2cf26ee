"""Compare two runs, row by row: python scripts/compare_runs.py runs/vgg_batch-s0-... other/vgg_batch-s0-....

Prints for each quantity how many rows differ, from which step on and by how much, and which arrays do. Exits with 1 if
anything differs.
"""

from normscape.process.interrupts import end_at_once

if __name__ == "__main__":  # so that Ctrl-C says one line while the rest is imported
    end_at_once()

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normscape.errors import UserError
from normscape.process.entry import Parser, entry_point

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

KEY = ["step", "quantity", "layer", "step_size"]


def main(arguments: list[str]) -> int:
    """Return the exit code, 0 for the same and 1 for a difference; `UserError` for what is no run that has ended."""
    parser = Parser(prog="compare_runs.py", description="Compare two runs, row by row.")
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    options = parser.parse_args(arguments)
    from normscape.runs import RunDirectory

    tables, arrays = [], []
    for folder in (options.first, options.second):
        directory = RunDirectory(folder)
        if directory.summary is None:
            raise UserError(f"{folder}: expected the folder of a run that has ended, with its summary.json")
        tables.append(directory.table())
        arrays.append(directory.arrays())
    return max(report(*tables), report_arrays(*arrays))


def report(first: "pd.DataFrame", second: "pd.DataFrame") -> int:
    """Print how two runs differ; return 0 if they do not, else 1."""
    both = first.merge(second, on=KEY, how="outer", suffixes=("_first", "_second"), indicator=True)
    missing = both[both["_merge"] != "both"]
    shared = both[both["_merge"] == "both"]
    same = (shared["value_first"] == shared["value_second"]) | (
        shared["value_first"].isna() & shared["value_second"].isna()
    )
    for side, name in (("left_only", "first"), ("right_only", "second")):
        if count := int((missing["_merge"] == side).sum()):
            print(f"{count} rows are only in the {name} run")
    for quantity, rows in shared[~same].groupby("quantity"):
        size = rows[["value_first", "value_second"]].abs().max(axis=1)
        relative = ((rows["value_first"] - rows["value_second"]).abs() / size).max()
        total = int((shared["quantity"] == quantity).sum())
        where = f"from step {int(rows['step'].min())} on, by at most {relative:.3g} of the value"
        print(f"{quantity}: {len(rows)} of {total} rows differ, {where}")
    if len(missing) or not same.all():
        return 1
    print(f"all {len(shared)} rows are the same")
    return 0


def report_arrays(first: Mapping[str, "np.ndarray[Any, Any]"], second: Mapping[str, "np.ndarray[Any, Any]"]) -> int:
    """Print how the snapshots of two runs differ; return 0 if they do not, else 1."""
    import numpy as np

    differing = 0
    for name in sorted(first.keys() | second.keys()):
        if name not in first or name not in second:
            print(f"{name}: only in the {'first' if name in first else 'second'} run")
        elif not np.array_equal(first[name], second[name], equal_nan=True):
            print(f"{name}: differs")
        else:
            continue
        differing += 1
    if not differing:
        print(f"all {len(first)} arrays are the same")
    return int(differing > 0)


if __name__ == "__main__":
    with entry_point():
        sys.exit(main(sys.argv[1:]))
