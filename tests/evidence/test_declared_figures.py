"""The figures of every family as they are declared: claims with names and bounds, main claims that there are."""

from pathlib import Path

import pytest

from normscape.evidence.figure import Family

PROJECT = Path(__file__).parents[2]
FIGURES = [
    (folder.name, name)
    for folder in sorted((PROJECT / "configs" / "figure").iterdir())
    for name in Family.of(folder.name, PROJECT).known
]


@pytest.mark.parametrize(("family", "name"), FIGURES)
def test_every_claim_of_a_figure_has_a_name_of_its_own_and_a_bound(family, name):
    figure = Family.of(family, PROJECT).figure(name)
    names = [claim.name for claim in figure.claims]
    assert all(names)
    assert len(set(names)) == len(names)
    assert set(figure.headline) <= set(names)
    judged = [*figure.claims, *(reason for claim in figure.claims for reason in claim.reasons)]
    assert all(claim.above is not None or claim.below is not None for claim in judged)
    for claim in figure.claims:
        given = [statistic for reason in claim.reasons for statistic, _ in reason.given]
        assert {*given} <= {claim.statistic, *claim.parts}
