"""How near a number is to the paper's: ratios, the range over seeds, and what has no ratio."""

import json
import math
from pathlib import Path

import pytest

from normscape.evidence.figure import Family
from normscape.evidence.interval import Measured
from normscape.evidence.marks import StepsTo
from normscape.evidence.statistics import Of
from normscape.reports.fidelity import Compared, Panel, compare, draw_fidelity, fidelity_markdown, summary
from santurkar2018.fidelity import PANELS

PROJECT = Path(__file__).parents[2]
PANEL = Panel(1, "a: sizes", ())


def compared(values, paper, seeds=None, *, foregone=False):
    return Compared(PANEL, Measured("a size", tuple(values), paper), seeds or len(values), foregone)


@pytest.mark.parametrize(
    ("values", "paper", "ratio", "within"),
    [
        ([1, 2, 4], 4.0, 0.5, True),
        ([1, 2, 4], 0.5, 4, False),
        ([2, 2], 2.0, 1, True),
        ([2], 2.0, 1, None),  # one seed has no range
        ([math.inf, math.inf, 3], 3.0, math.nan, True),  # never reached by most
        ([2, 2], math.inf, math.nan, False),
        ([0, 0], 1.0, math.nan, False),
        ([-1, -1], -1.0, math.nan, True),
    ],
)
def test_a_ratio_is_of_positive_numbers(values, paper, ratio, within):
    found = compared(values, paper)
    assert found.ratio == pytest.approx(ratio, nan_ok=True)
    assert found.within is within


def test_numbers_are_counted_by_the_factor_on_either_side():
    several = [compared([value] * 2, 1.0) for value in (1, 1.4, 1 / 1.4, 1.9, 1 / 1.9, 2.9, 9)]
    several.append(compared([math.inf], 1.0))
    assert summary(several) == (
        "Of 8 numbers that the paper's curves give, ours are within a factor of 1.5 in 3, of 2 in 5 and of 3 in 6. "
        "1 has no ratio. "
        "Of the 7 that we have from several seeds (figure 1), in 6 the paper's value lies outside the range of our "
        "seeds; were its run one of ours, chance alone would put about 5 there."  # the least or the largest of three
    )


def test_what_agrees_in_any_case_is_counted_apart():
    several = [compared([9], 1.0), compared([1], 1.0), *[compared([1], 1.0, foregone=True)] * 3]
    assert summary([*several, compared([2.5], 1.0, foregone=True)]) == (
        "Of 2 numbers that the paper's curves give, ours are within a factor of 1.5 in 1, of 2 in 1 and of 3 in 1. "
        "Of 4 further ones, whose agreement is no evidence, of 1.5 in 3, of 2 in 3 and of 3 in 4."
    )


def test_accuracies_beta_of_the_vgg_and_what_noise_sets_are_no_evidence():
    all_of_them = {(panel.figure, each.words): each in panel.foregone for panel in PANELS for each in panel.statistics}
    foregone = {key for key, is_foregone in all_of_them.items() if is_foregone}
    for word, figures in {"accuracy at the end": {1, 2, 5}, "effective beta": {4}, "test accuracy": {1}}.items():
        assert {figure for figure, words in foregone if word in words} == figures
    moments = {words for figure, words in all_of_them if figure == 8}
    assert {words for figure, words in foregone if figure == 8} == {words for words in moments if "noisy" in words}
    assert not any(words.startswith(("steps to", "median over steps of cos")) for _, words in foregone)


def test_every_number_is_a_row_and_a_dot():
    several = [compared([2.0, 4.0], 2.0), compared([9.0], 1.0, foregone=True), compared([9.0, math.inf], 1.0, seeds=3)]
    rows = [
        line for line in fidelity_markdown("Sizes", [("laptop", several)], "{}.png").splitlines() if "Fig. 1" in line
    ]
    assert rows == [
        "| Fig. 1, a: sizes | a size | 2 | 3 (2 to 4) | 1.50 |  |  |",
        "| Fig. 1, a: sizes | a size | 1 | 9 (one seed) | 9.00 |  | foregone |",
        "| Fig. 1, a: sizes | a size | 1 | inf (9 to inf, of 2 of 3 seeds) |  | outside |  |",
    ]
    (axes,) = draw_fidelity(several).axes
    assert sum(len(dots.get_offsets()) for dots in axes.collections) == 2


def test_the_paper_is_at_its_own_marks():
    family = Family.of("santurkar2018", PROJECT)
    folder = PROJECT / "results" / "santurkar2018" / "laptop"
    panels = [Panel(1, "a", tuple(Of(StepsTo(level=0.8), series) for series in ("standard", "batch")), {"lr": 0.1})]
    found = compare(family, folder, panels)
    assert [each.measured.paper for each in found] == [3100, 1000]
    seeds = json.loads((folder / "fig01.json").read_text())["manifest"]["seeds"]
    assert [len(each.measured.values) for each in found] == [len(seeds)] * 2
