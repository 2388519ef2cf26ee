"""A few of many, evenly chosen: snapshots that are drawn, steps that have a column."""

import numpy as np
from numpy.typing import NDArray


def evenly(count: int, most: int) -> NDArray[np.int64]:
    """Return at most ``most`` (2 or more) of the places 0 to ``count`` - 1, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(np.int64))
