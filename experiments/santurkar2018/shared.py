"""What several figures share: series, nets, and the parts of a run over which a claim is looked at."""

from collections.abc import Sequence

from normscape.evidence.measures import Final, Measure
from normscape.evidence.parts import EARLY, LATE, MIDDLE, Fitting
from normscape.evidence.statistics import During, Of, Statistic

NETS = {"vgg": "VGG", "dln": "DLN"}
"""The nets of the figures, and what sentences call them."""

LP_NORMS = ("l1", "l2", "linf")
ALL_NORMS = ("standard", "batch", *LP_NORMS)

TRAINED_TO = Final("train_accuracy", points=5, percent=True)
FINAL_LOSS = Final("train_loss", points=5)


def each(measure: Measure, series: Sequence[str]) -> list[Statistic]:
    """Return, as evidence for a claim that compares some series, a measure of each of them by itself."""
    return [Of(measure, name) for name in series]


def over_parts(statistic: Statistic) -> list[Statistic]:
    """Return a statistic over three parts of the run, as parts of a claim or as evidence."""
    return [During(statistic, part) for part in (EARLY, MIDDLE, LATE)]


def parts_of_run(net: str, normalised: str, statistic: Statistic) -> list[Statistic]:
    """Return a statistic over the parts of a run and, of a VGG, until the normalised one has fitted its data."""
    fitting = [During(statistic, Fitting(normalised))] if net == "vgg" else []
    return [*over_parts(statistic), *fitting]
