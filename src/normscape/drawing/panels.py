"""Panels that several figures share: curves and ranges with the paper's own behind, accuracies, ridges, notes."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, PercentFormatter

from normscape.drawing.bands import median_over_seeds, range_over_step_sizes, running_medians
from normscape.drawing.ridges import ridge_plot
from normscape.drawing.style import COLORS, LABELS
from normscape.evidence.figure import Shown
from normscape.evidence.table import curve, select

RIDGES = "ridges: pre-activations of one unit, first seed; each panel has its own x-axis, each ridge its own height"
RUNNING = 9
"""Over how many measured steps running medians are taken."""
TICK_INCHES = 0.5
"""How far from each other numbers of five digits must be."""
ACCURACIES = {"train_accuracy": "Training accuracy (mini-batch)", "test_accuracy": "Test accuracy"}


def rates_of(rows: pd.DataFrame) -> list[float]:
    """Return the learning rates of a table, in increasing order."""
    return sorted(rows["lr"].dropna().unique())


def behind(axes: Axes, theirs: pd.Series, last: float, **line: Any) -> None:
    """Draw one of the paper's own curves faintly, its steps stretched to ours."""
    if len(theirs):
        axes.plot(theirs.index / theirs.index.max() * last, theirs, alpha=0.3, linewidth=0.8, **line)


def note_paper(axes: Axes, original: pd.DataFrame | None) -> None:
    """Say what the faint curves are."""
    if original is not None and len(original):
        axes.set_xlabel(f"step (faint: the paper's {original['step'].max():,.0f})")


def note(figure: Figure, text: str) -> None:
    """Say below a figure what its lines and bands are; a line that is wider than the figure is broken at semicolons."""
    points = FontProperties(size="x-small").get_size_in_points()
    room = 72 * figure.get_figwidth() / (0.5 * points)  # a letter is half as wide as it is high
    lines = [""]
    for part in text.split("; "):
        longer = f"{lines[-1]}; {part}" if lines[-1] else part
        if len(longer) <= room or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(part)
    figure.supxlabel(";\n".join(lines), fontsize="x-small", color="0.35")


