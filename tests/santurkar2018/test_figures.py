"""The figures as they are declared: claims with names and bounds, main claims that there are, one curve for each."""

from pathlib import Path

from normscape.evidence.figure import Family

PROJECT = Path(__file__).parents[2]
FAMILY = Family.of("santurkar2018", PROJECT)


def test_the_family_knows_its_paper():
    assert FAMILY.title.startswith("How Does Batch Normalization Help Optimization?")
    assert FAMILY.known == [*map(str, range(1, 14)), "text"]
