"""The table behind a figure: rows of several runs; columns tell the runs apart."""

import gzip
import hashlib
import io
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from normscape.errors import UserError, first_line

FACTS = ["run", "net", "series", "lr", "augment", "scale", "seed"]
"""What a run is, from its config: its label, its network, what figures call it, its rate, and so on."""

COLUMNS = [*FACTS, "step", "quantity", "layer", "step_size", "level", "edge", "value"]
"""``level`` is of a quantile, ``edge`` min or max of a range over step sizes; unused cells are empty."""

LARGE_BYTES = 2**20
RESTORE = "restore it (git checkout results) or reproduce the figure"

TYPES: dict[str, Any] = {
    "run": "string",
    "net": "string",
    "series": "string",
    "layer": "Int64",
    "step_size": "float64",
    "level": "float64",
    "lr": "float64",
    "edge": "string",
    "value": "float64",
}


def gather(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return the parts of a figure's table as one."""
    filled = [part for part in parts if len(part)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=COLUMNS)


def select(table: pd.DataFrame, **columns: object) -> pd.DataFrame:
    """Return the rows whose columns have the given values."""
    keep = np.ones(len(table), dtype=bool)
    for name, value in columns.items():
        keep &= (table[name] == value).fillna(value=False).to_numpy(dtype=bool)
    return table[keep]


def curve(table: pd.DataFrame, **columns: object) -> pd.Series:
    """Return the values of one seed's curve, indexed by step; ValueError if the columns leave more than one curve."""
    values = select(table, **columns).set_index("step")["value"].sort_index()
    if values.index.has_duplicates:
        raise ValueError(f"{columns} are several curves")
    return values


def table_bytes(table: pd.DataFrame) -> bytes:
    """Return a table as CSV, with 9 significant digits: all that float32 has, and what claims are judged from."""
    return table.to_csv(index=False, float_format="%.9g", lineterminator="\n").encode()


def described(text: bytes) -> dict[str, Any]:
    """Return what a manifest keeps of a table as CSV: ``rows``, their number, and ``sha256``."""
    return {"rows": text.count(b"\n") - 1, "sha256": hashlib.sha256(text).hexdigest()}


def written(text: bytes, folder: Path, stem: str) -> tuple[Path, bytes, Path]:
    """Return the file of a figure's table and what to write into it, and the file that it must not have beside it.

    ``<stem>.csv``, or ``<stem>.csv.gz`` if it is large.
    """
    small, large = folder / f"{stem}.csv", folder / f"{stem}.csv.gz"
    return (large, gzip.compress(text, mtime=0), small) if len(text) > LARGE_BYTES else (small, text, large)


def parse_table(text: bytes) -> pd.DataFrame:
    """Return a table from its CSV; nothing but an empty cell is missing, whatever a series may be called."""
    return pd.read_csv(io.BytesIO(text), dtype=TYPES, keep_default_na=False, na_values=[""])


def table_file(folder: Path, stem: str) -> Path | None:
    """Return the file of a figure's table, None if there is none."""
    files = (folder / f"{stem}.csv", folder / f"{stem}.csv.gz")
    return next((file for file in files if file.exists()), None)


def read_table(path: Path, expected: dict[str, Any] | None = None) -> pd.DataFrame:
    """Read a figure's table.

    Raises
    ------
    UserError
        If it is not whole, or not the one that ``expected`` tells of (see `described`).
    """
    try:
        content = path.read_bytes()
        text = gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read ({error}); {RESTORE}") from error
    if expected is not None and described(text) != {"rows": expected["rows"], "sha256": expected["sha256"]}:
        sizes = f"{described(text)['rows']} rows, expected {expected['rows']}"
        raise UserError(f"{path}: not the table that its manifest describes ({sizes}); {RESTORE}")
    try:
        return parse_table(text)
    except (ValueError, KeyError, pd.errors.ParserError) as error:
        raise UserError(f"{path}: not a figure's table ({first_line(error)}); {RESTORE}") from error
