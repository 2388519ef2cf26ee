"""Movements of units against brute force over samples, and what does not depend on their scale."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from normscape.evidence.movements import moment_movements, movements

STREAM = np.random.default_rng(0)
SIZES = STREAM.uniform(0.5, 3, (5, 7, 1))
SAMPLES = STREAM.normal(size=(5, 7, 20)) * SIZES + STREAM.normal(size=(5, 7, 1))
"""Seven units at five snapshots: twenty equally likely values each, so quantile functions are the sorted values."""


def moved(samples, noise=None):
    with np.errstate(invalid="ignore"):
        moments = np.stack([samples.mean(2), samples.var(2)], axis=-1)
    return {**movements(np.sort(samples, axis=2), moments, noise), **moment_movements(moments, noise)}


def by_hand(of_two_samples, *, since_start=False):
    """The quantiles over units of a function of a unit's samples at two snapshots, at each snapshot but the first."""
    pairs = [(SAMPLES[0], later) for later in SAMPLES[1:]] if since_start else list(pairwise(SAMPLES))
    each = np.array([[of_two_samples(a, b) for a, b in zip(before, after, strict=True)] for before, after in pairs])
    return {level: np.quantile(each, level, axis=1) for level in (0.25, 0.5, 0.75)}


def deviation(a, b):
    return np.sqrt((a.var() + b.var()) / 2)


@pytest.mark.parametrize(
    ("name", "of_two_samples"),
    [
        ("activation_distance", wasserstein_distance),
        ("activation_change", lambda a, b: wasserstein_distance(a, b) / deviation(a, b)),
        ("mean_change", lambda a, b: abs(a.mean() - b.mean())),
        ("variance_change", lambda a, b: abs(a.var() - b.var())),
        ("relative_mean_change", lambda a, b: abs(a.mean() - b.mean()) / deviation(a, b)),
        ("relative_variance_change", lambda a, b: abs(a.var() - b.var()) / deviation(a, b) ** 2),
    ],
)
def test_a_movement_is_the_median_over_units(name, of_two_samples):
    found, expected = moved(SAMPLES), by_hand(of_two_samples)
    np.testing.assert_allclose(found[name], expected[0.5], rtol=1e-12)
    if name == "activation_change":
        np.testing.assert_allclose(found[f"{name}_lower"], expected[0.25], rtol=1e-12)
        np.testing.assert_allclose(found[f"{name}_upper"], expected[0.75], rtol=1e-12)
    if name.endswith(("mean_change", "variance_change")):
        drift = by_hand(of_two_samples, since_start=True)
        np.testing.assert_allclose(found[name.replace("change", "drift")], drift[0.5], rtol=1e-12)


def test_the_noise_floor_is_in_units_of_the_time():
    noise = STREAM.uniform(size=(5, 7, 3))
    found, deviations = moved(SAMPLES, noise), SAMPLES.std(2)
    np.testing.assert_allclose(found["activation_noise"], np.median(noise[..., 0] / deviations, axis=1)[1:])
    np.testing.assert_allclose(found["relative_mean_noise"], np.median(noise[..., 1] / deviations, axis=1)[1:])
    np.testing.assert_allclose(found["relative_variance_noise"], np.median(noise[..., 2] / deviations**2, axis=1)[1:])
    assert "activation_noise" not in moved(SAMPLES)


def test_relative_movements_do_not_depend_on_the_scale_of_the_units_and_absolute_ones_do():
    plain, scaled = moved(SAMPLES), moved(7 * SAMPLES - 2)
    for name, values in plain.items():
        power = 0 if "relative" in name or name.startswith("activation_change") else 2 if "variance" in name else 1
        np.testing.assert_allclose(scaled[name], 7**power * values, rtol=1e-9, err_msg=name)


def test_growth_counts_by_the_deviation_of_the_time():
    """A unit whose values double at each snapshot moves as far each time, however small it was at first."""
    grown = np.stack([2.0**k * SAMPLES[0] for k in range(6)])
    changes = moved(grown)["activation_change"]
    np.testing.assert_allclose(changes, changes[0], rtol=1e-12)


@pytest.mark.parametrize("value", [2.0, np.nan, np.inf])
def test_a_unit_that_never_moves_or_is_not_finite_does_not_count(value):
    one = SAMPLES.copy()
    one[:, 3] = value
    without = moved(np.delete(SAMPLES, 3, axis=1))["activation_change"]
    np.testing.assert_allclose(moved(one)["activation_change"], without, rtol=1e-12)
    assert np.isnan(moved(np.full_like(SAMPLES, value))["activation_change"]).all()
