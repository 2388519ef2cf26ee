"""A figure's table, indexed once: each curve by what it is, so that a statistic finds its numbers at once."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Key(NamedTuple):
    """What tells the curves of one seed apart; ``layer`` is 0 and ``edge`` empty where there is none."""

    net: str
    series: str
    lr: float
    augment: bool
    quantity: str
    layer: int
    edge: str


class Use(NamedTuple):
    """A curve that a statistic needs."""

    series: str
    quantity: str
    layer: int | None
    every_rate: bool = False
    """Whether it needs those of all learning rates, not one of them."""


@dataclass(frozen=True)
class Curve:
    """Values ``(T,)`` over steps ``(T,)`` in increasing order, with their step sizes ``(T,)``, NaN where none."""

    steps: Floats
    values: Floats
    step_sizes: Floats
    run: str = ""
    lr: float = math.nan

    def __len__(self) -> int:
        return len(self.steps)

    def where(self, kept: NDArray[np.bool_]) -> "Curve":
        """Return the part of the curve that is kept."""
        return replace(self, steps=self.steps[kept], values=self.values[kept], step_sizes=self.step_sizes[kept])

    def series(self) -> pd.Series:
        """Return the values indexed by step."""
        return pd.Series(self.values, index=self.steps)


EMPTY = Curve(np.empty(0), np.empty(0), np.empty(0))


@dataclass(frozen=True)
class Curves:
    """The curves of one seed, or those of them that a claim is about, over all steps or a part of them."""

    of: Mapping[Key, Curve]
    first: float = -math.inf
    end: float = math.inf
    keeps: Callable[[str, Floats], NDArray[np.bool_]] | None = None
    """Which steps of a series are looked at, if not the same of all: from its name and steps ``(T,)`` to ``(T,)``."""

    def about(self, facts: Mapping[str, Any]) -> "Curves":
        """Return the curves of the runs with some facts, e.g. ``{"net": "vgg", "lr": 0.1}``."""
        if not facts:
            return self
        return replace(self, of={k: c for k, c in self.of.items() if all(getattr(k, f) == v for f, v in facts.items())})

    def between(self, first: float, end: float) -> "Curves":
        """Return the curves from step ``first`` until before step ``end``."""
        return replace(self, first=max(first, self.first), end=min(end, self.end))

    def where(self, keeps: Callable[[str, Floats], NDArray[np.bool_]]) -> "Curves":
        """Return the curves at the steps that ``keeps`` says for each series."""
        before = self.keeps
        both = keeps if before is None else lambda series, steps: keeps(series, steps) & before(series, steps)
        return replace(self, keeps=both)

    @cached_property
    def last_step(self) -> float:
        """The last step of any curve, at least 1; NaN if there is no curve."""
        return max((max(float(curve.steps[-1]), 1.0) for curve in self.of.values()), default=math.nan)

    @cached_property
    def _found(self) -> dict[tuple[str, str, int, str], list[Curve]]:
        found: dict[tuple[str, str, int, str], list[Curve]] = {}
        for key, curve in self.of.items():
            found.setdefault((key.series, key.quantity, key.layer, key.edge), []).append(curve)
        return found

    def all_of(self, series: str, quantity: str, layer: int | None = None, edge: str = "") -> Curve:
        """Return a series' values of a quantity, of any step sizes; empty if there are none.

        Raises
        ------
        ValueError
            If several runs have them: the claim must say which is meant.
        """
        found = self._found.get((series, quantity, layer or 0, edge), [])
        if len(found) > 1:
            raise ValueError(f"{series}, {quantity}: of several runs ({', '.join(curve.run for curve in found)})")
        if not found:
            return EMPTY
        (curve,) = found
        if self.first > -math.inf or self.end < math.inf:
            curve = curve.where((self.first <= curve.steps) & (curve.steps < self.end))
        return curve if self.keeps is None else curve.where(self.keeps(series, curve.steps))

    def curve(self, series: str, quantity: str, layer: int | None = None, edge: str = "") -> Curve:
        """Return a series' one curve of a quantity; ValueError if a step has several values."""
        curve = self.all_of(series, quantity, layer, edge)
        if (curve.steps[1:] == curve.steps[:-1]).any():
            raise ValueError(f"{series}, {quantity}: several values at a step")
        return curve

    def last_of(self, quantity: str) -> float:
        """Return the last step at which any run has a quantity."""
        return max((float(c.steps[-1]) for k, c in self.of.items() if k.quantity == quantity), default=math.nan)


def indexed(table: pd.DataFrame) -> dict[int, Curves]:
    """Return the curves of each seed of a figure's table."""
    plain = table.assign(
        layer=table["layer"].fillna(0).astype(int), edge=table["edge"].astype("string").fillna("").astype(str)
    )
    steps, values, sizes = (table[name].to_numpy(np.float64) for name in ("step", "value", "step_size"))
    runs = table["run"].to_numpy()
    seeds: dict[int, dict[Key, Curve]] = {}
    groups: Any = plain.groupby(["seed", *Key._fields], sort=False).indices
    for (seed, *facts), rows in groups.items():
        key = Key(*facts)
        order = rows[np.argsort(steps[rows], kind="stable")]
        curve = Curve(steps[order], values[order], sizes[order], str(runs[order[0]]), float(key.lr))
        seeds.setdefault(int(seed), {})[key] = curve
    return {seed: Curves(seeds[seed]) for seed in sorted(seeds)}
