"""What several figures' claims share: no curve, a diverged run or an overflow must not look like a success."""

import math

import pandas as pd
import pytest

from figures.declared import Figure, known_figures
from figures.movements import movement_claim
from figures.statistics import (
    each,
    final,
    fitted,
    over_parts,
    ratio,
    speed_up,
    typical,
    until_fitted,
    width,
    within,
)
from normscape.claims import judge
from normscape.tables import COLUMNS


@pytest.mark.parametrize("name", known_figures())
def test_every_claim_of_a_figure_has_a_name_of_its_own_and_a_bound(name):
    figure = Figure.of(name)
    names = [claim.name for claim in figure.module.CLAIMS]
    assert all(names)
    assert len(set(names)) == len(names)
    assert set(figure.headline) <= set(names)
    judged = [*figure.module.CLAIMS, *(reason for claim in figure.module.CLAIMS for reason in claim.reasons)]
    assert all(claim.above is not None or claim.below is not None for claim in judged)


def rows(quantity, values, *, series="batch", lr=0.1, every=10, **more):
    steps = range(0, every * len(values), every)
    table = pd.DataFrame({"step": steps, "value": values, "quantity": quantity, "series": series, "lr": lr, **more})
    return table.reindex(columns=COLUMNS)


def accuracies(**curves):
    return pd.concat([rows("train_accuracy", values, series=series) for series, values in curves.items()])


def test_final_is_the_mean_of_the_last_points():
    assert final(rows("train_loss", [9, 1, 2, 3]), 3, series="batch", quantity="train_loss") == 2


def test_final_of_a_run_that_ended_early_is_its_last_point_alone():
    table = accuracies(standard=[0.1] * 8, batch=[0.2, 0.5, 0.7, 0.8, 0.1])
    assert final(table, 5, series="batch", quantity="train_accuracy") == 0.1


def test_a_loss_that_is_no_number_is_infinite_and_no_curve_is_no_number():
    table = rows("train_loss", [50, 50, math.nan])
    assert final(table, 5, series="batch", quantity="train_loss") == math.inf
    assert math.isnan(final(table, 5, series="l1", quantity="train_loss"))
    assert math.isnan(typical(table, series="l1", quantity="train_loss"))


@pytest.mark.parametrize(
    ("standard", "batch", "expected"),
    [([0] * 6 + [1] * 9, [0] * 3 + [1] * 12, 2), ([0] * 9, [1] * 9, math.inf), ([1] * 9, [0] * 9, 0)],
)
def test_speed_up(standard, batch, expected):
    table = accuracies(standard=standard, batch=batch)
    assert speed_up("standard", "batch", 0.5, table) == pytest.approx(expected)


def test_speed_up_over_nobody_and_of_nobody_cannot_be_said():
    table = accuracies(standard=[0] * 9, batch=[0] * 9)
    assert math.isnan(speed_up("standard", "batch", 0.5, table))
    assert math.isnan(speed_up("standard", "l1", 0.5, table))
    assert math.isnan(speed_up("l1", "standard", 0.5, accuracies(standard=[1] * 9)))


def test_the_width_of_a_band_counts_an_overflow_as_wide():
    edges = [rows("loss_landscape", low, edge="min") for low in ([1, 1, 1],)]
    edges += [rows("loss_landscape", high, edge="max") for high in ([3, math.inf, math.inf],)]
    assert width(pd.concat(edges), "loss_landscape", "batch", 0.1) == math.inf


@pytest.mark.parametrize(
    ("a", "b", "expected"), [(6, 3, 2), (1, 0, math.inf), (1, math.inf, 0), (math.inf, 1, math.inf)]
)
def test_ratio(a, b, expected):
    assert ratio(a, b) == expected


@pytest.mark.parametrize(("a", "b"), [(0, 0), (math.inf, math.inf), (math.nan, 1), (1, math.nan)])
def test_ratio_that_cannot_be_said(a, b):
    assert math.isnan(ratio(a, b))


