"""Verdicts by mental arithmetic, and the paper's own marks read back by the claims' own functions."""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fakes import Known, seeds
from normscape.evidence.claims import Claim, Kind, Verdict, judge
from normscape.evidence.curves import indexed
from normscape.evidence.interval import ENOUGH, Measured, coverage, interval, plain
from normscape.evidence.marks import steps_to_reach
from normscape.evidence.original import read_original
from normscape.evidence.table import COLUMNS, curve
from santurkar2018.fig01_training import CLAIMS as FIGURE_1

ROOT = Path(__file__).parents[2]
INF, NAN = math.inf, math.nan
CLAIMS = {claim.name: claim for claim in FIGURE_1}
ORIGINAL = read_original(ROOT / "results" / "santurkar2018" / "original", "fig01")
THEIRS = indexed(ORIGINAL)[0]


def judged(values, original=None, scale="laptop", **options):
    theirs = None if original is None else indexed(seeds(original))[0]
    claim = Claim("it is so", Known(), **options)
    return judge(claim, indexed(seeds(*values)), theirs, scale)


@pytest.mark.parametrize(
    ("values", "threshold", "verdict"),
    [
        ([2], {"above": 1}, "holds"),
        ([1], {"above": 1}, "does not hold"),  # as fast is not faster
        ([0.5], {"above": 1}, "does not hold"),
        ([0.5, 1.1], {"above": 1}, "undecided"),
        ([2.1, 3, 4], {"above": 2}, "holds"),
        ([2, 3, 4], {"above": 2}, "undecided"),
        ([2, 3, 1.9], {"above": 2}, "undecided"),
        ([0, 1, 1.9], {"above": 2}, "does not hold"),
        ([0.1, 0.11], {"below": 0.12}, "holds"),
        ([0.1, 0.12], {"below": 0.12}, "undecided"),
        ([0.1, 0.13], {"below": 0.12}, "undecided"),
        ([0.13, 0.2], {"below": 0.12}, "does not hold"),
        ([0.6, 1.9], {"above": 0.5, "below": 2}, "holds"),
        ([0.4, 2.1], {"above": 0.5, "below": 2}, "undecided"),
        ([3, 4], {"above": 0.5, "below": 2}, "does not hold"),
        ([INF, 2], {"above": 1}, "holds"),
        ([INF, INF], {"below": 1}, "does not hold"),
        ([INF, 0], {"above": 1}, "undecided"),
        ([-INF], {"above": 1}, "does not hold"),
        ([NAN], {"above": 1}, "undecided"),
        ([2, NAN], {"above": 1}, "undecided"),
        ([NAN, 2], {"below": 1}, "undecided"),
        ([3, 3, 3, 3, 3], {"above": 2}, "holds"),
        ([2, 2, 2, 2, 2], {"above": 2}, "does not hold"),
        ([2.9, 3, 3.1, 3, 3, 3, 3, 3, 3, 1.95], {"above": 2}, "holds"),  # the median's interval, not the range
        ([0.5, 0.6, 0.7, 0.8, 0.9, 0.6, 0.7, 30, 40, 1000], {"above": 1}, "undecided"),  # no mean of three giants
        ([INF, 3, 3, 3, 3], {"above": 2}, "holds"),
    ],
)
def test_verdict(values, threshold, verdict):
    assert judged(values, **threshold).kind == verdict


@pytest.mark.parametrize(
    ("values", "factors", "verdict"),
    [
        ([3, 4], (1, 2), "holds"),
        ([3, 4], (0.1, 2), "holds in part"),  # on the whole, but not at first
        ([3, 4], (0.3, 2), "holds in part"),  # on the whole, but of a part it cannot be told
        ([0.5, 0.6], (4, 0.1), "mostly fails"),  # fails on the whole, holds in a part on every seed
        ([0.5, 0.6], (0.1, 0.2), "does not hold"),
        ([0.5, 0.6], (1.8, 0.2), "does not hold"),  # of a part it cannot be told, and it holds nowhere
        ([0.5, 2], (4, 0.1), "undecided"),  # the seeds disagree on the whole, whatever they say of early and late
        ([0.5, 2], (4, 1), "undecided"),  # holds early; late the seeds disagree
        ([0.5, 2], (1, 0.1), "undecided"),
        ([NAN, 2], (NAN,), "undecided"),
    ],
)
def test_in_part_works_both_ways(values, factors, verdict):
    found = judged(values, above=1, parts=[Known(factor) for factor in factors])
    assert found.kind == verdict
    assert found.to_json()["verdict"] == verdict


def test_a_part_that_is_the_whole_tells_nothing():
    found = judged([0.5, 2], above=1, parts=[Known(1.0), Known(4)])
    assert [part.words for part in found.telling_parts] == ["for another statistic (4 times its value)"]


