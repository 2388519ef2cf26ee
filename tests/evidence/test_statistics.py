"""Statistics of claims: no curve, a diverged run or an overflow must not look like a success; words follow the code."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from normscape.evidence.claims import Claim, judge
from normscape.evidence.curves import Use, indexed
from normscape.evidence.marks import Final, StepsTo
from normscape.evidence.measures import (
    Count,
    Largest,
    Mean,
    MeanOfFloor,
    Median,
    MedianAtStepSize,
    MedianQuotient,
    MedianSize,
    MedianTimesHalfRate,
    MedianWidth,
    ShareBelow,
)
from normscape.evidence.parts import ALL_STEPS, BINS, EARLY, LATE, MIDDLE, AtAccuracy, Fitting, Share
from normscape.evidence.smoothness import _per_step
from normscape.evidence.statistics import (
    AtEqualAccuracy,
    AtEqualLoss,
    Change,
    Difference,
    During,
    Of,
    Ratio,
    ShareLarger,
    ratio_of,
)
from normscape.evidence.table import COLUMNS
from santurkar2018.movements import movement_claim

INF, NAN = math.inf, math.nan


def rows(quantity, values, *, series="batch", lr=0.1, every=10, **more):
    steps = range(0, every * len(values), every)
    facts = {"run": f"{series} {lr}", "net": "vgg", "augment": False, "seed": 0, "series": series, "lr": lr, **more}
    return pd.DataFrame({"step": steps, "value": values, "quantity": quantity, **facts}).reindex(columns=COLUMNS)


def curves(*parts):
    return indexed(pd.concat(parts, ignore_index=True))[0]


def accuracies(**each):
    return curves(*(rows("train_accuracy", values, series=series) for series, values in each.items()))


def edges(low, high, **more):
    return [rows("loss_landscape", values, edge=edge, **more) for edge, values in (("min", low), ("max", high))]


@pytest.mark.parametrize(
    ("measure", "values", "expected"),
    [
        (Median("x"), [1, NAN, 5, 2, 9], 3.5),
        (Median("x"), [NAN, NAN], NAN),
        (MedianSize("x"), [-1, 5, NAN, -3], 3),
        (Largest("x"), [1, INF, 7, 2], INF),
        (Largest("x"), [1, 7, 2], 7),
        (Largest("x"), [1, NAN, 7], NAN),  # what is no number may have been larger
        (Mean("x"), [1, 2, 6], 3),
        (Mean("x"), [1, NAN], NAN),  # what diverged does not average out
        (ShareBelow("x", bound=2), [1, -1.5, 3, NAN], 2 / 3),
        (MedianTimesHalfRate("x"), [10, 20, 90], 1.0),  # lr 0.1: 2 / lr is 20
        (Final("x", points=3), [9, 1, 2, 3], 2),
        (Final("x", points=5), [50, 50, NAN], INF),  # a loss that is no number
        (Final("x", points=5), [50, 50, 50, 50], NAN),  # logged too seldom
        (Final("x", points=1, percent=True), [0.1, 0.25], 0.25),
        (StepsTo(quantity="x", level=0.5), [0, 1, 1, 1], NAN),
        (StepsTo(quantity="x", level=0.5), [0] * 6 + [1] * 9, 60),  # the mean of five
        (StepsTo(quantity="x", level=0.5), [0] * 9, INF),
    ],
)
def test_measures(measure, values, expected):
    assert measure.of(curves(rows("x", values)), "batch") == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    "measure",
    [
        Median("x"),
        MedianSize("x"),
        Largest("x"),
        Mean("x"),
        ShareBelow("x", bound=1),
        MedianTimesHalfRate("x"),
        MedianQuotient("x", divisor="y"),
        MedianWidth("x"),
        MedianAtStepSize("x"),
        Final("x"),
        StepsTo(quantity="x", level=0.5),
    ],
)
def test_no_curve_is_no_number(measure):
    assert math.isnan(measure.of(curves(rows("other", [1.0])), "batch"))
    assert math.isnan(measure.of(curves(rows("x", [1.0])), "l1"))


def test_a_run_that_ended_early_is_judged_by_its_last_point_alone():
    found = accuracies(standard=[0.1] * 8, batch=[0.2, 0.5, 0.7, 0.8, 0.1])
    assert Final("train_accuracy").of(found, "batch") == 0.1
    few = accuracies(standard=[0.1] * 8, batch=[0.2, 0.1])
    assert Final("train_accuracy").of(few, "batch") == 0.1
    assert StepsTo(level=0.5).of(few, "batch") == INF


@pytest.mark.parametrize(
    ("standard", "batch", "expected"),
    [
        ([0] * 6 + [1] * 9, [0] * 3 + [1] * 12, 2),
        ([0] * 9, [1] * 9, INF),
        ([1] * 9, [0] * 9, 0),
        ([0] * 9, [0] * 9, NAN),
    ],
)
def test_who_needs_how_many_times_the_steps(standard, batch, expected):
    found = Ratio(StepsTo(level=0.5), "standard", "batch").of(accuracies(standard=standard, batch=batch))
    assert found == pytest.approx(expected, nan_ok=True)


def test_compared_with_nobody_it_cannot_be_told():
    found = accuracies(standard=[1] * 9)
    assert math.isnan(Ratio(StepsTo(level=0.5), "standard", "l1").of(found))
    assert math.isnan(Ratio(StepsTo(level=0.5), "l1", "standard").of(found))
    assert math.isnan(Difference(Final("train_accuracy"), "l1", "standard").of(found))


@pytest.mark.parametrize(
    ("low", "high", "width"),
    [([1, 1, 1], [3, 4, 9], 3), ([1, 1, 1], [3, INF, INF], INF), ([1, INF, INF], [3, INF, INF], INF)],
)
def test_the_width_of_a_range_counts_an_overflow_as_wide(low, high, width):
    assert MedianWidth("loss_landscape").of(curves(*edges(low, high)), "batch") == width


def test_edges_over_other_steps_are_taken_where_both_are():
    low, high = rows("x", [1, 1, 1, 1], edge="min"), rows("x", [3, 4, 9, 9], edge="max").assign(step=[0, 10, 20, 40])
    found = MedianWidth("x").of(curves(low, high), "batch")
    assert found == 8  # widths 2, 3, 8, and at steps 30 and 40 what is missing counts as infinite


def test_steps_are_counted_once_whatever_was_measured_there():
    table = rows("x", [1, 10, 2, NAN], step_size=[0.1, 0.4] * 2).assign(step=[0, 0, 5, 5])
    assert Count("x").of(curves(table), "batch") == 2
    assert Count("x").of(curves(table), "l1") == 0


def test_the_largest_step_size_alone():
    sizes = [0.1, 0.4] * 3
    table = rows("x", [1, 10, 2, 20, 3, NAN], step_size=sizes).assign(step=[0, 0, 5, 5, 9, 9])
    assert MedianAtStepSize("x").of(curves(table), "batch") == 20  # of 10, 20 and what overflowed
    assert MedianAtStepSize("x", place=0).of(curves(table), "batch") == 2  # of 1, 2 and 3
    assert math.isnan(MedianAtStepSize("x", place=2).of(curves(table), "batch"))
    with pytest.raises(ValueError, match="several values at a step"):
        Median("x").of(curves(table), "batch")


def test_a_quotient_of_two_quantities_step_by_step():
    found = curves(rows("x", [2, 6, 9]), rows("y", [1, 2, 0.0]))
    assert MedianQuotient("x", divisor="y").of(found, "batch") == 3


@pytest.mark.parametrize(("a", "b", "expected"), [(6, 3, 2), (1, 0, INF), (1, INF, 0), (INF, 1, INF)])
def test_ratio(a, b, expected):
    assert ratio_of(a, b) == expected


@pytest.mark.parametrize(("a", "b"), [(0, 0), (INF, INF), (NAN, 1), (1, NAN)])
def test_a_ratio_that_cannot_be_told(a, b):
    assert math.isnan(ratio_of(a, b))


def test_several_rates_are_no_one_curve_unless_the_claim_says_which():
    found = curves(rows("x", range(100)), rows("x", [7] * 90, lr=0.5))
    with pytest.raises(ValueError, match=r"batch, x: of several runs \(batch 0.1, batch 0.5\)"):
        Median("x").of(found, "batch")
    assert Median("x").of(found.about({"lr": 0.5}), "batch") == 7


def test_parts_are_of_the_run_that_is_meant():
    found = curves(rows("x", range(100)), rows("x", [7] * 900, lr=0.5)).about({"lr": 0.1})
    values = [During(Of(Median("x"), "batch"), part).of(found) for part in (EARLY, MIDDLE, LATE)]
    assert values == [4.5, 29.5, 74.5]
    assert Change(Of(Median("x"), "batch"), LATE, EARLY).of(found) == 74.5 / 4.5


@pytest.mark.parametrize("last", [9950, 9999, 10000])
def test_whether_the_last_step_is_logged_moves_no_part(last):
    steps = [*range(0, 9950, 50), last]
    found = curves(rows("x", steps).assign(step=steps))
    ends = []
    for share in (Share("", 0.0, 0.1), Share("", 0.5, 1.0)):
        part = share.of(found).curve("batch", "x")
        ends.append((part.steps[0], part.steps[-1]))
    assert ends == [(0, 950), (5000, last)]


FITTED_LATE = rows("train_accuracy", [0.5] * 10 + [1.0] * 10, series="l1")
"""The mean of five reaches 99 % at the thirteenth value."""


def test_a_part_ends_where_the_network_has_fitted_its_training_data():
    found = curves(FITTED_LATE, rows("x", range(20), series="l1"))
    until, after = (During(Of(Median("x"), "l1"), Fitting("l1", after=after)) for after in (False, True))
    assert (until.of(found), after.of(found)) == (5.5, 15.5)
    assert until.part == "before the l1 network has fitted its training data"
    assert set(until.uses()) == {Use("l1", "x", None), Use("l1", "train_accuracy", None)}


def test_who_never_fits_is_measured_over_the_whole_run():
    found = curves(rows("train_accuracy", [0.98] * 20, series="l1"), rows("x", range(20), series="l1"))
    typical = Of(Median("x"), "l1")
    assert During(typical, Fitting("l1")).of(found) == 9.5
    assert math.isnan(During(typical, Fitting("l1", after=True)).of(found))
    assert math.isnan(During(typical, Fitting("batch")).of(found))  # nothing is known of batch


def learning(series, every):
    """Return a network that reaches 0.5, 0.8, 0.9 and 1 for ``every`` logged values each, and a quantity of its own."""
    levels = [0.5, 0.85, 0.95, 1.0]
    accuracy = [level for level in levels for _ in range(every)]
    return [
        rows("train_accuracy", accuracy, series=series),
        rows(
            "x",
            [{0.5: 2, 0.85: 3, 0.95: 4, 1.0: 99}[a] * (10 if series == "slow" else 1) for a in accuracy],
            series=series,
        ),
    ]


def test_networks_are_compared_at_their_own_steps_of_equal_accuracy():
    found = curves(*learning("slow", 60), *learning("fast", 20))
    ratio = Ratio(Median("x"), "slow", "fast")
    assert [During(ratio, part).of(found) for part in BINS] == [10, 10, 10]  # whenever they got there
    assert AtEqualAccuracy(ratio).of(found) == pytest.approx(10)
    assert AtEqualAccuracy(Difference(Median("x"), "slow", "fast")).of(found) == pytest.approx((18 + 27 + 36) / 3)
    assert ratio.of(found) == pytest.approx(10)
    assert set(AtEqualAccuracy(ratio).uses()) == {
        Use(series, quantity, None) for series in ("slow", "fast") for quantity in ("x", "train_accuracy")
    }


def test_the_mean_over_bins_is_geometric_and_over_those_that_both_reach():
    slow = [
        rows("train_accuracy", [0.5] * 40 + [0.85] * 40, series="slow"),
        rows("x", [8.0] * 40 + [3.0] * 40, series="slow"),
    ]
    found = curves(*slow, *learning("fast", 40))
    ratio = Ratio(Median("x"), "slow", "fast")
    in_bins = [During(ratio, part).of(found) for part in BINS]
    assert in_bins[:2] == [4, 1]
    assert math.isnan(in_bins[2])
    assert AtEqualAccuracy(ratio).of(found) == pytest.approx(2)
    assert math.isnan(AtEqualAccuracy(ratio).of(curves(*learning("fast", 40))))  # there is no slow one
    assert During(ratio, BINS[2]).not_of_all
    assert not During(ratio, EARLY).not_of_all


def test_networks_that_are_never_at_equal_progress_are_not_compared():
    early = {name: [rows("train_accuracy", [0.1] * 9, series=name), rows("x", [4.0] * 9, series=name)] for name in "ab"}
    late = [rows("train_accuracy", [0.6] * 9, series="c"), rows("x", [2.0] * 9, series="c")]
    found = curves(*early["a"], *early["b"], *late)
    for other in ("b", "c", "nobody"):
        assert math.isnan(AtEqualAccuracy(Ratio(Median("x"), "a", other)).of(found))
        assert math.isnan(AtEqualAccuracy(Difference(Median("x"), "a", other)).of(found))


def test_accuracy_is_smoothed_and_taken_between_logged_steps():
    noisy = [0.5, 0.5, 0.5, 1.0, 0.5, 0.5, 0.5, 0.9, 0.9, 0.9, 0.9, 0.9]
    found = curves(rows("train_accuracy", noisy), rows("x", range(24), every=5))
    steps = AtAccuracy(0.5, 0.8).of(found).curve("batch", "x").steps
    assert steps.min() == 0  # the outlier at step 30 counts a fifth
    assert steps.max() == 75  # means of five at steps 70 and 80: 0.74 and 0.82
    assert AtAccuracy(0.5, 0.8).words == "at 50 to 80 % training accuracy"


def test_the_share_of_steps_at_which_one_is_larger():
    found = curves(rows("x", [3, 1, NAN, 5], series="a"), rows("x", [2, 2, 2, 4, 9], series="b"))
    assert ShareLarger("x", "a", "b").of(found) == pytest.approx(2 / 3)
    assert math.isnan(ShareLarger("x", "a", "c").of(found))


def test_over_all_steps_is_the_statistic_itself():
    found = curves(*learning("slow", 60), *learning("fast", 20))
    assert During(Of(Largest("x"), "slow"), ALL_STEPS).of(found) == 990
    assert During(Of(Largest("x"), "slow"), ALL_STEPS).part == "over all steps"


@pytest.mark.parametrize(
    ("statistic", "words"),
    [
        (
            Ratio(MedianWidth("gradient_difference"), "standard", "batch"),
            "median over steps of the spread (maximum minus minimum over step sizes) of the gradient difference, "
            "standard / BatchNorm",
        ),
        (
            Difference(Final("test_accuracy", points=1, percent=True), "batch", "standard"),
            "test accuracy after the last step, percentage points, BatchNorm - standard",
        ),
        (Of(Median("ics_l2", 5), "noisy_batch"), "median over steps of ||G - G'|| in layer 5, noisy BatchNorm"),
        (
            During(Ratio(StepsTo(level=0.8), "standard", "l1"), EARLY),
            "steps to 80 % training accuracy (mean of 5 logged mini-batches), standard / l1, "
            "over the first 10 % of the steps",
        ),
        (
            Of(Mean("activation_change", 3), "batch"),
            "mean over steps of the Wasserstein-1 distance of a unit's distribution in layer 3 from the snapshot "
            "before, in units of its standard deviation at the time, BatchNorm",
        ),
    ],
)
def test_words_are_those_of_the_code(statistic, words):
    assert statistic.words == words


def test_a_share_is_shown_in_per_cent_where_the_words_say_so():
    found = accuracies(standard=[0.25] * 6, batch=[0.5] * 6)
    measure = Final("train_accuracy", percent=True)
    assert Of(measure, "batch").of(found) == 50
    assert Difference(measure, "batch", "standard").of(found) == 25
    assert Ratio(measure, "batch", "standard").of(found) == 2


def test_curves_are_those_of_the_table_by_brute_force():
    draws = np.random.default_rng(0)
    parts = [
        rows("x", draws.normal(size=7), series=series, lr=lr, layer=layer, edge=edge, seed=seed)
        for series in ("a", "b")
        for lr in (0.1, 1e-7)
        for layer in (None, 3)
        for edge in (None, "min")
        for seed in (0, 2)
    ]
    table = pd.concat(parts, ignore_index=True).sample(frac=1, random_state=0)
    seeds = indexed(table)
    assert list(seeds) == [0, 2]
    for part in parts:
        first = part.iloc[0]
        layer, edge = (None if pd.isna(first[name]) else first[name] for name in ("layer", "edge"))
        found = seeds[first["seed"]].about({"lr": first["lr"]}).curve(first["series"], "x", layer, edge or "")
        assert found.values.tolist() == part["value"].tolist()
        assert found.steps.tolist() == part["step"].tolist()
        assert (found.lr, found.run) == (first["lr"], first["run"])


def test_movement_is_compared_in_both_units():
    moved = [
        rows(quantity, [value] * 3, series=series, layer=3)
        for quantity, series, value in (
            ("activation_change", "l1", 2.0),
            ("activation_change", "standard", 4.0),
            ("activation_distance", "l1", 30.0),
            ("activation_distance", "standard", 10.0),
        )
    ]
    verdict = judge(movement_claim("name", "words", 3, "l1", above=1.0), {0: curves(*moved)})
    assert (verdict.measured.value, verdict.of(verdict.measured)) == (0.5, "does not hold")
    assert verdict.parts[-1].words.startswith("for another statistic (")
    assert verdict.parts[-1].value == 3
    assert [measured.value for measured in verdict.evidence[:2]] == [2, 4]
    assert "in units of its standard deviation at the time" in verdict.measured.words


def test_why_a_normalised_network_is_the_steadier_one():
    """It rests once it has fitted at the thirteenth step, the standard network moves on: 8 to 2, and 1 to 3."""
    moves = {"l1": [8.0] * 12 + [2.0] * 8, "standard": [1.0] * 12 + [3.0] * 8}
    parts = [rows("activation_change", values, series=series, layer=3) for series, values in moves.items()]
    verdict = judge(movement_claim("name", "words", 3, "l1", above=10.0), {0: curves(*parts, FITTED_LATE)})
    assert [(reason.measured.value, reason.kind) for reason in verdict.reasons] == [(0.25, "holds"), (3, "holds")]
    assert verdict.parts[-2].value == 8


def test_steps_are_counted_where_networks_are_compared():
    """Each at its own steps of the quantity, bin by bin; a claim keeps those of the seed with the fewest."""
    ratio = Ratio(Median("x"), "slow", "fast")
    of_seed = ({"slow": 60, "fast": 20}, {"slow": 30, "fast": 40})
    seeds = {n: curves(*(part for each in of.items() for part in learning(*each))) for n, of in enumerate(of_seed)}
    counts = [AtEqualAccuracy(ratio).measured_steps(found) for found in seeds.values()]
    assert {series: sum(of) for series, of in counts[0].items()} == pytest.approx({"slow": 180, "fast": 60}, abs=6)
    verdict = judge(Claim("it is so", AtEqualAccuracy(ratio), above=1), seeds)
    assert verdict.bins == {name: tuple(map(min, *(each[name] for each in counts))) for name in ("slow", "fast")}
    assert judge(Claim("it is so", ratio, above=1), seeds).bins == {}


def test_movement_is_told_in_units_of_its_noise_floor():
    found = curves(rows("moved", [2.0, 4.0], series="slow"), rows("floor", [1.0, 1.0], series="slow"))
    measure = MeanOfFloor("moved", floor="floor")
    assert Of(measure, "slow").of(found) == 3
    assert math.isnan(Of(measure, "fast").of(found))
    assert {use.quantity for use in Of(measure, "slow").uses()} == {"moved", "floor"}


@pytest.mark.parametrize(("gradient", "value"), [(1.0, math.inf), (0.0, math.nan)])
def test_what_float32_does_not_hold_is_infinite_and_along_no_gradient_missing(gradient, value):
    kept = pd.DataFrame(
        {"step": [0, 0], "quantity": ["effective_beta", "gradient_norm"], "value": [math.nan, gradient]}
    )
    (found,) = _per_step(SimpleNamespace(rows=lambda *_: kept.copy()))["value"].iloc[:1]
    assert found == value or (math.isnan(found) and math.isnan(value))


def test_networks_without_accuracy_can_be_compared_at_equal_loss():
    """Each octave that both pass counts once, however many steps a network takes in it; others do not count."""
    slow = [rows("train_loss", [64, 40, 20, 20, 20, 9], series="slow"), rows("x", [5, 5, 6, 6, 6, 7], series="slow")]
    fast = [rows("train_loss", [64, 20, 1], series="fast"), rows("x", [1, 2, 9], series="fast")]
    statistic = AtEqualLoss(Ratio(Median("x"), "slow", "fast"))
    assert statistic.of(curves(*slow, *fast)) == pytest.approx(math.sqrt(5 * 3))  # at 64 and at 20
    assert math.isnan(statistic.of(curves(*slow)))
    assert {use.quantity for use in statistic.uses()} == {"x", "train_loss"}


def test_steps_of_a_range_are_counted_once():
    both = [part for s, n in (("slow", 60), ("fast", 20)) for part in learning(s, n)]
    ranges = [part for s, n in (("slow", 240), ("fast", 80)) for part in edges([1.0] * n, [2.0] * n, series=s)]
    widths = AtEqualAccuracy(Ratio(MedianWidth("loss_landscape"), "slow", "fast"))
    medians = AtEqualAccuracy(Ratio(Median("x"), "slow", "fast"))
    found = curves(*both, *ranges)
    assert widths.measured_steps(found) == medians.measured_steps(found)