def test_evidence_takes_each_series_by_itself():
    table = accuracies(standard=[0.1] * 6, noisy_batch=[0.4] * 6)
    evidence = each(
        "end", lambda s, rows: final(rows, 5, series=s, quantity="train_accuracy"), ("standard", "noisy_batch")
    )
    assert {words: compute(table) for words, compute in evidence.items()} == pytest.approx(
        {"end, standard": 0.1, "end, noisy BatchNorm": 0.4}
    )


def test_evidence_takes_a_part_of_the_run_of_that_rate():
    table = pd.concat([rows("x", range(100)), rows("x", [7] * 900, lr=0.5)])

    def typical_of_batch(part):
        return typical(part, series="batch", lr=0.1, quantity="x")

    assert within(0.0, 0.1, 0.1, typical_of_batch)(table) == 4.5
    assert [compute(table) for compute in over_parts(0.1, typical_of_batch).values()] == [4.5, 29.5, 74.5]


@pytest.mark.parametrize("last", [9950, 9999, 10000])
def test_whether_the_last_step_is_logged_moves_no_window(last):
    steps = [*range(0, 9950, 50), last]
    table = pd.DataFrame({"step": steps, "value": steps, "lr": 1e-6})
    first, second = (
        within(*part, 1e-6, lambda part: (part["step"].min(), part["step"].max()))(table)
        for part in ((0.0, 0.1), (0.5, 1.0))
    )
    assert first == (0, 950)
    assert second == (5000, last)


def test_a_window_of_no_rate_is_no_number():
    table = rows("x", range(100))

    def typical_of_batch(part):
        return typical(part, series="batch", lr=0.1, quantity="x")

    assert math.isnan(within(0.0, 1.0, 0.3, typical_of_batch)(table))


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
    claim = movement_claim("name", "words", 3, "l1", above=1.0)
    verdict = judge(claim, pd.concat(moved).assign(seed=0))
    assert (verdict.measured.value, verdict.verdict) == (0.5, "does not hold")
    assert verdict.parts[-1].statistic == "in absolute terms"
    assert verdict.parts[-1].value == 3
    assert [measured.value for measured in verdict.evidence] == [2, 4]


def value_of_l1(part):
    return typical(part, series="l1", lr=0.1, quantity="x")


def test_a_part_ends_where_the_network_has_fitted_its_training_data():
    table = pd.concat([rows("train_accuracy", [0.5] * 10 + [1.0] * 10, series="l1"), rows("x", range(20), series="l1")])
    until, since = (fitted("l1", 0.1, value_of_l1, since=since)(table) for since in (False, True))
    assert (until, since) == (5.5, 15.5)  # the mean of five reaches 99 % at the thirteenth value
    ((words, part),) = until_fitted("l1", 0.1, value_of_l1).items()
    assert words == "before l1 has fitted its training data"
    assert part(table) == 5.5


def test_who_never_fits_is_measured_over_the_whole_run():
    table = pd.concat([rows("train_accuracy", [0.98] * 20, series="l1"), rows("x", range(20), series="l1")])
    assert fitted("l1", 0.1, value_of_l1)(table) == 9.5
    assert math.isnan(fitted("l1", 0.1, value_of_l1, since=True)(table))
    assert math.isnan(fitted("batch", 0.1, value_of_l1)(table))  # nothing is known of batch


def test_why_a_normalised_network_is_the_steadier_one():
    """It rests once it has fitted at the thirteenth step, the standard network moves on: 8 to 2, and 1 to 3."""
    moves = {"l1": [8.0] * 12 + [2.0] * 8, "standard": [1.0] * 12 + [3.0] * 8}
    parts = [rows("activation_change", values, series=series, layer=3) for series, values in moves.items()]
    parts.append(rows("train_accuracy", [0.5] * 10 + [1.0] * 10, series="l1"))
    verdict = judge(movement_claim("name", "words", 3, "l1", above=10.0), pd.concat(parts).assign(seed=0))
    assert [(reason.measured.value, reason.verdict) for reason in verdict.reasons] == [(0.25, "holds"), (3, "holds")]
    assert verdict.parts[0].value == 8
