"""Figs. 1, 2 and 6 claim how far distributions of activations move, compared to the standard network's."""

from normscape.evidence.claims import Claim
from normscape.evidence.measures import Mean
from normscape.evidence.parts import Fitting
from normscape.evidence.statistics import Change, During, Of, Ratio
from normscape.evidence.words import network
from santurkar2018.shared import each


def movement_claim(
    name: str,
    statement: str,
    layer: int,
    series: str,
    above: float | None = None,
    below: float | None = None,
    **about: object,
) -> Claim:
    """Return a claim on how far the distribution of a layer's unit moves in a series, compared to standard.

    The statistic is a mean over snapshots (`normscape.evidence.finished.FinishedRun.distribution_changes`).
    """
    moved = Mean("activation_change", layer)
    ratio = Ratio(moved, series, "standard")
    return Claim(
        name=name,
        statement=statement,
        statistic=ratio,
        above=above,
        below=below,
        about=about,
        note="A distribution can move far in absolute terms but little relative to its width, and vice versa.",
        parts=[
            During(ratio, Fitting(series)),
            Ratio(Mean("activation_distance", layer), series, "standard"),
        ],
        reasons=_reasons(moved, series),
        evidence=each(moved, (series, "standard")),
    )


def _reasons(moved: Mean, series: str) -> list[Claim]:
    """Return why a normalised network may be the steadier one: it settles, and the standard network does not."""
    after, before = Fitting(series, after=True), Fitting(series)
    return [
        Claim(
            statement=f"Once {network(series)} has fitted its training data, its distributions move less than before",
            statistic=Change(Of(moved, series), after, before),
            below=1.0,
        ),
        Claim(
            statement="From then on, the standard network's distributions move more than before",
            statistic=Change(Of(moved, "standard"), after, before),
            above=1.0,
        ),
    ]
