"""What figures of several families share: series, nets, and how two networks are compared."""

from collections.abc import Mapping, Sequence

from normscape.evidence.marks import Final
from normscape.evidence.measures import MeanOfFloor, Measure
from normscape.evidence.parts import ALL_STEPS, EARLY, LATE, MIDDLE
from normscape.evidence.statistics import AtEqualAccuracy, Comparison, During, Of, Statistic

NETS: Mapping[str, str] = {"vgg": "VGG", "mlp": "MLP", "dln": "DLN", "own": "network"}
"""The nets of the figures, and what sentences call them."""

LP_NORMS = ("l1", "l2", "linf")
ALL_NORMS = ("standard", "batch", *LP_NORMS)

TRAINED_TO = Final("train_accuracy", points=5, percent=True)
FINAL_LOSS = Final("train_loss", points=5)


SIMILAR = 2.0
"""The factor within which the paper's *similar*, *about as* and *no larger* are taken."""

PAPER_SIZE = ("paper", "paper_tf32")
"""The scales with the paper's own networks, data and steps."""

CHANCE = 0.1
"""The accuracy of guessing one of ten classes."""

AS = 1.25
"""The factor within which its *as well as* and *as much as* are taken."""


def at_equal_accuracy(net: str, compared: Comparison) -> Statistic:
    """Return how two networks are compared: classifiers at equal training accuracy, the DLNs over all steps."""
    return compared if net == "dln" else AtEqualAccuracy(compared)


def each(measure: Measure, series: Sequence[str]) -> list[Statistic]:
    """Return, as evidence for a claim that compares some series, a measure of each of them by itself."""
    return [Of(measure, name) for name in series]


def over_floor(layer: int, series: Sequence[str]) -> list[Statistic]:
    """Return how far the distributions of a layer's units move, in units of the noise floor, in each series."""
    return each(MeanOfFloor("activation_change", layer, floor="activation_noise"), series)


def over_parts(statistic: Statistic) -> list[Statistic]:
    """Return a statistic over three parts of the run, as parts of a claim or as evidence."""
    return [During(statistic, part) for part in (EARLY, MIDDLE, LATE)]


def parts_of_run(net: str, compared: Comparison) -> list[Statistic]:
    """Return the parts of a comparison: of classifiers bins of accuracy and all steps; of DLNs parts of the run."""
    if net == "dln":
        return over_parts(compared)
    return [*AtEqualAccuracy(compared).bins, During(compared, ALL_STEPS)]
