"""Curves as a page holds them: lines and charts, thinned if there are very many, in JSON."""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DIGITS = 4
"""So many are right of a number that is not a step; see `coded`."""
MOST_POINTS, LEAST_POINTS = 400, 40
VALUES_OF_PAGE = 420_000
"""So many values take about 0.9 MB."""
DROPPED = 10
"""Of the 23 bits of a float32's fraction, those that a page does without."""


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


def points_each(charts: Iterable[Chart]) -> int:
    """Return how many points each line of a page's charts may have."""
    sizes = [(len(line.x), len(line.columns)) for chart in charts for line in chart.lines]
    for points in range(MOST_POINTS, LEAST_POINTS, -10):
        if sum(min(length, points) * columns for length, columns in sizes) <= VALUES_OF_PAGE:
            return points
    return LEAST_POINTS


@dataclass
class _Shared:
    """Steps that many lines have in common are kept once."""

    places: dict[tuple[float, ...], int] = field(default_factory=dict)

    def place(self, x: Floats) -> int:
        return self.places.setdefault(tuple(x.tolist()), len(self.places))


@dataclass
class _Values:
    """The values of lines, one after another; lines refer to them by where theirs begin."""

    columns: list[Floats] = field(default_factory=list)
    count: int = 0

    def place(self, column: Floats) -> int:
        before = self.count
        self.columns.append(column)
        self.count += len(column)
        return before


def coded(values: Floats) -> str:
    """Return numbers as text: the upper 22 bits of each as a float32, all lowest bytes first, in base 64.

    A number is off by 6e-5 of itself at most; one that is not finite, or beyond float32, is NaN.
    """
    with np.errstate(over="ignore"):
        narrow = values.astype("<f4")
    bits = np.where(np.isfinite(narrow), narrow, np.float32(np.nan)).view("<u4")
    codes = (bits + (1 << (DROPPED - 1))) >> DROPPED
    return base64.b64encode(codes.view(np.uint8).reshape(-1, 4)[:, :3].T.tobytes()).decode()


def packed(charts: Sequence[Chart], points: int = MOST_POINTS, starts: Sequence[int] = (0, 1)) -> dict[str, Any]:
    """Return charts for JSON.

    ``xs`` are the steps that lines refer to by their place, ``values`` the numbers that they refer to by where theirs
    begin (`coded`), ``starts`` the places of the charts that are shown first.
    """
    shared, values = _Shared(), _Values()
    content = [_chart(chart, shared, values, points) for chart in charts]
    first = [place for place in starts if place < len(charts)]
    xs = [[_number(value) for value in x] for x in shared.places]
    text = coded(np.concatenate([*values.columns, np.empty(0)]))
    return {"xs": xs, "charts": content, "values": text, "starts": first}


def _chart(chart: Chart, shared: _Shared, numbers: _Values, points: int) -> dict[str, Any]:
    lines = []
    for line in chart.lines:
        thin = thinned(line, points)
        flags = {name: True for name in ("paper", "markers") if getattr(line, name)}
        dash = {} if line.dash == "solid" else {"dash": line.dash}
        values = {name: numbers.place(column) for name, column in thin.columns.items()}
        lines.append({"name": line.name, "color": line.color, "x": shared.place(thin.x), **values, **dash, **flags})
    facts = {name: getattr(chart, name) for name in ("title", "group", "x_label", "x_log", "y_log", "percent")}
    return {**facts, "lines": lines}


def _number(value: float) -> float | int:
    """Return a step, or where the paper's curves have a point, for JSON."""
    return int(value) if value == int(value) else float(f"{value:.6g}")