@pytest.mark.parametrize(
    ("scale", "verdict"),
    [("paper", "does not hold"), ("paper_tf32", "does not hold"), ("paper_small", "not applicable at this scale")],
)
def test_what_needs_the_paper_s_setup_is_judged_there_alone(scale, verdict):
    found = judged([3], above=9, scale=scale)
    assert found.kind == "does not hold"
    claim = replace(found.claim, scales=("paper", "paper_tf32"))
    found = judge(claim, indexed(seeds(3)), None, scale)
    assert found.kind == verdict
    assert Verdict.from_json(claim, found.to_json()).kind == verdict


def test_few_seeds_give_median_and_range():
    measured = judged([1, 8, 3], above=0).measured
    assert (measured.value, measured.low, measured.high) == (3, 1, 8)  # the mean is 4
    assert measured.values == (1, 8, 3)


@pytest.mark.parametrize(
    ("n", "rank", "covered"),
    [
        (1, 1, 0.0),
        (3, 1, 0.75),
        (5, 1, 0.9375),
        (6, 1, 0.96875),
        (8, 1, 0.9921875),
        (10, 2, 1002 / 1024),
        (20, 6, None),
    ],
)
def test_the_interval_is_of_order_statistics_with_a_known_coverage(n, rank, covered):
    values = np.random.default_rng(n).permutation(n).tolist()
    assert interval(values) == (rank - 1, n - rank)
    if covered is not None:
        assert coverage(n) == covered
    assert coverage(n) >= ENOUGH or n < 6


@pytest.mark.parametrize("n", [3, 6, 10])
def test_the_coverage_is_what_it_says_of_any_distribution(n):
    draws = np.random.default_rng(0).lognormal(sigma=3, size=(20_000, n))  # median 1
    inside = [low <= 1 <= high for low, high in map(interval, draws.tolist())]
    assert np.mean(inside) == pytest.approx(coverage(n), abs=0.01)


def test_infinity_is_an_end_as_any_number():
    assert interval([1, INF, 2, 3]) == (1, INF)
    assert interval([INF, *range(9)]) == (1, 8)


def test_what_cannot_be_computed_leaves_no_interval_in_any_order():
    assert all(math.isnan(end) for values in ([NAN, 1], [1, NAN], [1, 1, 1, 1, NAN]) for end in interval(values))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([3], "holds on one seed"),
        ([3, 4, 5], "holds on all 3 seeds"),
        ([0, 0, 0], "does not hold on all 3 seeds"),
        ([0, 3, 4], "undecided"),
        ([3] * 6, "holds"),
    ],
)
def test_a_verdict_on_few_seeds_says_so(values, words):
    assert judged(values, above=2).words == words


def test_a_part_that_some_seeds_never_reach_is_judged_on_the_others():
    @dataclass(frozen=True)
    class Reached(Known):
        @property
        def not_of_all(self):
            return True

    verdict = judged([1, NAN, 3], above=0, parts=[Reached(), Known(2)])
    assert verdict.parts[0].values == (1, 3)
    assert verdict.parts[0] not in verdict.telling_parts  # shown, but it decides nothing
    assert verdict.parts[0] in verdict.shown_parts
    assert math.isnan(verdict.parts[1].value)


def test_a_claim_that_something_happens_at_all():
    assert judged([8200], below=INF).claim.threshold == "finite"
    assert [judged(values, below=INF).kind for values in ([8200, 9000], [INF, INF], [8200, INF])] == [
        "holds", "does not hold", "undecided"
    ]  # fmt: skip


def test_a_part_that_no_seed_reaches_decides_nothing():
    """Whatever the number of seeds: a claim that holds is not turned into one that holds in part."""

    @dataclass(frozen=True)
    class Never(Known):
        @property
        def not_of_all(self):
            return True

        def of(self, curves):
            return NAN

    for values in ([1], [1, 2, 3]):
        verdict = judged(values, above=0, parts=[Never()])
        assert verdict.kind == "holds"
        assert verdict.parts[0].values == ()
        kept = Measured.from_json("", verdict.parts[0].to_json())
        assert (kept.values, kept.to_json()["spread"]["coverage"]) == ((), 0)


@pytest.mark.parametrize("values", [[2], [1, INF], [NAN, 1], [-INF], [1, 2, 3, 4, 5]])
def test_json_has_no_numbers_that_json_has_not_and_no_words_of_the_claim(values):
    def refuse(word):
        raise AssertionError(word)

    verdict = judged(values, above=1, evidence=[Known(2)], parts=[Known(3)])
    text = json.dumps(verdict.to_json())
    content = json.loads(text, parse_constant=refuse)
    assert content["n"] == len(values)
    assert content["values"] == [value if math.isfinite(value) else str(value) for value in values]
    assert set(content) >= {"value", "spread", "verdict", "paper_value", "runs"}
    assert not any(words in text for words in ("it is so", "its value", "above"))


