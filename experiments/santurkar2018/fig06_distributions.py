"""Fig. 6: Lp norms shift the distribution of activations more than the standard network, and train better."""

from collections.abc import Sequence

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from normscape.drawing.panels import RIDGES, note, ridges, seeds_in_words
from normscape.drawing.style import STYLE, short_label
from normscape.evidence.comparing import ALL_NORMS, LP_NORMS
from normscape.evidence.figure import Shown
from normscape.evidence.finished import FinishedRun, first_seed
from normscape.evidence.table import gather
from santurkar2018.movements import FLOORS, MOVEMENTS, draw_movements, movement_claim

LAYER = 11


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the rows that the figure and its claims are made from."""
    drawn = [run for run in runs if run.config.seed == first_seed(runs)]
    parts = [run.quantiles(LAYER, levels=50, snapshots=16) for run in drawn]
    training = [run.training_rows() for run in runs]
    return gather([*training, *parts, *(run.movements(LAYER) for run in runs)])


CLAIMS = [
    movement_claim(
        f"{norm}_shifts_more_than_standard",
        f"The {norm} norm shifts distributions more than the standard network does",
        LAYER,
        norm,
        above=1.0,
    )
    for norm in LP_NORMS
]


def draw(shown: Shown) -> Figure:
    """Draw the figure from its table; the paper's own distributions are pictures, not curves."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(14, 3.8), layout="constrained")
        halves = figure.add_gridspec(1, 2, width_ratios=[11, 3.4])
        left, right = figure.add_subfigure(halves[0]), figure.add_subfigure(halves[1])
        for place, series in enumerate(ALL_NORMS, start=1):
            axes = left.add_subplot(1, len(ALL_NORMS), place)
            ridges(axes, shown.rows, LAYER, series)
            axes.set_title(f"layer {LAYER}\n{short_label(series)}")
            axes.set_ylabel("step" if place == 1 else "")
            axes.tick_params(labelleft=place == 1)
        draw_movements(right, shown.rows, [LAYER], ALL_NORMS)
        floors = f"of {', '.join(map(short_label, ALL_NORMS[:FLOORS]))} alone"
        note(figure, f"{seeds_in_words(shown.rows)}; {RIDGES}\n{MOVEMENTS}, {floors}")
        return figure
