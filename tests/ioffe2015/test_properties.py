"""The experiments on a normalisation's properties against closed forms, and cases in which the properties fail."""

import pytest
import torch
from torch import nn

from ioffe2015.properties import centred_bias, population_variances, scale_errors, spread_over_mates
from normscape.norms import BatchNorm, GroupNorm, LpNorm, Standard, Whitening

SMALL = 1e-14


def layer():
    stream = torch.Generator().manual_seed(0)
    return [torch.randn(size, generator=stream).double() for size in ((4, 5), (8, 5, 3, 3), (8, 4, 3, 3))]


def largest(norm, factor=3.0):
    errors = scale_errors(norm.double(), *layer(), factor)
    return max(errors.output, errors.input_gradient, errors.weight_gradient)


@pytest.mark.parametrize(
    "norm", [BatchNorm(4, SMALL), LpNorm(4, 1, SMALL), GroupNorm(4, 2, SMALL), Whitening(4, 1, SMALL)]
)
def test_what_divides_by_the_size_of_its_input_is_scale_invariant(norm):
    assert largest(norm) < 1e-9


def test_the_identity_misses_each_identity_by_what_its_own_formula_says():
    """Of z = a W u: the output and its derivative by u are a times as large; that by a W is the same, not 1 / a."""
    errors = scale_errors(Standard(4), *layer(), 3.0)
    assert errors.output == pytest.approx(2.0)
    assert errors.input_gradient == pytest.approx(2.0)
    assert errors.weight_gradient == pytest.approx(2.0)


def test_eps_breaks_the_invariance_by_its_share_of_the_variance():
    """With variance v the output is sqrt(v / (v + eps)) of what it would be: here of nearly the same v everywhere."""
    broken = scale_errors(BatchNorm(4, 0.1).double(), *layer(), 3.0)
    assert 1e-3 < broken.output < 0.1
    assert scale_errors(BatchNorm(4, 0.001).double(), *layer(), 3.0).output == pytest.approx(
        broken.output / 100, rel=0.1
    )


class FixedSize(nn.Module):
    """Divides by the size as a constant: the output is invariant, its gradient is not that of a norm."""

    def forward(self, x):
        return x / x.detach().square().mean().sqrt()


def test_a_size_that_the_gradient_does_not_know_still_scales():
    errors = scale_errors(FixedSize(), *layer(), 3.0)
    assert max(errors.output, errors.input_gradient, errors.weight_gradient) < 1e-12


def test_the_bias_grows_by_rate_times_mean_target_at_each_step_and_the_loss_does_not_change():
    target = torch.tensor([1.0, 2.0, 6.0], dtype=torch.float64)
    b, loss = centred_bias(target, 0.5, 10, through_mean=False)
    assert b.tolist() == pytest.approx([0.5 * 3.0 * step for step in range(10)])
    assert loss.tolist() == pytest.approx([(1 + 4 + 36) / 6] * 10)
    b, loss = centred_bias(target, 0.5, 10, through_mean=True)
    assert b.abs().max() == 0
    assert loss.tolist() == pytest.approx([(1 + 4 + 36) / 6] * 10)


def test_a_target_without_mean_does_not_move_the_bias():
    target = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    assert centred_bias(target, 0.5, 10, through_mean=False)[0].abs().max() == 0


@pytest.mark.parametrize("size", [2, 4, 10])
def test_population_variance_is_unbiased_and_that_of_batches_is_not(size):
    population, batch = population_variances(size, 100, torch.Generator().manual_seed(0))
    assert population == pytest.approx(1.0, abs=0.03)
    assert batch == pytest.approx((size - 1) / size, abs=0.03)


def test_the_spread_over_mates_is_that_of_the_mean_and_of_the_deviation():
    """To first order in 1/m, (1 - mean) / deviation has variance (1 + 1/2) / m."""
    stream = torch.Generator().manual_seed(0)
    for size in (100, 400):
        spread = spread_over_mates(size, 2000, stream, training=True)
        assert spread == pytest.approx((1.5 / size) ** 0.5, rel=0.05)
        assert spread_over_mates(size, 2000, stream, training=False) == 0
