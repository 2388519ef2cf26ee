"""A picture of how runs trained: one panel per quantity of the whole network, a line per run."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from normscape.drawing.style import STYLE, rendered
from normscape.evidence.words import quantity_name
from normscape.page.lines import Line

STYLES = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}
MOST_NAMES = 10


def training_picture(curves: Mapping[str, Sequence[Line]]) -> bytes:
    """Return a PNG file with a panel for each quantity; names are left to the table where there are many."""
    with mpl.rc_context({**STYLE, "text.parse_math": False}):
        figure = Figure(figsize=(4 * len(curves), 3.4), layout="constrained")
        for place, (quantity, lines) in enumerate(curves.items(), start=1):
            axes = figure.add_subplot(1, len(curves), place)
            for line in lines:
                y = (
                    np.where(np.isfinite(line.y), line.y, np.nan)
                    if line.y is not None
                    else np.full(len(line.x), np.nan)
                )
                axes.plot(line.x, y, color=line.color, linestyle=STYLES[line.dash], label=line.name)
            axes.set(title=quantity_name(quantity).capitalize(), xlabel="step")
            if quantity.endswith("accuracy"):
                axes.set_ylim(0, 1)
                axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
        names = max((len(lines) for lines in curves.values()), default=0)
        if 0 < names <= MOST_NAMES:
            handles, labels = figure.axes[0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize="small")
        return rendered(figure, ".png")
