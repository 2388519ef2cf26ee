"""One look for all figures: colours and names of series, and files that are the same every time."""

import io
import logging
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from normscape.storage.files import replacing

mpl.use("agg")
logging.getLogger("fontTools").setLevel(logging.ERROR)  # it warns about dates in matplotlib's fonts

STYLE: Any = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": "medium",
    "figure.autolayout": False,
    "figure.constrained_layout.use": False,
    "figure.dpi": 150,
    "font.size": 9,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "pdf.fonttype": 42,
    "svg.hashsalt": "normscape",
}


def styled() -> AbstractContextManager[None]:
    """Let what is drawn in the block look as all figures do."""
    return mpl.rc_context(STYLE)


class _Named(dict[str, str]):
    """Names of the known series; a series of the user's own goes by its own name."""

    def __init__(self, default: str, **known: str) -> None:
        super().__init__(known)
        self._default = default

    def __missing__(self, series: str) -> str:
        return self._default.format(series)


COLORS = _Named(
    "#222222",
    standard="#D55E00",
    batch="#0072B2",
    noisy_batch="#009E73",
    l1="#CC79A7",
    l2="#E69F00",
    linf="#56B4E9",
    noisy_standard="#666666",
    layer="#117733",
    group="#44AA99",
    instance="#332288",
    weight="#882255",
    whitening="#999933",
    elu="#000000",
    selu="#DDCC77",
)
"""One colour per series in every figure; the palette of Okabe and Ito, then Tol's, both for colour-blind readers."""

LABELS = _Named(
    "Standard + {}",
    standard="Standard",
    batch="Standard + BatchNorm",
    noisy_batch='Standard + "Noisy" BatchNorm',
    l1=r"Standard + $\ell_1$ norm",
    l2=r"Standard + $\ell_2$ norm",
    linf=r"Standard + $\ell_\infty$ norm",
    noisy_standard="Standard + noise",
    layer="Standard + LayerNorm",
    group="Standard + GroupNorm",
    instance="Standard + InstanceNorm",
    weight="Standard + WeightNorm",
    whitening="Standard + whitening",
    elu="ELU, no norm",
    selu="SELU, no norm",
    own="Yours",
)


def short_label(series: str) -> str:
    """Return a series' name where the network is clear from context."""
    return LABELS[series].removeprefix("Standard + ")


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure to a PNG or PDF file that depends on nothing but the figure: no date, no software version.

    Raises
    ------
    UserError
        If it cannot be written.
    """
    content = rendered(figure, path.suffix)
    with replacing(path) as file:
        file.write(content)


def rendered(figure: Figure, suffix: str) -> bytes:
    """Return a figure as the content of a ``.png`` or ``.pdf`` file; it is laid out once, whatever it is written as."""
    metadata = {".png": {"Software": None}, ".pdf": {"CreationDate": None, "Creator": None, "Producer": None}}
    content = io.BytesIO()
    with mpl.rc_context(STYLE):  # some of it, the fonts of a PDF, is looked up only now
        if figure.get_layout_engine() is not None:
            figure.draw_without_rendering()
            figure.set_layout_engine(None)
        figure.savefig(content, format=suffix.removeprefix("."), metadata=metadata[suffix])
    return content.getvalue()
