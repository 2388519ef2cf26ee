"""What layers are called in the files of a run: by their numbers or, where a probe names them so, by their paths."""

import pandas as pd


def numbered(table: pd.DataFrame) -> pd.DataFrame:
    """Return rows whose layers are text with them as numbers, if all are; a column of text and numbers is of neither.

    A probe may name its layers by paths where others number them: of the others alone they are numbers again.
    """
    all_numbers = table["layer"].dropna().astype("string").str.fullmatch(r"\d+").all()
    return table.astype({"layer": "Int64" if all_numbers else "string"})


def array_name(quantity: str, layer: int | str | None) -> str:
    """Return the key of a quantity's array in ``arrays.npz``, e.g. ``activation_quantiles/layer03``."""
    if layer is None:
        return quantity
    return f"{quantity}/{layer}" if isinstance(layer, str) else f"{quantity}/layer{layer:02d}"
