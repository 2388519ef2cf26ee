"""Interactive charts of a figure, from its table alone: one for each quantity of a network and layer."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.colors import to_hex

from normscape.evenly import evenly
from normscape.evidence.comparing import NETS
from normscape.evidence.table import COLUMNS, select
from normscape.evidence.words import quantity_name
from normscape.page.lines import Chart, Floats, Line
from normscape.page.look import DASHES, Look, logarithmic

BANDS = ((0.05, 0.95), (0.25, 0.75))
MOST_STEPS = 12
"""Curves over distance that a chart has: one per step, evenly chosen."""

WHO = ["run", "series", "lr", "augment"]


def charts_of(table: pd.DataFrame, original: pd.DataFrame | None = None, look: Look | None = None) -> list[Chart]:
    """Return the charts of a figure's table, in its order, with the paper's own curves where there are some.

    Rows become, by the columns that they fill: with ``level``, quantiles of a distribution over steps; with
    ``step_size``, curves over the distance, one per step; with ``edge``, a range over steps; else a curve over steps,
    the median over seeds in their range; and where a series has more rates than there are dashes, its last value
    over them. A table of single numbers has none.
    """
    look = look or Look()
    theirs = pd.DataFrame(columns=COLUMNS) if original is None else original
    theirs = theirs.assign(quantity=theirs["quantity"].replace(dict(look.paper)))
    charts: list[Chart] = []
    several = table["net"].nunique() > 1
    groups: Any = table.groupby(["net", "quantity", "layer"], sort=False, dropna=False)
    for (net, quantity, layer), rows in groups:
        number = None if pd.isna(layer) else int(layer)
        which: dict[str, object] = {"net": net, "quantity": quantity}
        same = select(theirs, **which, **({} if number is None else {"layer": number}))
        words = quantity_name(str(quantity), number)
        network = NETS.get(str(net), str(net))
        places = [*([network] if several else []), *([f"layer {number}"] if number is not None else [])]
        facts: dict[str, Any] = {"title": words[:1].upper() + words[1:], "group": ", ".join(places)}
        facts["x_label"] = look.x_labels.get(str(quantity), "step")
        facts["about"] = (str(net), str(quantity), number or 0)
        charts += _charts(rows, same, facts, look)
    return charts


def _charts(rows: pd.DataFrame, theirs: pd.DataFrame, facts: dict[str, Any], look: Look) -> Iterator[Chart]:
    quantity = str(rows["quantity"].iloc[0])
    if rows["level"].notna().any():
        yield from _distributions(rows, facts, look)
    elif rows["step_size"].notna().any() and rows["edge"].isna().all():
        yield from _over_distance(rows, theirs, facts, look)
    elif rows["lr"].nunique() > len(DASHES):
        yield _over_rates(rows, facts, look)
    elif rows.groupby(WHO, dropna=False)["step"].nunique().max() > 1:
        lines = [*_curves(rows, rows, look), *_papers(theirs, rows, look)]
        percent = quantity.endswith("accuracy")
        yield Chart(**facts, lines=tuple(lines), percent=percent, y_log=logarithmic(lines, quantity, facts["about"][0]))


def _named(who: tuple[Any, ...], rows: pd.DataFrame, look: Look) -> str:
    """Return the name of a curve: its series, and of rate, augmentation and label what tells it from the others."""
    run, series, rate, augment = who
    alike = select(rows, series=series)
    name = look.name(str(series))
    if rows["lr"].nunique() > 1 and series not in look.series:
        name += f", lr {rate:g}"
    if rows["augment"].nunique() > 1 and augment:
        name += ", augmented"
    one = select(alike, lr=rate, augment=augment) if pd.notna(rate) else alike
    return name if one["run"].nunique() < 2 else f"{name} ({run})"


def _curves(rows: pd.DataFrame, among: pd.DataFrame, look: Look) -> Iterator[Line]:
    """Yield the curves or ranges over steps, of each run over its seeds."""
    rates = sorted(among["lr"].dropna().unique())
    groups: Any = rows.groupby(WHO, sort=False, dropna=False)
    for who, part in groups:
        series = str(who[1])
        style: dict[str, Any] = {"name": _named(who, among, look), "color": look.color(series)}
        style["dash"] = look.dash(series, who[2], rates)
        if part["edge"].notna().any():
            low, high = (_over_seeds(select(part, edge=edge)).median(axis=1) for edge in ("min", "max"))
            yield Line(**style, x=_index(low), low=low.to_numpy(float), high=high.reindex(low.index).to_numpy(float))
            continue
        wide = _over_seeds(part)
        if str(part["quantity"].iloc[0]).endswith("accuracy"):
            wide = wide.ffill()  # as in the pictures: weights that are no longer finite do not change
        yield Line(**style, x=_index(wide), **_median(wide))


def _median(wide: pd.DataFrame) -> dict[str, Any]:
    """Return the median over columns, one per seed, and, of several, their range."""
    range_ = {"low": wide.min(axis=1).to_numpy(float), "high": wide.max(axis=1).to_numpy(float)}
    return {"y": wide.median(axis=1).to_numpy(float), **(range_ if wide.shape[1] > 1 else {})}


def _papers(theirs: pd.DataFrame, ours: pd.DataFrame, look: Look) -> Iterator[Line]:
    """Yield the paper's own curves, their steps stretched to ours, of the series that we have."""
    known = theirs[theirs["series"].isin(ours["series"].unique())]
    if theirs["lr"].nunique() > 1:
        known = known[known["lr"].isin(ours["lr"].unique())]
    if known.empty:
        return
    last, end = float(known["step"].max()), float(ours["step"].max())
    for line in _curves(known, known, look):
        stretched = line.x / (last or 1.0) * end
        shown = {**line.__dict__, "name": f"the paper: {line.name}", "x": stretched, "paper": True}
        yield Line(**shown)


