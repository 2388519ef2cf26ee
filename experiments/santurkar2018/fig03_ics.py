"""Fig. 3: BatchNorm trains better, yet its internal covariate shift is similar or larger (a: VGG, b: DLN)."""

from collections.abc import Sequence

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from normscape.drawing.panels import curves, legend, note, note_paper, seeds_in_words, training_panel
from normscape.drawing.style import STYLE
from normscape.evidence.claims import Claim
from normscape.evidence.comparing import FINAL_LOSS, NETS, over_parts
from normscape.evidence.covariate_shift import SERIES, Place, shift_claims
from normscape.evidence.figure import Shown
from normscape.evidence.finished import FinishedRun
from normscape.evidence.marks import StepsTo
from normscape.evidence.measures import Median, MedianQuotient, MedianSize, ShareBelow
from normscape.evidence.statistics import Of, Ratio
from normscape.evidence.table import gather, select

UNCORRELATED = 0.3
ALMOST_NONE = 0.1
"""The shift, as a share of the gradient, below which there is *almost none*."""

TITLES = {"ics_l2": r"$\|G-G'\|_2$", "ics_cosine": r"$\cos(G, G')$"}


LAYERS = {"vgg": (5, 10), "dln": (9, 17)}
RATES = {"vgg": (0.1, 0.01), "dln": (1e-6, 1e-7)}
PLACES = [Place(net, rate, layer) for net in RATES for rate in RATES[net] for layer in LAYERS[net]]
DLN_PLACES = [place for place in PLACES if place.net == "dln"]


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return the rows that the figure and its claims are made from."""
    measured = [run.rows("ics_l2", "ics_cosine", "ics_gradient_norm") for run in runs]
    return gather([*(run.training_rows() for run in runs), *measured])


def _dln_claims(place: Place) -> list[Claim]:
    """Return what the paper says of one layer of the deep linear nets alone."""
    cosine = Median("ics_cosine", place.layer)
    relative = Of(MedianQuotient("ics_l2", place.layer, divisor="ics_gradient_norm"), "standard")
    where = f"(layer {place.layer}, lr {place.rate:g})"
    return [
        Claim(
            name=f"standard_dln_has_no_shift_{place.name}",
            statement=f"The standard DLN has almost no covariate shift {where}",
            statistic=relative,
            about=place.about,
            below=ALMOST_NONE,
            parts=over_parts(relative),
        ),
        Claim(
            name=f"standard_dln_aligned_{place.name}",
            statement=f"The standard DLN's G and G' point almost the same way {where}",
            statistic=Of(cosine, "standard"),
            origin="curves",
            about=place.about,
            above=0.9,
            parts=over_parts(Of(cosine, "standard")),
        ),
        Claim(
            name=f"batch_dln_uncorrelated_{place.name}",
            statement=f"The DLN's G and G' with BatchNorm are nearly uncorrelated {where}",
            statistic=Of(MedianSize("ics_cosine", place.layer), "batch"),
            about=place.about,
            below=UNCORRELATED,
            evidence=[
                Of(cosine, "batch"),
                Of(ShareBelow("ics_cosine", place.layer, bound=UNCORRELATED), "batch"),
            ],
        ),
    ]


CLAIMS = [
    *(
        Claim(
            name=f"vgg_trains_better_lr_{rate:g}",
            statement=f"The VGG trains better with BatchNorm, lr {rate:g}",
            statistic=Ratio(StepsTo(level=0.5), "standard", "batch"),
            about={"net": "vgg", "lr": rate},
            above=1.0,
        )
        for rate in RATES["vgg"]
    ),
    *(
        Claim(
            name=f"dln_trains_better_lr_{rate:g}",
            statement=f"The DLN trains better with BatchNorm, lr {rate:g}",
            statistic=Ratio(FINAL_LOSS, "standard", "batch"),
            about={"net": "dln", "lr": rate},
            above=1.0,
        )
        for rate in RATES["dln"]
    ),
    *(claim for place in PLACES for claim in shift_claims(place)),
    *(claim for place in DLN_PLACES for claim in _dln_claims(place)),
]


def draw(shown: Shown) -> Figure:
    """Draw the figure from its table, with the paper's own curves, faintly, where they are given."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(13, 11.2), layout="constrained")
        grid = figure.add_gridspec(4, 5, width_ratios=[1.5, 1, 1, 1, 1])
        lines = [(net, rate) for net in RATES for rate in RATES[net]]
        for line, (net, rate) in enumerate(lines):
            mine = select(shown.rows, net=net, lr=rate)
            theirs = None if shown.original is None else select(shown.original, net=net, lr=rate)
            _training(figure.add_subplot(grid[line, 0]), mine, theirs, f"{NETS[net]}, lr {rate:g}")
            panels = [(layer, quantity) for layer in LAYERS[net] for quantity in TITLES]
            for place, (layer, quantity) in enumerate(panels, start=1):
                axes = figure.add_subplot(grid[line, place])
                curves(axes, mine, theirs, SERIES, quantity, log=quantity == "ics_l2", layer=layer)
                axes.set_title(f"layer {layer}: {TITLES[quantity]}")
                if quantity == "ics_cosine":
                    axes.set_ylim(-1.05, 1.05)
        note(figure, seeds_in_words(shown.rows))
        return figure


def _training(axes: Axes, rows: pd.DataFrame, original: pd.DataFrame | None, label: str) -> None:
    training_panel(axes, rows, original, SERIES)
    axes.set_ylabel(label, fontweight="bold")
    legend(axes, fontsize="small")
    note_paper(axes, original)
