"""The marks that one reads off the paper's own curves, found again by the statistics of the claims.

They are medians over windows of steps, extremes and ends, noted by hand; so they tell a median from a mean, a ratio
from its inverse and a maximum from a minimum, on curves that are spiky enough to tell.
"""

from itertools import pairwise
from pathlib import Path

import pytest

from figures.declared import Figure
from figures.statistics import final_loss_ratio, typical, width
from normscape.tables import read_original

ORIGINAL = Path(__file__).parents[1] / "results" / "original"
THIRDS = (0, 1000, 5000, 15001)


def windows(rows, ends):
    return [rows[(begin <= rows["step"]) & (rows["step"] < end)] for begin, end in pairwise(ends)]


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
    rows = read_original(ORIGINAL, "fig03")
    found = [typical(part, quantity=quantity, series=series, lr=rate, layer=layer) for part in windows(rows, THIRDS)]
    assert found == pytest.approx(marks, rel=0.05, abs=0.006)


@pytest.mark.parametrize(
    ("quantity", "series", "marks"),
    [
        ("loss_landscape", "standard", [2.00, 0.34]),
        ("loss_landscape", "batch", [0.40, 0.13]),
        ("gradient_difference", "standard", [53, 25]),
        ("gradient_difference", "batch", [11.7, 8.2]),
    ],
)
def test_widths_of_bands(quantity, series, marks):
    parts = windows(read_original(ORIGINAL, "fig04"), (0, 5000, 15001))
    assert [width(part, quantity, series, 0.1) for part in parts] == pytest.approx(marks, rel=0.02)


@pytest.mark.parametrize(
    ("figure", "claim", "mark"),
    [
        ("3", "dln_trains_better_lr_1e-06", 1661 / 479),
        ("3", "shift_no_smaller_dln_layer_17_lr_1e-07", 5625),
        ("3", "standard_dln_has_no_shift_layer_17_lr_1e-06", -0.98),
        ("4", "vgg_batch_lowers_beta", 45.6 / 25.3),
        ("4", "vgg_median_beta_equal", 20.0 / 19.95),
        ("5", "dln_linf_trains_like_batch", 986 / 479),
        ("5", "dln_l1_beats_batch", 97 / 479),
        ("5", "vgg_l1_trains_like_batch", 1),
        ("8", "spacing_of_snapshots", 100),
        ("8", "noisy_drifts_mean_layer_13", 11.7),
        ("8", "noisy_drifts_variance_layer_9", 1.1),
        ("10", "dln_batch_lowers_beta", 1.2e15 / 8.1e6),
        ("10", "dln_beta_at_the_edge_of_stability", 1.0),
    ],
)
def test_claims(figure, claim, mark):
    declared = Figure.of(figure)
    (found,) = (known for known in declared.module.CLAIMS if known.name == claim)
    assert found.compute(read_original(ORIGINAL, *declared.original)) == pytest.approx(mark, rel=0.03)


def test_losses_of_the_deep_linear_net_end_in_their_order():
    rows = read_original(ORIGINAL, "fig05")
    assert final_loss_ratio("standard", "batch", rows) == pytest.approx(1661 / 479, rel=0.02)


def test_the_largest_step_size_is_what_figure_11_compares():
    """At 0.4 standard's gradient has changed by more than BatchNorm's at nearly all times (fig. 11 a)."""
    declared = Figure.of("11")
    rows = read_original(ORIGINAL, *declared.original)
    vgg = rows[(rows["lr"] == 0.1) & (rows["quantity"] == "gradient_difference")]
    medians = vgg[vgg["step_size"] == 0.4].groupby("series")["value"].median()
    (claim, _) = declared.module.CLAIMS
    assert claim.compute(rows) == pytest.approx(medians["standard"] / medians["batch"])
    assert claim.compute(rows) > 2
