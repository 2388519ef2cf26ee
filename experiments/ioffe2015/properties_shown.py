"""Properties of BatchNorm: scale invariance, the bias that grows, population statistics, batch mates as noise."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch
from hydra.utils import instantiate
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from omegaconf import OmegaConf

from ioffe2015.properties import ScaleErrors, centred_bias, population_variances, scale_errors, spread_over_mates
from ioffe2015.shared import Mark
from normscape.config import CONFIGS
from normscape.drawing.panels import legend, note
from normscape.drawing.style import COLORS, STYLE
from normscape.evidence.claims import Claim
from normscape.evidence.figure import Shown
from normscape.evidence.finished import FinishedRun
from normscape.evidence.statistics import Difference, Of
from normscape.evidence.table import COLUMNS, gather, select
from normscape.evidence.words import display_name

SEEDS = range(10)
NORMS = tuple(sorted(path.stem for path in (CONFIGS / "norm").glob("*.yaml") if path.stem != "weight"))
"""Those that act on a layer's output; what norm=weight acts on is the weight itself, W / ||W||."""
PLAIN = ("standard", "noisy_standard")
"""The norms that do not divide by anything measured."""
FACTOR, EPS, EXACT = 3.0, 1e-14, 1e-9
"""a; what eps is made for these experiments; and below which relative error an identity holds."""
BIAS_STEPS, RATE = 100, 0.1
SIZES = (8, 16, 32, 64, 128, 256)
SMALL_BATCH, BATCHES, DRAWS = 4, 100, 2000
FIELDS = tuple(ScaleErrors.__dataclass_fields__)
SERIES_LOOKS = {
    "mean_ignored": (COLORS["standard"], "-", "gradient ignores the mean"),
    "mean_in_gradient": (COLORS["batch"], "-", "gradient through the mean"),
    "training": (COLORS["batch"], "-", "training"),
    "evaluation": (COLORS["standard"], "-", "evaluation"),
}
X_LABELS = {"spread_over_mates": "batch size m"}


