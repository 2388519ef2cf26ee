"""Claims that a normalisation trains like BatchNorm: the paper's of its Lp norms, asked of any norm and network."""

from normscape.evidence.claims import Claim
from normscape.evidence.comparing import AS, NETS, TRAINED_TO, each
from normscape.evidence.marks import StepsTo
from normscape.evidence.statistics import Ratio
from normscape.evidence.words import display_name

TO_HALF = StepsTo(level=0.5)
NONLINEARITIES = {"elu": "ELU", "selu": "SELU"}
"""Series that have another nonlinearity in place of a normalisation, and its name."""


def trains_like_batch(net: str, series: str) -> list[Claim]:
    """Return the claims that a series trains about as fast as BatchNorm, and faster than the standard network."""
    faster = f"{display_name(series)} than without normalisation"
    if series in NONLINEARITIES:
        faster = f"{NONLINEARITIES[series]} than with ReLU, without normalisation"
    return [
        Claim(
            name=f"{net}_{series}_trains_like_batch",
            statement=f"The {NETS[net]} trains as fast with {display_name(series)} as with BatchNorm, or faster",
            statistic=Ratio(TO_HALF, series, "batch"),
            below=AS,
            evidence=each(TRAINED_TO, (series, "batch")),
        ),
        Claim(
            name=f"{net}_{series}_beats_standard",
            statement=f"The {NETS[net]} trains faster with {faster}",
            statistic=Ratio(TO_HALF, "standard", series),
            above=1.0,
        ),
    ]