@pytest.mark.parametrize("values", [[2], [1, INF], [NAN, 1], [1 / 3, 2, 3, 4, 5.55555555]])
def test_words_are_joined_to_the_numbers_again(values):
    reason = Claim("since it is large", Known(2), above=3)
    verdict = judged(values, 0.5, above=1, parts=[Known(3)], reasons=[reason], evidence=[Known(4)])
    again = Verdict.from_json(verdict.claim, json.loads(json.dumps(verdict.to_json())))
    assert again.to_json() == verdict.to_json()
    assert [part.words for part in again.parts] == ["for another statistic (3 times its value)"]
    assert again.evidence[0].words == "4 times its value"
    with pytest.raises(ValueError, match=r"shorter|longer"):
        Verdict.from_json(replace(verdict.claim, parts=()), verdict.to_json())


def test_numbers_that_do_not_belong_together_or_to_the_threshold_are_no_verdict():
    verdict = judged([1, 2, 4], above=0)
    for change in ({"value": 3.0}, {"spread": {"low": 1.5, "high": 4.0}}, {"verdict": "undecided"}):
        with pytest.raises(ValueError, match=r"median and interval|by the code"):
            Verdict.from_json(verdict.claim, {**verdict.to_json(), **change})
    with pytest.raises(ValueError, match="holds there, does not hold by the code"):
        Verdict.from_json(replace(verdict.claim, above=9), verdict.to_json())


def test_a_verdict_is_that_of_the_digits_that_are_kept():
    verdict = judged([1.0000001], above=1)
    assert verdict.kind == "does not hold"
    assert Verdict.from_json(verdict.claim, verdict.to_json()).kind == verdict.kind


def test_rounds_to_six_digits_and_names_thresholds():
    assert [plain(1 / 3), plain(123456789), plain(INF), plain(-INF), plain(NAN)] == [
        0.333333,
        123457000,
        "inf",
        "-inf",
        "nan",
    ]
    assert judged([1], below=0.12).claim.threshold == "below 0.12"
    assert judged([1], above=0.5, below=2).claim.threshold == "between 0.5 and 2"


def test_the_paper_is_measured_by_the_same_code():
    theirs = judged([2], 0.25, above=1)
    assert theirs.measured.paper == 0.25
    assert (theirs.kind, theirs.on_paper) == ("holds", "does not hold")
    assert judged([1], above=1).measured.paper is None
    assert judged([1], above=1).on_paper is None
    assert judged([1], NAN, above=1).on_paper is None


def test_evidence_is_computed_as_the_claim_is():
    verdict = judged([2, 4, 3], 10.0, above=9, evidence=[Known(0.5)])
    (measured,) = verdict.evidence
    assert (measured.words, measured.values, measured.value) == ("0.5 times its value", (1, 2, 1.5), 1.5)
    assert (measured.low, measured.high, measured.paper) == (1, 2, 5)
    assert verdict.to_json()["evidence"][0]["paper_value"] == 5


def test_a_reason_is_judged_as_a_claim_is():
    verdict = judged([1, 2], 2.0, above=9, reasons=[Claim("since it is large", Known(2), above=3)])
    (why,) = verdict.reasons
    assert (why.kind, why.measured.values, why.on_paper) == ("undecided", (2, 4), "holds")


def test_only_the_runs_that_a_claim_is_about_are_asked():
    table = pd.concat([seeds(1, 2), seeds(5, 6, 7, net="dln", first=1)], ignore_index=True)
    claim = Claim("it is so", Known(), above=0, about={"net": "dln"})
    found = judge(claim, indexed(table))
    assert found.measured.values == (5, 6, 7)
    assert judge(replace(claim, about={"net": "mlp"}), indexed(table)).kind is Kind.UNDECIDED
    with pytest.raises(ValueError, match="of several runs"):
        judge(replace(claim, about={}), indexed(table))


def test_steps_to_reach_takes_the_centred_mean():
    rising = pd.Series([0, 0, 0, 0, 5, 5, 5, 5, 5], index=range(0, 90, 10))
    assert steps_to_reach(rising, 1) == 20  # mean of steps 0 to 40 is 1
    assert steps_to_reach(rising, 1.001) == 30
    assert steps_to_reach(rising, 5) == 60
    assert steps_to_reach(rising, 5.001) == INF
    assert steps_to_reach(rising, 5, points=1) == 40
    assert steps_to_reach(rising.sample(frac=1, random_state=0), 1) == 20
    assert steps_to_reach(rising.iloc[-4:], 1) == INF  # too short for one mean


