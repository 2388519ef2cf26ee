"""Whether two quantities of a run go up and down together."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from normscape.evidence.curves import Curves
from normscape.evidence.measures import Measure
from normscape.evidence.words import quantity_name


@dataclass(frozen=True)
class RankCorrelation(Measure):
    """Spearman's rank correlation over steps of ``quantity`` and ``other`` of the same layer.

    The correlation of ranks, equal values sharing the mean of theirs, over the steps at which both are numbers: 1 where
    the one is an increasing function of the other. NaN with fewer than 3 such steps, or where one never changes.
    """

    other: str = ""

    def of(self, curves: Curves, series: str) -> float:
        """Compute it."""
        pair = [curves.curve(series, name, self.layer).series() for name in self.quantities]
        both = pd.concat(pair, axis=1, join="inner").dropna()
        return rank_correlation(both.iloc[:, 0], both.iloc[:, 1])

    @property
    def words(self) -> str:
        """What it is."""
        return f"rank correlation over steps of {self.name} and {quantity_name(self.other, self.layer)}"

    @property
    def quantities(self) -> tuple[str, ...]:
        """The quantities that it needs."""
        return self.quantity, self.other


def rank_correlation(one: pd.Series, other: pd.Series) -> float:
    """Return Spearman's rank correlation of two series of the same length."""
    ranks = np.array([one.rank(), other.rank()], dtype=np.float64)
    centred = ranks - ranks.mean(axis=1, keepdims=True) if ranks.shape[1] >= 3 else np.zeros((2, 1))
    size = math.sqrt(float(np.prod((centred**2).sum(axis=1))))
    return float(centred[0] @ centred[1]) / size if size else math.nan
