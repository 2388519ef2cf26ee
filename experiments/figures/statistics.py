"""Statistics that claims of several figures share: from one seed's rows to a number."""

import math
from collections.abc import Callable, Sequence
from functools import partial

import pandas as pd

from normscape.claims import Statistic, steps_to_reach
from normscape.tables import curve

VGG_RATE = 0.1
DLN_RATE = 1e-6
RATES = {"VGG": VGG_RATE, "DLN": DLN_RATE}
"""The learning rate of the paper's networks."""
LP_NORMS = ("l1", "l2", "linf")
FAMILY = ("standard", "batch", *LP_NORMS)
EARLY, LATE = "over the first tenth of the steps", "over the second half"
FITTED = 0.99
"""The training accuracy (mean of 5 logged mini-batches) from which on a network counts as fitted."""


def named(series: str) -> str:
    """Return a series as sentences call it."""
    return {"batch": "BatchNorm", "noisy_batch": "noisy BatchNorm"}.get(series, series.replace("_", " "))


def ratio(above: float, below: float) -> float:
    """Return above / below; inf and 0 where one is infinite, NaN where both are or both are 0."""
    if math.isinf(above) and math.isinf(below):
        return math.nan
    if below == 0:
        return math.inf if above > 0 else math.nan
    return above / below


def speed_up(slow: str, fast: str, level: float, rows: pd.DataFrame, rate: float = VGG_RATE) -> float:
    """Return the steps that ``slow`` needs to a training accuracy over those that ``fast`` needs."""
    steps = [
        steps_to_reach(curve(rows, series=series, lr=rate, quantity="train_accuracy"), level) for series in (slow, fast)
    ]
    return ratio(*steps)


def final(rows: pd.DataFrame, points: int, **which: object) -> float:
    """Return the mean of a curve's last points; of its last point alone if the run ended before the others.

    A run that ended early has diverged: what it was shortly before says nothing of what became of it. A loss that is
    no longer a number counts as infinite. NaN if there is no curve.
    """
    values = curve(rows, **which)
    if values.empty:
        return math.nan
    everyone = rows[rows["quantity"] == which["quantity"]]["step"]
    ended_early = values.index.max() < everyone.max()
    value = float(values.iloc[-1 if ended_early else -points :].mean(skipna=False))
    return math.inf if math.isnan(value) else value


def typical(rows: pd.DataFrame, **which: object) -> float:
    """Return the median over the steps at which a curve is defined (a zero gradient has no angle), NaN if none is."""
    values = curve(rows, **which).dropna()
    return float(values.median()) if len(values) else math.nan


def width(rows: pd.DataFrame, quantity: str, series: str, rate: float) -> float:
    """Return the median over steps of a band's width, greatest minus least value over the step sizes."""
    low, high = (curve(rows, series=series, lr=rate, quantity=quantity, edge=edge) for edge in ("min", "max"))
    return float((high - low).fillna(math.inf).median()) if len(low) else math.nan


def compared(measure: Callable[[str], float], above: str, below: str) -> float:
    """Return the ratio of what ``measure`` gives for two series."""
    return ratio(measure(above), measure(below))


def each(words: str, statistic: Callable[[str, pd.DataFrame], float], series: Sequence[str]) -> dict[str, Statistic]:
    """Return, as evidence for a claim that compares some series, a statistic of each of them by itself."""
    return {f"{words}, {named(name)}": partial(statistic, name) for name in series}


def within(first: float, last: float, rate: float, statistic: Statistic) -> Statistic:
    """Return a statistic restricted to a part of the steps from 0 to the last, e.g. 0 to 0.1 for their first tenth."""

    def restricted(rows: pd.DataFrame) -> float:
        end = max(rows.loc[rows["lr"] == rate, "step"].max(), 1)
        return statistic(rows[(first * end <= rows["step"]) & ((rows["step"] < last * end) | (last == 1))])

    return restricted


def fitted(series: str, rate: float, statistic: Statistic, *, since: bool = False) -> Statistic:
    """Return a statistic restricted to the steps until, or since, a series has fitted its training data (`FITTED`)."""

    def restricted(rows: pd.DataFrame) -> float:
        reached = steps_to_reach(curve(rows, series=series, lr=rate, quantity="train_accuracy"), FITTED)
        return statistic(rows[rows["step"] >= reached if since else rows["step"] < reached])

    return restricted


def until_fitted(series: str, rate: float, statistic: Statistic) -> dict[str, Statistic]:
    """Return, as a part of a claim, a statistic over the steps at which a normalised network still has to learn."""
    return {f"before {named(series)} has fitted its training data": fitted(series, rate, statistic)}


def over_parts(rate: float, statistic: Statistic, words: str = "") -> dict[str, Statistic]:
    """Return a statistic over three parts of the run, as parts of a claim or as evidence."""
    parts = {
        EARLY: (0.0, 0.1),
        "over the next four tenths": (0.1, 0.5),
        LATE: (0.5, 1.0),
    }
    return {f"{words}{name}": within(*ends, rate, statistic) for name, ends in parts.items()}


def parts_of_run(net: str, rate: float, normalised: str, statistic: Statistic) -> dict[str, Statistic]:
    """Return a statistic over the parts of a run and, of a VGG, until the normalised one has fitted its data."""
    fitting = until_fitted(normalised, rate, statistic) if net == "VGG" else {}
    return {**over_parts(rate, statistic), **fitting}


def final_accuracy(series: str, rows: pd.DataFrame, rate: float = VGG_RATE) -> float:
    """Return a series' training accuracy at the end, as a mean of 5 logged mini-batches, in per cent."""
    return 100 * final(rows, points=5, series=series, lr=rate, quantity="train_accuracy")


def final_loss_ratio(above: str, below: str, rows: pd.DataFrame, rate: float = DLN_RATE) -> float:
    """Return the ratio of two series' training losses at the end, as means of 5 logged steps."""
    return compared(lambda s: final(rows, points=5, series=s, lr=rate, quantity="train_loss"), above, below)
