"""The marks that one reads off the paper's own curves, found again by the statistics of the claims.

They are medians over windows of steps, extremes and ends, noted by hand; so they tell a median from a mean, a ratio
from its inverse and a maximum from a minimum, on curves that are spiky enough to tell.
"""

from itertools import pairwise
from pathlib import Path

import pytest

from normscape.evidence.comparing import FINAL_LOSS
from normscape.evidence.curves import indexed
from normscape.evidence.figure import Family
from normscape.evidence.measures import Largest, Median, MedianAtStepSize, MedianWidth
from normscape.evidence.original import read_original
from normscape.evidence.parts import BINS
from normscape.evidence.statistics import During, Ratio

FAMILY = Family.of("santurkar2018", Path(__file__).parents[2])
THIRDS = (0, 1000, 5000, 15001)


def original(*stems):
    return indexed(read_original(FAMILY.original, *stems))[0]


def windows(curves, ends):
    return [curves.between(begin, end) for begin, end in pairwise(ends)]


@pytest.mark.parametrize(
    ("quantity", "series", "rate", "layer", "marks"),
    [
        ("ics_l2", "standard", 0.1, 5, [0.22, 0.97, 0.69]),
        ("ics_l2", "batch", 0.1, 5, [0.96, 0.97, 0.77]),
        ("ics_cosine", "standard", 0.1, 5, [0.85, 0.60, 0.50]),
        ("ics_cosine", "batch", 0.1, 5, [0.69, 0.62, 0.41]),
        ("ics_l2", "standard", 1e-7, 17, [37, 1.1, 1.6]),
        ("ics_l2", "batch", 1e-7, 17, [6.9e3, 1.1e4, 5.2e3]),
        ("ics_cosine", "standard", 1e-7, 17, [1.0, 1.0, 1.0]),
        ("ics_cosine", "batch", 1e-7, 17, [-0.05, -0.98, 0.21]),
    ],
)
def test_covariate_shift(quantity, series, rate, layer, marks):
    curves = original("fig03").about({"lr": rate})
    found = [Median(quantity, layer).of(part, series) for part in windows(curves, THIRDS)]
    assert found == pytest.approx(marks, rel=0.05, abs=0.006)


@pytest.mark.parametrize(
    ("quantity", "series", "marks"),
    [
        ("loss_landscape", "standard", [2.00, 0.34]),
        ("loss_landscape", "batch", [0.40, 0.13]),
        ("gradient_difference_tensor_sum", "standard", [53, 25]),
        ("gradient_difference_tensor_sum", "batch", [11.7, 8.2]),
    ],
)
def test_widths_of_bands(quantity, series, marks):
    parts = windows(original("fig04"), (0, 5000, 15001))
    assert [MedianWidth(quantity).of(part, series) for part in parts] == pytest.approx(marks, rel=0.02)


@pytest.mark.parametrize(
    ("figure", "claim", "mark"),
    [
        ("3", "dln_trains_better_lr_1e-06", 1661 / 479),
        ("3", "shift_no_smaller_dln_layer_17_lr_1e-07", 5625),
        ("3", "standard_dln_aligned_layer_17_lr_1e-06", -0.98),
        ("5", "dln_linf_trains_like_batch", 986 / 479),
        ("5", "dln_l1_beats_batch", 97 / 479),
        ("5", "vgg_l1_trains_like_batch", 1),
        ("8", "noisy_drifts_mean_layer_13", 11.7),
        ("8", "noisy_drifts_variance_layer_9", 1.1),
        ("10", "dln_batch_lowers_beta", 0.72),
        ("10", "dln_beta_at_the_edge_of_stability", 1.0),
    ],
)
def test_claims(figure, claim, mark):
    declared = FAMILY.figure(figure)
    (found,) = (known for known in declared.claims if known.name == claim)
    curves = original(*declared.original).about(found.about)
    assert found.statistic.of(curves) == pytest.approx(mark, rel=0.03)


@pytest.mark.parametrize(
    ("measure", "mark"),
    [
        (Largest("effective_beta_tensor_sum"), 45.6 / 25.3),
        (Median("effective_beta_tensor_sum"), 20.0 / 19.95),
    ],
)
def test_smoothness_over_all_steps(measure, mark):
    assert Ratio(measure, "standard", "batch").of(original("fig04")) == pytest.approx(mark, rel=0.03)


def test_widths_at_equal_accuracy():
    """Read off by others, with a program of their own, in the bins from 80 to 90 and from 90 to 99 %."""
    width = Ratio(MedianWidth("gradient_difference_tensor_sum"), "standard", "batch")
    found = [During(width, part).of(original("fig04", "fig05_a")) for part in BINS]
    assert found[1:] == pytest.approx([3.66, 4.15], abs=0.006)


def test_losses_of_the_deep_linear_net_end_in_their_order():
    curves = original("fig05").about({"net": "dln"})
    assert Ratio(FINAL_LOSS, "standard", "batch").of(curves) == pytest.approx(1661 / 479, rel=0.02)


def test_the_largest_step_size_is_what_figure_11_compares():
    """At 0.4 standard's gradient has changed by more than BatchNorm's at nearly all times (fig. 11 a)."""
    rows = read_original(FAMILY.original, "fig11")
    vgg = rows[(rows["net"] == "vgg") & (rows["quantity"] == "gradient_difference_tensor_sum")]
    medians = vgg[vgg["step_size"] == 0.4].groupby("series")["value"].median()
    farthest = Ratio(MedianAtStepSize("gradient_difference_tensor_sum"), "standard", "batch")
    found = farthest.of(original("fig11").about({"net": "vgg"}))
    assert found == pytest.approx(medians["standard"] / medians["batch"])
    assert found > 2
