"""Claims on the internal covariate shift of a layer, Definition 2.1: BatchNorm does not make it smaller."""

from dataclasses import dataclass
from typing import Any

from normscape.evidence.claims import Claim
from normscape.evidence.comparing import NETS, SIMILAR, TRAINED_TO, at_equal_accuracy, each, parts_of_run
from normscape.evidence.measures import Median, MedianQuotient
from normscape.evidence.statistics import Difference, Ratio, Statistic

SERIES = ("standard", "batch")


@dataclass(frozen=True)
class Place:
    """Where the figure looks: a net, its learning rate and a layer of it."""

    net: str
    rate: float
    layer: int

    @property
    def about(self) -> dict[str, Any]:
        """The runs that are meant."""
        return {"net": self.net, "lr": self.rate}

    @property
    def name(self) -> str:
        """It in the name of a claim."""
        return f"layer_{self.layer}_lr_{self.rate:g}"


def _regime(net: str) -> list[Statistic]:
    """Return, as evidence, how far a classifier got: on its plateau a network has almost no gradient."""
    return each(TRAINED_TO, SERIES) if net != "dln" else []


def shift_claims(place: Place) -> list[Claim]:
    """Return the claims on the covariate shift of one layer at one rate."""
    where = f"{NETS[place.net]} layer {place.layer}, lr {place.rate:g}"
    shift, cosine = Median("ics_l2", place.layer), Median("ics_cosine", place.layer)
    larger = Ratio(shift, "batch", "standard")
    relative = Ratio(MedianQuotient("ics_l2", place.layer, divisor="ics_gradient_norm"), "batch", "standard")
    turned = Difference(cosine, "batch", "standard")
    return [
        Claim(
            name=f"shift_no_smaller_{place.net}_{place.name}",
            statement=f"{where}: BatchNorm's covariate shift is similar or larger",
            statistic=at_equal_accuracy(place.net, larger),
            about=place.about,
            above=1 / SIMILAR,
            parts=parts_of_run(place.net, larger),
            evidence=[Ratio(Median("ics_gradient_norm", place.layer), "batch", "standard"), *_regime(place.net)],
        ),
        Claim(
            name=f"relative_shift_no_smaller_{place.net}_{place.name}",
            statement=f"{where}: BatchNorm's relative shift is similar or larger",
            statistic=at_equal_accuracy(place.net, relative),
            origin="ours",
            about=place.about,
            above=1 / SIMILAR,
            parts=parts_of_run(place.net, relative),
        ),
        Claim(
            name=f"angle_no_smaller_{place.net}_{place.name}",
            statement=f"{where}: BatchNorm's G and G' are hardly better aligned, by less than 0.1",
            statistic=at_equal_accuracy(place.net, turned),
            about=place.about,
            below=0.1,
            parts=parts_of_run(place.net, turned),
            evidence=[*each(cosine, SERIES), *_regime(place.net)],
        ),
    ]