def measured(
    seed: int, series: str, quantity: str, values: Iterable[float], steps: Iterable[int] = (0,)
) -> pd.DataFrame:
    """Return rows of an experiment, which is of no run."""
    facts: dict[str, Any] = {
        "run": "none",
        "net": "layer",
        "series": series,
        "lr": 0.0,
        "augment": False,
        "scale": "any",
        "seed": seed,
    }
    frame = pd.DataFrame({"step": list(steps), "value": list(values), "quantity": quantity})
    return frame.assign(**facts).reindex(columns=COLUMNS)


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the rows that the figure and its claims are made from; they need no run."""
    return gather(part for seed in SEEDS for part in (*_invariance(seed), *_bias(seed), *_inference(seed)))


def made_with(name: str, features: int) -> torch.nn.Module:
    """Return a norm of the suite in float64, its eps as small as can be."""
    config = OmegaConf.load(CONFIGS / "norm" / f"{name}.yaml")
    options = {"eps": EPS} if "eps" in config else {}
    norm: torch.nn.Module = instantiate(config)(features, **options)
    return norm.double()


def _invariance(seed: int) -> Iterable[pd.DataFrame]:
    stream = torch.Generator().manual_seed(seed)
    weight, u, towards = (
        torch.randn(shape, generator=stream, dtype=torch.float64) for shape in ((4, 5), (8, 5, 3, 3), (8, 4, 3, 3))
    )
    for name in NORMS:
        errors = scale_errors(made_with(name, 4), weight, u, towards, FACTOR)
        yield from (measured(seed, name, f"scale_{field}", [getattr(errors, field)]) for field in FIELDS)
        yield measured(seed, name, "scale_error", [max(getattr(errors, field) for field in FIELDS)])


def _bias(seed: int) -> Iterable[pd.DataFrame]:
    target = torch.randn(16, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).abs()
    for through, series in ((False, "mean_ignored"), (True, "mean_in_gradient")):
        b, loss = centred_bias(target, RATE, BIAS_STEPS, through_mean=through)
        kept = range(0, BIAS_STEPS, 5)
        yield measured(seed, series, "bias", b[::5].tolist(), kept)
        yield measured(seed, series, "loss_change", (loss[::5] - loss[0]).abs().tolist(), kept)
        if not through:
            yield measured(seed, series, "bias_growth", [float(b[-1] / b[BIAS_STEPS // 2])])


def _inference(seed: int) -> Iterable[pd.DataFrame]:
    stream = torch.Generator().manual_seed(seed)
    for name, value in zip(("population", "batch"), population_variances(SMALL_BATCH, BATCHES, stream), strict=True):
        yield measured(seed, name, "variance", [value])
    for training, series in ((True, "training"), (False, "evaluation")):
        spread = partial(spread_over_mates, draws=DRAWS, generator=stream, training=training)
        spreads = np.array([spread(size) for size in SIZES])
        yield measured(seed, series, "spread_over_mates", spreads, SIZES)
        if training:
            slope = np.polyfit(np.log(SIZES), np.log(spreads), 1)[0]
            yield measured(seed, series, "slope_over_sizes", [slope])


CLAIMS = [
    *(
        Claim(
            name=f"batch_{field}",
            statement=f"BatchNorm's {words}, as section 3.3 derives",
            statistic=Of(Mark(f"scale_{field}"), "batch"),
            below=EXACT,
        )
        for field, words in (
            ("output", "output is the same for weights of another scale"),
            ("input_gradient", "gradient to its inputs is the same for weights of another scale"),
            ("weight_gradient", "gradient to weights a times as large is 1 / a as large"),
        )
    ),
    *(
        Claim(
            name=f"invariant_{name}",
            statement=f"All three identities of scale hold for {display_name(name)}",
            statistic=Of(Mark("scale_error"), name),
            below=EXACT,
            origin="ours",
        )
        for name in NORMS
        if name not in (*PLAIN, "batch")
    ),
    *(
        Claim(
            name=f"not_invariant_{name}",
            statement=f"They do not hold for {display_name(name)}",
            statistic=Of(Mark("scale_error"), name),
            above=0.1,
            origin="ours",
        )
        for name in PLAIN
    ),
    Claim(
        name="bias_grows",
        statement="A bias before centring grows without bound if the gradient ignores that the mean depends on it",
        statistic=Of(Mark("bias_growth"), "mean_ignored"),
        above=1.5,
    ),
    Claim(
        name="bias_changes_nothing",
        statement="While it grows the loss stays the same",
        statistic=Of(Mark("loss_change"), "mean_ignored"),
        below=1e-12,
    ),
    Claim(
        name="bias_stays",
        statement="With the mean in the gradient the bias stays where it is",
        statistic=Of(Mark("bias"), "mean_in_gradient"),
        above=-1e-12,
        below=1e-12,
    ),
    Claim(
        name="population_variance_is_unbiased",
        statement=f"In evaluation the variance is that of the population, 1, though batches have {SMALL_BATCH} samples",
        statistic=Of(Mark("variance"), "population"),
        above=0.98,
        below=1.02,
        evidence=[Of(Mark("variance"), "batch")],
    ),
    Claim(
        name="evaluation_is_deterministic",
        statement="In evaluation a sample's output does not depend on its batch mates",
        statistic=Of(Mark("spread_over_mates"), "evaluation"),
        below=1e-15,
    ),
    Claim(
        name="mates_are_noise",
        statement="In training it does",
        statistic=Difference(Mark("spread_over_mates"), "training", "evaluation"),
        above=0.0,
    ),
    Claim(
        name="noise_falls_with_batch_size",
        statement="This noise falls as one over the root of the batch size: slope -1/2 of the logarithms",
        statistic=Of(Mark("slope_over_sizes"), "training"),
        above=-0.6,
        below=-0.4,
        origin="ours",
    ),
]


def draw(shown: Shown) -> Figure:
    """Draw the figure from its table."""
    rows = shown.rows
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(12, 3.6), layout="constrained")
        scale, bias, mates = (figure.add_subplot(1, 3, place) for place in (1, 2, 3))
        _draw_scale(scale, rows)
        first = select(rows, seed=int(rows["seed"].min()))
        for series in ("mean_ignored", "mean_in_gradient"):
            color, _, label = SERIES_LOOKS[series]
            one = select(first, series=series, quantity="bias")
            bias.plot(one["step"], one["value"], color=color, label=label)
        bias.set(title="Bias before centring (the loss never changes)", xlabel="step", ylabel="b")
        legend(bias)
        for series in ("training", "evaluation"):
            color = SERIES_LOOKS[series][0]
            middle = select(rows, series=series, quantity="spread_over_mates").groupby("step")["value"].median()
            mates.plot(middle.index, middle, "o-", color=color, label=series, markersize=3)
        mates.plot(SIZES, 1.2 / np.sqrt(SIZES), color="0.5", linestyle=":", label=r"$\propto 1/\sqrt{m}$")
        mates.set_xscale("log", base=2)
        mates.set(
            title="One sample's output over random mates",
            xlabel=X_LABELS["spread_over_mates"],
            ylabel="standard deviation",
        )
        legend(mates)
        note(
            figure,
            f"float64; left and right: median of {rows['seed'].nunique()} seeds; left: a = {FACTOR:g}, eps = {EPS:g}, "
            "dotted: what an identity may be off, orange: more than that",
        )
        return figure


def _draw_scale(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw by how much each norm misses the identities, at least the rounding of float64."""
    found = select(rows, quantity="scale_error").groupby("series")["value"].median()
    errors = found.clip(lower=1e-17).sort_values()
    colors = [COLORS["batch"] if value < EXACT else COLORS["standard"] for value in errors]
    axes.barh([display_name(str(name)) for name in errors.index], errors, left=0, color=colors)
    axes.axvline(EXACT, color="0.5", linestyle=":", linewidth=0.9)
    axes.set_xscale("log")
    axes.set(title="Scale invariance: largest error of the three", xlabel="relative error", xlim=(1e-17, 30))
    axes.grid(visible=False, axis="y")
