"""How near a reproduction is to the paper: each number that can be read off the paper's curves, ours beside it."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure as Picture
from matplotlib.ticker import FixedLocator, NullLocator

from normscape.drawing.style import STYLE
from normscape.evidence.cells import markdown_table, number, spread
from normscape.evidence.curves import indexed
from normscape.evidence.figure import Family
from normscape.evidence.interval import Measured
from normscape.evidence.original import read_original
from normscape.evidence.results import Results
from normscape.evidence.statistics import Statistic
from normscape.reports.counts import listed

FACTORS = (1.5, 2.0, 3.0)
INTRODUCTION = """\
Made by `scripts/fidelity.py` from the tables of the figures and the paper's own curves; do not edit.

*Ours* is the median over seeds, with the interval of CLAIMS.md, which of ten seeds leaves out the least and the
largest; the paper's curves are one seed each. The last column says where the paper's value lies outside the whole range
of our seeds. A number that only some seeds have, as where the others never reach an accuracy, says of how many it is.
Not every agreement is evidence, and what is none is counted apart (*foregone*): networks of this kind end within a few
points of the same accuracy, the VGG's β is 2 / lr wherever the gradient changes by its own norm over the smallest step,
and the noise sets the moments of noisy BatchNorm. Moments (figure 8) are medians over units here, and of one unit in
the paper.
A number has no ratio where a level is never reached, a value is 0, or a sign differs."""


RANGES = (
    (True, "#0072B2", "inside the range of our seeds"),
    (False, "#D55E00", "outside the range of our seeds"),
    (None, "0.35", "one seed"),
)
"""Whether the range contains the paper's value, and how the picture shows it."""


@dataclass(frozen=True)
class Panel:
    """A panel of a figure of the paper, and the positive numbers that its curves are summed up by.

    ``about`` are the facts of the runs that are meant, where the figure has others too; ``foregone`` those of the
    statistics that would agree in any case.
    """

    figure: int | str
    label: str
    statistics: tuple[Statistic, ...]
    about: Mapping[str, Any] = field(default_factory=dict)
    foregone: Collection[Statistic] = ()


@dataclass(frozen=True)
class Compared:
    """A number of a panel: ours over seeds, and the paper's."""

    panel: Panel
    measured: Measured
    seeds: int
    """How many seeds there are; those that do not have the number are not among its values."""
    foregone: bool = False
    """Whether it would be near the paper's in any case."""

    @property
    def ratio(self) -> float:
        """Ours / the paper's; NaN if either is not a positive finite number."""
        ours, theirs = self.measured.value, self.measured.paper
        usable = theirs is not None and ours > 0 and theirs > 0 and math.isfinite(ours) and math.isfinite(theirs)
        return ours / theirs if usable and theirs is not None else math.nan

    @property
    def within(self) -> bool | None:
        """Whether the range over seeds contains the paper's value; None of one seed, which has no range."""
        values, theirs = self.measured.values, self.measured.paper
        if len(values) == 1:
            return None
        return theirs is not None and min(values) <= theirs <= max(values)

    @property
    def outside_by_chance(self) -> float:
        """The chance that one more seed of ours would lie outside the range: the least or the largest of n + 1."""
        return 2 / (len(self.measured.values) + 1)


def compare(family: Family, folder: Path, panels: Iterable[Panel]) -> list[Compared]:
    """Return every number of some panels that both the results in a folder and the paper's curves have."""
    found = []
    tables: dict[int | str, Any] = {}
    for panel in panels:
        if panel.figure not in tables:
            results = Results(folder, family.figure(str(panel.figure)))
            theirs = read_original(family.original, *results.figure.original)
            ours = indexed(results.table(results.manifest())) if results.file.exists() else {}
            tables[panel.figure] = ours, None if theirs is None else indexed(theirs)[0]
        seeds, original = tables[panel.figure]
        mine = [curves for curves in (each.about(panel.about) for each in seeds.values()) if curves.of]
        if not mine or original is None:
            continue
        for statistic in panel.statistics:
            values = [statistic.of(curves) for curves in mine]
            told = tuple(value for value in values if not math.isnan(value))
            measured = Measured(statistic.words, told or (math.nan,), statistic.of(original.about(panel.about)))
            if told and measured.paper is not None and not math.isnan(measured.paper):
                found.append(Compared(panel, measured, len(mine), statistic in panel.foregone))
    return found