def _distributions(rows: pd.DataFrame, facts: dict[str, Any], look: Look) -> Iterator[Chart]:
    """Yield a chart for each network: the distribution of a unit, as a median and bands over steps; first seed."""
    first = rows[rows["seed"] == rows["seed"].min()]
    for who, part in first.groupby(WHO, sort=False, dropna=False):
        wide = part.pivot_table(index="step", columns="level", values="value", dropna=False).sort_index()
        levels = wide.columns.to_numpy(float)

        def at(level: float, wide: pd.DataFrame = wide, levels: Floats = levels) -> Floats:
            return np.asarray(wide.iloc[:, int(np.abs(levels - level).argmin())], float)

        color, x = look.color(str(who[1])), _index(wide)
        bands = [
            Line(f"{100 * low:g} to {100 * high:g} % of the batch", color, x, low=at(low), high=at(high), dash=dash)
            for (low, high), dash in zip(BANDS, ("dot", "solid"), strict=True)
        ]
        own = {**facts, "title": f"{facts['title']}: {_named(who, rows, look)}"}
        yield Chart(**own, lines=(*bands, Line("median", color, x, y=at(0.5))))


def _over_distance(rows: pd.DataFrame, theirs: pd.DataFrame, facts: dict[str, Any], look: Look) -> Iterator[Chart]:
    """Yield a chart for each network: the quantity over the distance walked, one curve per step; first seed."""
    first = rows[rows["seed"] == rows["seed"].min()]
    for who, part in first.groupby(WHO, sort=False, dropna=False):
        same = select(theirs, series=who[1])
        lines = [*_by_step(part, ""), *_by_step(same[same["step_size"].notna()], "the paper: ")]
        log = logarithmic(lines, facts["about"][1], "any")
        own = {**facts, "title": f"{facts['title']}: {_named(who, rows, look)}", "x_label": "step size s"}
        yield Chart(**own, lines=tuple(lines), x_log=True, y_log=log)


def _by_step(rows: pd.DataFrame, prefix: str) -> Iterator[Line]:
    steps = np.unique(rows["step"].to_numpy(float))
    chosen = steps[evenly(len(steps), MOST_STEPS)]
    for step in chosen:
        line = rows[rows["step"] == step].sort_values("step_size")
        color = to_hex(colormaps["viridis"](0.9 * step / (steps[-1] or 1.0)))
        x, y = (line[name].to_numpy(float) for name in ("step_size", "value"))
        dash = "dot" if prefix else "solid"
        yield Line(f"{prefix}step {step:,.0f}", color, x, y, dash=dash, paper=bool(prefix), markers=not prefix)


def _over_rates(rows: pd.DataFrame, facts: dict[str, Any], look: Look) -> Chart:
    """Return the last value of each run over its learning rate, the median over seeds in their range."""
    last = rows.sort_values("step", kind="stable").groupby(["series", "lr", "seed"], sort=False).last()["value"]
    lines = []
    for series in dict.fromkeys(rows["series"]):
        wide = last.loc[series].unstack("seed").sort_index()
        style: dict[str, Any] = {"name": look.name(series), "color": look.color(series), "markers": True}
        lines.append(Line(**style, x=_index(wide), **_median(wide)))
    log = logarithmic(lines, facts["about"][1], facts["about"][0])
    percent = facts["about"][1].endswith("accuracy")
    own = {**facts, "title": f"{facts['title']}, at the end", "x_label": "learning rate"}
    return Chart(**own, lines=tuple(lines), x_log=True, y_log=log, percent=percent)


def _over_seeds(rows: pd.DataFrame) -> pd.DataFrame:
    """Return values by step, a column per seed."""
    if rows["seed"].nunique() == 1:  # most tables; a pivot takes ten times as long
        return rows.set_index("step")[["value"]].sort_index(kind="stable")
    return rows.pivot_table(index="step", columns="seed", values="value", dropna=False).sort_index()


def _index(table: pd.DataFrame | pd.Series) -> Floats:
    return table.index.to_numpy(float)
