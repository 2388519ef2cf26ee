"""Whether two quantities of a run go up and down together."""

from dataclasses import dataclass

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
    ranks = pd.DataFrame({"one": one.to_numpy(), "other": other.to_numpy()}).rank()
    return float(ranks["one"].corr(ranks["other"], min_periods=3))
