"""How far the order of several networks by one statistic follows their order by another."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from normscape.evidence.correlation import rank_correlation
from normscape.evidence.curves import Curves, Use
from normscape.evidence.statistics import Statistic


@dataclass(frozen=True)
class RankCorrelationOverSeries(Statistic):
    """Spearman's rank correlation over several series of one statistic with another, from -1 to 1.

    A network that never gets somewhere counts as the last to get there. Ties share their mean rank. NaN if fewer than
    four series have both, or all have the same value.
    """

    first: tuple[Statistic, ...]
    second: tuple[Statistic, ...]
    first_name: str
    second_name: str

    def of(self, curves: Curves) -> float:
        """Compute it."""
        found = [[each.of(curves) for each in pair] for pair in zip(self.first, self.second, strict=True)]
        pairs = pd.DataFrame(found).dropna()
        return rank_correlation(pairs[0], pairs[1]) if len(pairs) >= 4 else math.nan

    @property
    def words(self) -> str:
        """What it is."""
        over = f"over those of {len(self.first)} networks other than the standard one that have both"
        return (
            f"rank correlation of {self.first_name}, relative to the standard network, with {self.second_name}, {over}"
        )

    def uses(self) -> Iterator[Use]:
        """Yield the curves that it needs."""
        for statistic in (*self.first, *self.second):
            yield from statistic.uses()
