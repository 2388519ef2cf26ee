"""Curves as a page holds them: lines and charts, thinned to what a screen shows, in JSON."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DIGITS = 5
MOST_POINTS, LEAST_POINTS = 400, 40
POINTS_OF_PAGE = 130_000
"""So many points take about 0.7 MB."""


@dataclass(frozen=True)
class Line:
    """One curve: values ``(T,)`` over ``x`` ``(T,)``, or a band from ``low`` to ``high``, or a curve in its band.

    ``paper`` marks one of the paper's own, which is drawn faintly behind and can be switched off.
    """

    name: str
    color: str
    x: Floats
    y: Floats | None = None
    low: Floats | None = None
    high: Floats | None = None
    dash: str = "solid"
    paper: bool = False
    markers: bool = False

    @property
    def columns(self) -> dict[str, Floats]:
        """Its values by the names that pages have for them."""
        every = {"y": self.y, "low": self.low, "high": self.high}
        return {name: values for name, values in every.items() if values is not None}


@dataclass(frozen=True)
class Chart:
    """Lines on common axes.

    ``group`` is the heading under which it is offered, e.g. ``VGG, layer 3``, ``about`` its network, quantity and
    layer, 0 for none.
    """

    title: str
    lines: tuple[Line, ...]
    group: str = ""
    about: tuple[str, str, int] = ("", "", 0)
    x_label: str = "step"
    x_log: bool = False
    y_log: bool = False
    percent: bool = False


def spans_decades(values: Iterable[Floats]) -> bool:
    """Whether an axis should be logarithmic: all values are positive, and most of them spread over a factor of 20."""
    every = np.concatenate([np.ravel(part) for part in values] or [np.empty(0)])
    every = every[np.isfinite(every)]
    if not len(every) or (every <= 0).any():
        return False
    low, high = np.quantile(every, [0.02, 0.98])
    return bool(high > 20 * low)


def thinned(line: Line, points: int) -> Line:
    """Return a line with about so many points at most: of each stretch the lowest and the highest, and both ends."""
    if len(line.x) <= points:
        return line
    columns = line.columns
    below, above = columns.get("low", columns.get("y")), columns.get("high", columns.get("y"))
    assert below is not None
    assert above is not None
    kept = {0, len(line.x) - 1}
    for stretch in np.array_split(np.arange(len(line.x)), max(points // 2, 1)):
        kept.add(int(stretch[np.argmin(np.nan_to_num(below[stretch], nan=np.inf))]))
        kept.add(int(stretch[np.argmax(np.nan_to_num(above[stretch], nan=-np.inf))]))
    at = np.array(sorted(kept))
    return replace(line, x=line.x[at], **{name: values[at] for name, values in columns.items()})


def points_each(lines: int) -> int:
    """Return how many points each of so many lines of a page may have."""
    return max(LEAST_POINTS, min(MOST_POINTS, POINTS_OF_PAGE // max(lines, 1)))


@dataclass
class _Shared:
    """Steps that many lines have in common are kept once."""

    places: dict[tuple[float, ...], int] = field(default_factory=dict)

    def place(self, x: Floats) -> int:
        return self.places.setdefault(tuple(x.tolist()), len(self.places))


def packed(charts: Sequence[Chart], points: int = MOST_POINTS, starts: Sequence[int] = (0, 1)) -> dict[str, Any]:
    """Return charts for JSON.

    ``xs`` are the steps that lines refer to by their place, ``starts`` the places of the charts that are shown first.
    """
    shared = _Shared()
    content = [_chart(chart, shared, points) for chart in charts]
    first = [place for place in starts if place < len(charts)]
    return {"xs": [_numbers(np.array(x)) for x in shared.places], "charts": content, "starts": first}


def _chart(chart: Chart, shared: _Shared, points: int) -> dict[str, Any]:
    lines = []
    for line in chart.lines:
        thin = thinned(line, points)
        flags = {name: True for name in ("paper", "markers") if getattr(line, name)}
        dash = {} if line.dash == "solid" else {"dash": line.dash}
        values = {name: _numbers(column) for name, column in thin.columns.items()}
        lines.append({"name": line.name, "color": line.color, "x": shared.place(thin.x), **values, **dash, **flags})
    facts = {name: getattr(chart, name) for name in ("title", "group", "x_label", "x_log", "y_log", "percent")}
    return {**facts, "lines": lines}


def _numbers(values: Floats) -> list[float | int | None]:
    """Return numbers for JSON, to the digits that a screen shows; None, a gap, where they are not finite."""
    return [_number(float(value)) for value in values]


def _number(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    short = float(f"{value:.{DIGITS}g}")
    return int(value) if value == int(value) and abs(value) < 1e15 else short
