"""Panels that several figures share."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from figures.statistics import VGG_RATE
from normscape.plots import COLORS, LABELS, band, ridge_plot
from normscape.tables import FinishedRun, curve, select


def gather(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return the parts of a figure's table as one."""
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


def training_rows(run: FinishedRun) -> pd.DataFrame:
    """Return what a run's training is judged by: accuracy where there are classes, else the loss."""
    return run.rows("train_loss" if run.config.name.startswith("dln") else "train_accuracy")


def first_seed(runs: Sequence[FinishedRun]) -> int:
    """Return the seed whose distributions are drawn."""
    return min(run.config.seed for run in runs)


def behind(axes: Axes, theirs: pd.Series, last: float, **line: Any) -> None:
    """Draw one of the paper's own curves faintly, its steps stretched to ours."""
    if len(theirs):
        axes.plot(theirs.index / theirs.index.max() * last, theirs, alpha=0.3, linewidth=0.8, **line)


def note_paper(axes: Axes, original: pd.DataFrame | None) -> None:
    """Say what the faint curves are."""
    if original is not None and len(original):
        axes.set_xlabel(f"step (faint: the paper's {original['step'].max():,.0f})")


def curves(
    axes: Axes,
    rows: pd.DataFrame,
    original: pd.DataFrame | None,
    series: Sequence[str],
    rates: Sequence[float],
    quantity: str,
    *,
    log: bool = False,
    layer: int | None = None,
) -> None:
    """Draw one quantity over steps, a colour per series and a line style per learning rate."""
    last = float(rows["step"].max())
    which = {"quantity": quantity} if layer is None else {"quantity": quantity, "layer": layer}
    axes.set(xlabel="step", xlim=(0, last), yscale="log" if log else "linear")
    for rate, style in zip(rates, ("-", "--"), strict=False):
        for name in series:
            label = LABELS[name] + (f", lr {rate:g}" if len(rates) > 1 else "")
            ours = select(rows, series=name, lr=rate, **which)
            if len(ours):
                hold = quantity.endswith("accuracy")
                band(axes, ours, hold=hold, color=COLORS[name], linestyle=style, label=label)
    if original is None:
        return
    with own_limits(axes):
        for rate, style in zip(rates, ("-", "--"), strict=False):
            for name in series:
                theirs = curve(original, series=name, lr=rate, **which)
                behind(axes, theirs, last, color=COLORS[name], linestyle=style)


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
    rates: Sequence[float] = (VGG_RATE,),
    quantity: str = "train_accuracy",
) -> None:
    """Draw accuracies in per cent."""
    curves(axes, rows, original, series, rates, quantity)
    axes.set(
        ylim=(0, 1),
        title={"train_accuracy": "Training accuracy (mini-batch)", "test_accuracy": "Test accuracy"}[quantity],
    )
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))


def training_panel(
    axes: Axes, rows: pd.DataFrame, original: pd.DataFrame | None, series: Sequence[str], rates: Sequence[float]
) -> None:
    """Draw what training is judged by: accuracy where the table has it, else the loss."""
    if (rows["quantity"] == "train_accuracy").any():
        accuracies(axes, rows, original, series, rates)
    else:
        curves(axes, rows, original, series, rates, "train_loss", log=True)
        axes.set(title="Training loss", ylabel="summed squared error")


def ranges(
    axes: Axes,
    rows: pd.DataFrame,
    original: pd.DataFrame | None,
    series: Sequence[str],
    rate: float,
    quantity: str,
    *,
    log: bool = False,
) -> None:
    """Draw each series' band from the least to the greatest value over step sizes, medians over seeds."""
    last = float(rows["step"].max())
    axes.set(xlabel="step", xlim=(0, last), yscale="log" if log else "linear")
    for name in series:
        low, high = (
            select(rows, series=name, lr=rate, quantity=quantity, edge=edge)
            .pivot_table(index="step", columns="seed", values="value", dropna=False)
            .median(axis=1)
            for edge in ("min", "max")
        )
        axes.fill_between(low.index, low, high, color=COLORS[name], alpha=0.3, lw=0, label=LABELS[name])
        for edge in (low, high):
            axes.plot(edge.index, edge, color=COLORS[name], linewidth=0.6)
    if original is None:
        return
    with own_limits(axes):
        for name in series:
            for side in ("min", "max"):
                theirs = curve(original, series=name, lr=rate, quantity=quantity, edge=side)
                behind(axes, theirs, last, color=COLORS[name])


def ridges(axes: Axes, rows: pd.DataFrame, layer: int, series: str, rate: float = VGG_RATE) -> None:
    """Draw how the distribution of a layer's unit moves over training."""
    chosen = select(rows, quantity="activation_quantile", layer=layer, series=series, lr=rate)
    wide = chosen.pivot_table(index="step", columns="level", values="value", dropna=False)
    ridge_plot(axes, wide.index.to_numpy(), wide.to_numpy(), COLORS[series])
    axes.set(xlabel="activation")
