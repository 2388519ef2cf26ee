"""Fig. 5: normalising by any Lp norm trains like BatchNorm or better; a: VGG, b: deep linear net."""

from collections.abc import Sequence
from functools import partial

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from figures.panels import accuracies, curves, gather, note_paper, training_rows
from figures.statistics import (
    DLN_RATE,
    FAMILY,
    LP_NORMS,
    compared,
    each,
    final_accuracy,
    final_loss_ratio,
    over_parts,
    speed_up,
    typical,
)
from normscape.claims import Claim, Statistic
from normscape.plots import STYLE
from normscape.tables import FinishedRun, select


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the rows that the figure and its claims are made from."""
    return gather(map(training_rows, runs))


def _loss_ratio(above: str, below: str, rows: pd.DataFrame) -> float:
    return compared(lambda s: typical(rows, series=s, lr=DLN_RATE, quantity="train_loss"), above, below)


def _accuracy_left(norm: str, rows: pd.DataFrame) -> float:
    return final_accuracy("batch", rows) - final_accuracy(norm, rows)


def _losses_over_parts(norm: str) -> dict[str, Statistic]:
    words = f"median training loss, {norm} / BatchNorm, "
    return over_parts(DLN_RATE, partial(_loss_ratio, norm, "batch"), words)


CLAIMS = [
    *(
        Claim(
            name=f"vgg_{norm}_trains_like_batch",
            statement=f"The VGG trains with the {norm} norm as with BatchNorm or better",
            statistic=f"steps to 80 % training accuracy (mean of 5 logged mini-batches), {norm} / BatchNorm",
            compute=partial(speed_up, norm, "batch", 0.8),
            net="vgg",
            below=1.25,
            reasons=[
                Claim(
                    statement="It takes longer, but ends within a point of BatchNorm",
                    statistic=f"training accuracy at the end, BatchNorm - {norm}, percentage points",
                    compute=partial(_accuracy_left, norm),
                    below=1.0,
                )
            ],
            evidence={
                f"steps to 50 %, {norm} / BatchNorm": partial(speed_up, norm, "batch", 0.5),
                **each("training accuracy at the end in per cent", final_accuracy, (norm, "batch")),
            },
        )
        for norm in LP_NORMS
    ),
    *(
        Claim(
            name=f"vgg_{norm}_beats_standard",
            statement=f"The VGG trains faster with the {norm} norm than without normalisation",
            statistic=f"steps to 80 % training accuracy (mean of 5 logged mini-batches), standard / {norm}",
            compute=partial(speed_up, "standard", norm, 0.8),
            net="vgg",
            above=1.0,
        )
        for norm in LP_NORMS
    ),
    *(
        Claim(
            name=f"dln_{norm}_trains_like_batch",
            statement=f"The DLN trains with the {norm} norm as with BatchNorm or better",
            statistic=f"training loss at the end (mean of 5 logged steps), {norm} / BatchNorm",
            compute=partial(final_loss_ratio, norm, "batch"),
            net="dln",
            below=1.25,
            evidence=_losses_over_parts(norm),
        )
        for norm in LP_NORMS
    ),
    *(
        Claim(
            name=f"dln_{norm}_beats_standard",
            statement=f"The DLN trains better with the {norm} norm than without normalisation",
            statistic=f"training loss at the end (mean of 5 logged steps), standard / {norm}",
            compute=partial(final_loss_ratio, "standard", norm),
            net="dln",
            above=1.0,
        )
        for norm in LP_NORMS
    ),
    Claim(
        name="dln_l1_beats_batch",
        statement="The l1 norm beats BatchNorm on the DLN",
        statistic="training loss at the end (mean of 5 logged steps), l1 / BatchNorm",
        compute=partial(final_loss_ratio, "l1", "batch"),
        net="dln",
        below=1.0,
        reasons=[
            Claim(
                statement="Here the two end at the same loss within 5 %",
                statistic="training loss at the end (mean of 5 logged steps), l1 / BatchNorm",
                compute=partial(final_loss_ratio, "l1", "batch"),
                above=0.95,
                below=1.05,
            )
        ],
        evidence=_losses_over_parts("l1"),
    ),
]


def draw(rows: pd.DataFrame, original: pd.DataFrame | None) -> Figure:
    """Draw the figure from its table; ``original`` adds the paper's own curves, faintly."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        vgg, dln = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2)
        accuracies(vgg, select(rows, quantity="train_accuracy"), original, FAMILY)
        curves(dln, select(rows, quantity="train_loss"), original, FAMILY, (DLN_RATE,), "train_loss", log=True)
        vgg.set_title("VGG: training accuracy (mini-batch)")
        dln.set(title="Deep linear net: training loss", ylabel="summed squared error")
        vgg.legend(fontsize="small", loc="lower right")
        for axes, quantity in ((vgg, "train_accuracy"), (dln, "train_loss")):
            note_paper(axes, None if original is None else select(original, quantity=quantity))
        return figure