def legend(axes: Axes, **options: Any) -> None:
    """Draw a legend, if there is anything to name: runs that all diverge at once leave nothing."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(**options)


def seeds_in_words(rows: pd.DataFrame) -> str:
    """Say what lines and plain bands are, over the seeds of each network."""
    counts = {str(net): int(part.nunique()) for net, part in rows.groupby("net", sort=False)["seed"]}
    if set(counts.values()) <= {1}:
        return "one seed"
    alike = len(set(counts.values())) == 1
    number = {net: "one seed" if n == 1 else f"median and range over {n} seeds" for net, n in counts.items()}
    each = [words if alike else f"{net.upper()}: {words}" for net, words in number.items()]
    return f"lines and plain bands: {', '.join(dict.fromkeys(each))}"


def step_sizes_in_words(shown: Shown, direction: str = "gradient") -> str:
    """Say which step sizes a landscape was measured at, from the settings of the runs."""
    spans: dict[str, None] = {}
    for config in shown.configs.values():
        rate = float(config["optimizer"]["lr"])
        for asked in config["probe"].values():
            if str(asked["_target_"]).endswith(".Landscape") and asked.get("direction", "gradient") == direction:
                sizes = asked.get("step_sizes") or [rate * multiple for multiple in asked["lr_multiples"]]
                low, high = min(sizes), max(sizes)
                spans[f"s = {low:.3g} to {high:.3g} ({low / rate:.3g} to {high / rate:.3g} lr)"] = None
    return f"step sizes {', '.join(spans)}"


def bands_in_words(shown: Shown) -> str:
    """Say what the outlined bands of landscape panels are."""
    edges = ", each edge the median over seeds" if shown.rows["seed"].nunique() > 1 else ""
    return f"outlined bands: minimum to maximum over {step_sizes_in_words(shown)}{edges}"


def objective_in_words(shown: Shown) -> str:
    """Say what J is, from the settings of the runs."""
    decayed = any(config["optimizer"].get("weight_decay") for config in shown.configs.values())
    return f"J: loss{' with its L2 penalty' if decayed else ''}"


def step_axis(axes: Axes, rows: pd.DataFrame) -> float:
    """Let the x-axis span the steps of a table, with few enough ticks for numbers of five digits; return its end.

    A narrow panel has fewer ticks.

    What is measured every hundredth step of 15 000 is measured at 14 900 for the last time: a tick that is so near
    belongs to the axis. It ends at 1 where the table has no later step, as of runs that all diverge at once.
    """
    last = max(float(rows["step"].max()), 1.0) if len(rows) else 1.0
    figure = axes.get_figure(root=True)
    inches = axes.get_position().width * (figure.get_figwidth() if figure else 1)
    most = min(5, max(2, int(inches / TICK_INCHES)))
    locators = [MaxNLocator(most, steps=steps) for steps in ([1, 2, 5, 10], [1, 2, 4, 5, 10])]
    ends = {locator: [t for t in locator.tick_values(0, last) if abs(t - last) <= 0.025 * last] for locator in locators}
    locator = next((locator for locator in locators if ends[locator]), locators[0])
    last = next((tick for tick in ends[locator] if tick > last), last)
    axes.set(xlabel="step", xlim=(0, last))
    axes.xaxis.set_major_locator(locator)
    return last


def _scale(rows: pd.DataFrame, *, log: bool) -> str:
    """Return the scale of an axis: logarithmic only if there is a positive finite value to show."""
    values = rows["value"].to_numpy(float)
    return "log" if log and bool((np.isfinite(values) & (values > 0)).any()) else "linear"


def one_rate(table: pd.DataFrame) -> float | None:
    """Return the only learning rate of a table; None if there are several, or none."""
    rates = rates_of(table)
    return rates[0] if len(rates) == 1 else None


def curves(
    axes: Axes,
    rows: pd.DataFrame,
    original: pd.DataFrame | None,
    series: Sequence[str],
    quantity: str,
    *,
    log: bool = False,
    layer: int | None = None,
    bands: bool = True,
) -> None:
    """Draw one quantity over steps, a colour per series and a line style per learning rate.

    The paper's own curves are matched to ours by learning rate where there are several, else they are the only ones.
    ``bands`` draws ranges over seeds too.
    """
    last = step_axis(axes, rows)
    which = {"quantity": quantity} if layer is None else {"quantity": quantity, "layer": layer}
    ours = select(rows, **which)
    axes.set(yscale=_scale(ours, log=log))
    styles = dict(zip(rates_of(ours), ("-", "--", ":", "-."), strict=False))
    for rate, style in styles.items():
        for name in series:
            label = LABELS[name] + (f", lr {rate:g}" if len(styles) > 1 else "")
            mine = select(ours, series=name, lr=rate)
            if len(mine):
                hold = quantity.endswith("accuracy")
                median_over_seeds(axes, mine, hold=hold, band=bands, color=COLORS[name], linestyle=style, label=label)
    if original is None:
        return
    theirs = select(original, **which)
    with own_limits(axes):
        for rate, style in styles.items():
            for name in series:
                same = select(theirs, series=name) if one_rate(theirs) else select(theirs, series=name, lr=rate)
                behind(axes, curve(same), last, color=COLORS[name], linestyle=style)


def plain_log_ticks(axis: Axis, values: Iterable[float], fine: float = 8) -> None:
    """Label a logarithmic axis with plain numbers, closer together the fewer decades its positive values span.

    Over four decades or more, powers of ten are plainer, and what matplotlib does stays, as it does on an axis that is
    linear, because it has nothing positive to show. ``fine`` is up to which ratio
    of the values numbers lie closest, which in a narrow panel would touch each other.
    """
    shown = [value for value in values if 0 < value < np.inf]
    span = max(shown) / min(shown) if shown else 1.0
    if span >= 1e4 or axis.get_scale() != "log":
        return
    subs = (1, 1.5, 2, 3, 5, 7) if span < fine else (1, 2, 5) if span < 200 else (1,)
    axis.set(major_locator=LogLocator(subs=subs), major_formatter="{x:g}", minor_formatter=NullFormatter())


@contextmanager
def own_limits(axes: Axes) -> Iterator[None]:
    """Let what the block draws widen a logarithmic axis by three decades at most, so that ours stays readable."""
    low, high = axes.get_ylim()
    yield
    if axes.get_yscale() == "log":
        wide_low, wide_high = axes.get_ylim()
        axes.set_ylim(max(wide_low, low / 1e3), min(wide_high, high * 1e3))


def accuracies(
    axes: Axes,
    rows: pd.DataFrame,
    original: pd.DataFrame | None,
    series: Sequence[str],
    quantity: str = "train_accuracy",
) -> None:
    """Draw accuracies in per cent."""
    curves(axes, rows, original, series, quantity)
    axes.set(ylim=(0, 1), title=ACCURACIES[quantity])
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))


def training_panel(axes: Axes, rows: pd.DataFrame, original: pd.DataFrame | None, series: Sequence[str]) -> None:
    """Draw what training is judged by: accuracy where the table has it, else the loss."""
    if (rows["quantity"] == "train_accuracy").any():
        accuracies(axes, rows, original, series)
    else:
        curves(axes, rows, original, series, "train_loss", log=True)
        axes.set(title="Training loss", ylabel="summed squared error")


def ranges(
    axes: Axes,
    rows: pd.DataFrame,
    original: pd.DataFrame | None,
    series: Sequence[str],
    quantity: str,
    *,
    log: bool = False,
) -> None:
    """Draw each series' range over step sizes, and the paper's own behind."""
    last = step_axis(axes, rows)
    axes.set(yscale=_scale(select(rows, quantity=quantity), log=log))
    range_over_step_sizes(axes, rows, series, quantity)
    if original is None:
        return
    with own_limits(axes):
        for name in series:
            for side in ("min", "max"):
                theirs = curve(original, series=name, quantity=quantity, edge=side)
                behind(axes, theirs, last, color=COLORS[name])


def smoothed(
    axes: Axes, rows: pd.DataFrame, original: pd.DataFrame | None, series: Sequence[str], quantity: str
) -> None:
    """Draw a quantity that changes by orders of magnitude from step to step: running medians, on a logarithmic axis.

    The tables have no other quantity. The ranges over seeds of more than two networks would hide each other.
    """
    theirs = None if original is None else running_medians(original, RUNNING)
    curves(axes, running_medians(rows, RUNNING), theirs, series, quantity, log=True, bands=len(series) <= 2)
    plain_log_ticks(axes.yaxis, axes.get_ylim())


def ridges(axes: Axes, rows: pd.DataFrame, layer: int, series: str) -> None:
    """Draw how the distribution of a layer's unit moves over training."""
    chosen = select(rows, quantity="activation_quantile", layer=layer, series=series)
    wide = chosen.pivot_table(index="step", columns="level", values="value", dropna=False)
    ridge_plot(axes, wide.index.to_numpy(), wide.to_numpy(), COLORS[series])
    axes.set_xlabel("pre-activation", fontsize="small")