def fidelity_markdown(title: str, scales: Sequence[tuple[str, Sequence[Compared]]], picture: str) -> str:
    """Return the page: how many numbers are within a factor, the picture, and every number, scale by scale."""
    lines = [f"# {title}: how near the numbers are", "", *INTRODUCTION.splitlines()]
    for name, compared in scales:
        lines += ["", f"## scale={name}", "", summary(compared), "", f"![ours / the paper's]({picture.format(name)})"]
        rows = [
            [
                _place(each),
                each.measured.words,
                number(each.measured.paper or math.nan),
                f"{number(each.measured.value)} ({_spread(each)})",
                "" if math.isnan(each.ratio) else f"{each.ratio:.2f}",
                "outside" if each.within is False else "",
                "foregone" if each.foregone else "",
            ]
            for each in compared
        ]
        lines += markdown_table(["", "number", "paper", "ours", "ours / paper", "the paper's", "agreement"], rows)
    return "\n".join(lines) + "\n"


def summary(compared: Sequence[Compared]) -> str:
    """Return how many numbers are within each factor of the paper's, in a few sentences."""
    telling, foregone = ([each for each in compared if each.foregone is whether] for whether in (False, True))
    sentences = [
        f"Of {len(telling)} numbers that the paper's curves give, ours are within a factor {_counts(telling)}."
    ]
    never = sum(math.isnan(each.ratio) for each in telling)
    if never:
        sentences.append(f"{never} {'has' if never == 1 else 'have'} no ratio.")
    if foregone:
        sentences.append(f"Of {len(foregone)} further ones, whose agreement is no evidence, {_counts(foregone)}.")
    ranges = [each.within for each in compared if each.within is not None]
    if ranges:
        outside = f"in {ranges.count(False)} the paper's value lies outside the range of our seeds"
        chance = sum(each.outside_by_chance for each in compared if each.within is not None)
        by_chance = f"were its run one of ours, chance alone would put about {chance:.0f} there"
        figures = dict.fromkeys(str(each.panel.figure) for each in compared if each.within is not None)
        where = f"figure{'s' * (len(figures) > 1)} {listed([*figures])}"
        sentences.append(f"Of the {len(ranges)} that we have from several seeds ({where}), {outside}; {by_chance}.")
    return " ".join(sentences)


def _counts(compared: Sequence[Compared]) -> str:
    ratios = np.array([each.ratio for each in compared])
    sizes = np.abs(np.log(ratios[~np.isnan(ratios)]))
    return listed([f"of {factor:g} in {int((sizes <= math.log(factor)).sum())}" for factor in FACTORS])


def _spread(each: Compared) -> str:
    some = len(each.measured.values)
    return spread(each.measured) + (f", of {some} of {each.seeds} seeds" if some < each.seeds else "")


def _place(each: Compared) -> str:
    figure = each.panel.figure
    return f"{f'Fig. {figure}' if isinstance(figure, int) else figure}, {each.panel.label}"


def draw_fidelity(compared: Sequence[Compared]) -> Picture:
    """Draw each ratio ours / the paper's as a dot, a line of dots per panel, with the factors as bands."""
    usable = [each for each in compared if not math.isnan(each.ratio)]
    places = list(dict.fromkeys(map(_place, usable)))
    with mpl.rc_context(STYLE):
        picture = Picture(figsize=(8, 0.9 + 0.21 * len(places)), layout="constrained")
        axes = picture.add_subplot(xscale="log", xlabel="ours / the paper's")
        for factor, shade in zip(reversed(FACTORS), ("0.95", "0.90", "0.83"), strict=True):
            axes.axvspan(1 / factor, factor, color=shade, lw=0, zorder=0, label=f"within a factor of {factor:g}")
        axes.axvline(1, color="0.4", linewidth=0.8)
        for inside, color, label in RANGES:
            mine = [each for each in usable if each.within is inside]
            for foregone, face in ((False, color), (True, "none")):
                some = [each for each in mine if each.foregone is foregone]
                rows = [places.index(_place(each)) for each in some]
                axes.scatter([each.ratio for each in some], rows, s=14, facecolors=face, edgecolors=color, lw=0.8)
            axes.plot([], [], "o", markersize=4, color=color, label=label if mine else None)
        axes.set_yticks(range(len(places)), places, fontsize="small")
        axes.set_ylim(len(places) - 0.5, -0.5)
        low, high = axes.get_xlim()
        ticks = [tick for tick in (0.01, 0.1, 0.2, 0.5, 1, 2, 5, 10, 100, 1000) if low <= tick <= high]
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.plot(
            [], [], "o", markersize=4, markerfacecolor="none", markeredgecolor="0.35", label="agreement is no evidence"
        )
        picture.legend(loc="outside upper center", ncols=3, fontsize="x-small")
        return picture
