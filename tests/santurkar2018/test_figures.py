"""The figures as they are declared: claims with names and bounds, main claims that there are, one curve for each."""

from pathlib import Path

import pytest

from normscape.evidence.figure import Family

PROJECT = Path(__file__).parents[2]
FAMILY = Family.of("santurkar2018", PROJECT)


@pytest.mark.parametrize("name", FAMILY.known)
def test_every_claim_of_a_figure_has_a_name_of_its_own_and_a_bound(name):
    figure = FAMILY.figure(name)
    names = [claim.name for claim in figure.claims]
    assert all(names)
    assert len(set(names)) == len(names)
    assert set(figure.headline) <= set(names)
    judged = [*figure.claims, *(reason for claim in figure.claims for reason in claim.reasons)]
    assert all(claim.above is not None or claim.below is not None for claim in judged)


def test_the_family_knows_its_paper():
    assert FAMILY.title.startswith("How Does Batch Normalization Help Optimization?")
    assert FAMILY.known == [*map(str, range(1, 14)), "text"]