@pytest.mark.parametrize(
    ("series", "lr", "steps"),
    [
        ("standard", 0.1, [1000, 3100, 4500, 8200]),
        ("batch", 0.1, [300, 1000, 2200, 6100]),
        ("standard", 0.5, [INF, INF, INF]),
        ("batch", 0.5, [500, 1700, 3400]),
    ],
)
def test_marks_of_the_paper(series, lr, steps):
    accuracies = curve(ORIGINAL, series=series, lr=lr, quantity="train_accuracy")
    levels = [0.5, 0.8, 0.9, 0.99][: len(steps)]
    assert [steps_to_reach(accuracies, level) for level in levels] == steps


@pytest.mark.parametrize(
    ("series", "lr", "per_cent"),
    [("standard", 0.1, 80.01), ("batch", 0.1, 82.87), ("standard", 0.5, 10.00), ("batch", 0.5, 80.17)],
)
def test_final_accuracies_of_the_paper(series, lr, per_cent):
    assert curve(ORIGINAL, series=series, lr=lr, quantity="test_accuracy").iloc[-1] == pytest.approx(per_cent / 100)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("faster_to_50", 1000 / 300),
        ("faster_to_80", 3100 / 1000),
        ("faster_to_90", 4500 / 2200),
        ("tests_better", (3.81 + 1.76 + 2.73 + 2.58 + 2.86) / 5),
        ("standard_fails_at_high_rate", 0.1),
    ],
)
def test_claims_of_figure_1_on_the_curves_of_the_paper(name, value):
    verdict = judge(CLAIMS[name], {0: THEIRS}, THEIRS)
    assert verdict.measured.value == pytest.approx(value)
    assert verdict.measured.paper == verdict.measured.value
    assert verdict.kind == "holds"


def accuracies(standard, batch):
    parts = [
        pd.DataFrame({"series": series, "step": range(10), "value": value})
        for series, value in (("standard", standard), ("batch", batch))
    ]
    facts = {"run": "a", "net": "vgg", "lr": 0.1, "augment": False, "seed": 0, "quantity": "train_accuracy"}
    return indexed(pd.concat(parts, ignore_index=True).assign(**facts).reindex(columns=COLUMNS))


@pytest.mark.parametrize(
    ("standard", "batch", "value", "verdict"),
    [
        (0.1, 0.6, INF, "holds"),
        (0.6, 0.1, 0, "does not hold"),
        (0.1, 0.1, NAN, "undecided"),
        (0.6, 0.6, 1, "does not hold"),
    ],
)
def test_who_never_gets_there_is_not_faster(standard, batch, value, verdict):
    judgement = judge(CLAIMS["faster_to_50"], accuracies(standard, batch))
    assert judgement.measured.value == pytest.approx(value, nan_ok=True)
    assert judgement.kind == verdict


def test_the_paper_gives_no_activations():
    assert math.isnan(CLAIMS["no_steadier_layer_3"].statistic.of(THEIRS))


def test_the_paper_is_judged_in_parts_too():
    in_part = judged([2], 2.0, above=1, parts=[Known(0.25), Known(3)])
    assert (in_part.kind, in_part.on_paper) == ("holds in part", "holds in part")
    mostly = judged([2], 0.5, above=1, parts=[Known(4)])
    assert (mostly.kind, mostly.on_paper) == ("holds", "mostly fails")


@pytest.mark.parametrize(
    ("one", "other", "verdict", "in_noise"),
    [
        (3.0, 2.0, "holds", 0),
        (3.0, 0.5, "holds", 1),  # against noise: a bound
        (0.9, 0.5, "undecided", 2),
        (1.0, 1.0, "undecided", 2),
        (NAN, 0.5, "holds", 1),  # of a table from before noise was measured
    ],
)
def test_what_compares_noise_with_noise_is_undecided(one, other, verdict, in_noise):
    found = judged([2.0, 2.0], above=1, resolved=[Known(one / 2, "one"), Known(other / 2, "other")])
    assert (found.kind, len(found.in_noise)) == (verdict, in_noise)
    again = Verdict.from_json(found.claim, json.loads(json.dumps(found.to_json())))
    assert (again.kind, len(again.in_noise)) == (verdict, in_noise)


def test_one_seed_above_its_noise_floor_leaves_the_others_in_it():
    """The interval decides: what some seeds can tell is told."""
    assert judged([2.0, 4.0], above=1, resolved=[Known(0.3)]).kind == "holds"  # 0.6 and 1.2
    assert judged([2.0, 3.0], above=1, resolved=[Known(0.3)]).kind == "undecided"
