"""Verdicts by mental arithmetic, and the paper's own marks read back by the claims' own functions."""

import importlib.util
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from normscape.claims import Claim, interval, interval_kind, judge, plain, steps_to_reach
from normscape.tables import curve, read_original

ROOT = Path(__file__).parents[1]
INF, NAN = math.inf, math.nan


def load_figure(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "experiments" / "figures" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fig01 = load_figure("fig01_training")
CLAIMS = {claim.name: claim for claim in fig01.CLAIMS}
ORIGINAL = read_original(ROOT / "results" / "original", "fig01")


def judged(values, original=None, **threshold):
    claim = Claim("it is so", "its value", lambda rows: float(rows["value"].iloc[0]), **threshold)
    return judge(claim, pd.DataFrame({"seed": range(len(values)), "value": values}), original)


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
    assert judged(values, **threshold).verdict == verdict


def test_few_seeds_give_median_and_range():
    measured = judged([1, 8, 3], above=0).measured
    assert (measured.value, measured.low, measured.high) == (3, 1, 8)  # the mean is 4
    assert measured.values == (1, 8, 3)
    assert interval_kind(measured.values) == "range over seeds"


@pytest.mark.parametrize("values", [[1, 2, 3, 4, 5], [10, 11, 10, 12, 13, 90], list(range(20))])
def test_from_five_seeds_on_the_interval_of_the_median(values):
    low, high = interval(values)
    assert min(values) <= low < np.median(values) < high <= max(values)
    assert interval(values) == (low, high)
    assert "bootstrap" in interval_kind(values)


@pytest.mark.parametrize("values", [[1, INF, 1, 1, 1], [1, 1, 1, 1, 1], [1, 2, 3, 4]])
def test_where_resampling_means_nothing_the_range_is_taken_and_said(values):
    assert interval(values) == (min(values), max(values))
    assert interval_kind(values) == "range over seeds"


def test_what_cannot_be_computed_leaves_no_interval_in_any_order():
    assert all(math.isnan(end) for values in ([NAN, 1], [1, NAN], [1, 1, 1, 1, NAN]) for end in interval(values))


@pytest.mark.parametrize("values", [[2], [1, INF], [NAN, 1], [-INF], [1, 2, 3, 4, 5]])
def test_json_has_no_numbers_that_json_has_not(values):
    def refuse(word):
        raise AssertionError(word)

    content = json.loads(json.dumps(judged(values, above=1).to_json()), parse_constant=refuse)
    assert content["n"] == len(values)
    assert content["values"] == [value if math.isfinite(value) else str(value) for value in values]
    assert content["threshold"] == "above 1"
    assert set(content) >= {"name", "claim", "statistic", "value", "spread", "verdict", "paper_value"}


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
    theirs = judged([2], pd.DataFrame({"value": [0.25]}), above=1)
    assert theirs.measured.paper == 0.25
    assert (theirs.verdict, theirs.paper_verdict) == ("holds", "does not hold")
    assert judged([1], above=1).measured.paper is None
    assert judged([1], above=1).paper_verdict is None
    assert judged([1], pd.DataFrame({"value": [NAN]}), above=1).paper_verdict is None


def test_evidence_is_computed_as_the_claim_is():
    half = {"half its value": lambda rows: rows["value"].iloc[0] / 2}
    verdict = judged([2, 4, 3], pd.DataFrame({"value": [10.0]}), above=9, evidence=half)
    (measured,) = verdict.evidence
    assert (measured.statistic, measured.values, measured.value) == ("half its value", (1, 2, 1.5), 1.5)
    assert (measured.low, measured.high, measured.paper) == (1, 2, 5)
    assert verdict.to_json()["evidence"][0]["paper_value"] == 5


def test_a_reason_is_judged_as_a_claim_is():
    reason = Claim("since it is large", "twice its value", lambda rows: 2 * rows["value"].iloc[0], above=3)
    verdict = judged([1, 2], pd.DataFrame({"value": [2.0]}), above=9, reasons=[reason])
    (why,) = verdict.reasons
    assert (why.verdict, why.measured.values, why.paper_verdict) == ("undecided", (2, 4), "holds")
    content = verdict.to_json()["reasons"][0]
    assert (content["claim"], content["threshold"]) == ("since it is large", "above 3")


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
        ("tests_better", 2.86),
        ("standard_fails_at_high_rate", 0.1),
    ],
)
def test_claims_of_figure_1_on_the_curves_of_the_paper(name, value):
    verdict = judge(CLAIMS[name], ORIGINAL, ORIGINAL)
    assert verdict.measured.value == pytest.approx(value)
    assert verdict.measured.paper == verdict.measured.value
    assert verdict.verdict == "holds"


def accuracies(standard, batch):
    parts = [
        pd.DataFrame({"series": series, "step": range(10), "value": value})
        for series, value in (("standard", standard), ("batch", batch))
    ]
    return pd.concat(parts).assign(seed=0, lr=0.1, quantity="train_accuracy")


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
    assert judgement.verdict == verdict


def test_the_paper_gives_no_activations():
    assert math.isnan(CLAIMS["no_steadier_layer_3"].compute(ORIGINAL))
