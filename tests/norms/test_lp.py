"""LpNorm against loops over plain numbers, against BatchNorm, and against mental arithmetic."""

import math
import re

import pytest
import torch
from torch import nn

from normscape.errors import UserError
from normscape.norms import LpNorm

EXPONENTS = [1.0, 1.5, 2.0, 3.0, 7.0, math.inf]
SHAPES = [(6, 3), (3, 3, 2, 4)]


def by_loops(values: list[float], p: float, eps: float) -> tuple[float, float, list[float]]:
    """Return mean, moment and the normalised values of one feature."""
    mean = sum(values) / len(values)
    if p == math.inf:
        moment = max(abs(value) for value in values)
        size = moment + eps
    else:
        moment = sum(abs(value) ** p for value in values) / len(values)
        size = (moment + eps) ** (1.0 / p)
    return mean, moment, [(value - mean) / size for value in values]


@pytest.mark.parametrize("p", EXPONENTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_loops_in_training_and_evaluation(shape, p):
    torch.manual_seed(1)
    x = torch.randn(shape, dtype=torch.float64) + 0.7  # not centred, so that the order of centring and measuring shows
    norm = LpNorm(3, p, eps=0.01, momentum=0.25).double()
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([0.5, -2.0, 3.0]))
        norm.bias.copy_(torch.tensor([1.0, 0.0, -1.0]))
    y = norm(x)
    y_eval = norm.eval()(x)
    for j in range(3):
        scale, shift = norm.weight[j].item(), norm.bias[j].item()
        values = x[:, j].flatten().tolist()
        mean, moment, normalised = by_loops(values, p, 0.01)
        expected = torch.tensor([scale * value + shift for value in normalised], dtype=torch.float64)
        torch.testing.assert_close(y[:, j].flatten(), expected, rtol=1e-12, atol=1e-12)

        running_mean, running_moment = 0.25 * mean, 0.75 + 0.25 * moment
        assert norm.running_mean[j].item() == pytest.approx(running_mean, rel=1e-12)
        assert norm.running_moment[j].item() == pytest.approx(running_moment, rel=1e-12)
        size = running_moment + 0.01 if p == math.inf else (running_moment + 0.01) ** (1.0 / p)
        expected = torch.tensor([scale * (v - running_mean) / size + shift for v in values], dtype=torch.float64)
        torch.testing.assert_close(y_eval[:, j].flatten(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("p", "expected"), [(1, 0.2), (2, 0.5 / math.sqrt(6.5)), ("inf", 0.5 / 3.0)])
def test_twos_and_threes(p, expected):
    # mean 2.5; mean |x| = 2.5, mean x^2 = 6.5, max |x| = 3 (centred they would be 0.5, 0.25 and 0.5)
    y = LpNorm(2, p, eps=0.0)(torch.tensor([[2.0, -3.0], [3.0, -2.0]]))
    torch.testing.assert_close(y, torch.tensor([[-expected, -expected], [expected, expected]]))


def centred_batch() -> torch.Tensor:
    x = torch.randn(4, 3, 5, 2, dtype=torch.float64)
    return x - x.mean((0, 2, 3), keepdim=True)


def test_p2_is_batch_norm_on_a_centred_batch():
    torch.manual_seed(2)
    ours, reference = LpNorm(3, 2).double(), nn.BatchNorm2d(3).double()
    x, towards = centred_batch(), torch.randn(4, 3, 5, 2, dtype=torch.float64)
    x_ours, x_reference = x.clone().requires_grad_(), x.clone().requires_grad_()
    y, expected = ours(x_ours), reference(x_reference)
    torch.testing.assert_close(y, expected, rtol=1e-12, atol=1e-12)
    y.backward(towards)
    expected.backward(towards)
    torch.testing.assert_close(x_ours.grad, x_reference.grad, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(ours.weight.grad, reference.weight.grad, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(ours.bias.grad, reference.bias.grad, rtol=1e-12, atol=1e-12)

    m = x.numel() // 3  # BatchNorm's running variance is m / (m - 1) times the moment, ours is the moment
    followed = (reference.running_var - 0.9) * (m - 1) / m
    torch.testing.assert_close(ours.running_moment - 0.9, followed, rtol=1e-12, atol=1e-12)
    reference.running_var.copy_(0.9 + followed)
    torch.testing.assert_close(ours.eval()(x), reference.eval()(x), rtol=1e-12, atol=1e-12)


def test_p2_is_not_batch_norm_on_a_batch_with_a_mean():
    torch.manual_seed(2)
    x = centred_batch() + 1.0
    assert (LpNorm(3, 2).double()(x) - nn.BatchNorm2d(3).double()(x)).abs().max() > 0.1


@pytest.mark.parametrize("p", EXPONENTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_equal_finite_differences(shape, p):
    torch.manual_seed(3)
    x = (torch.randn(shape, dtype=torch.float64) + 0.7).requires_grad_()
    assert torch.autograd.gradcheck(LpNorm(3, p).double(), (x,))


@pytest.mark.parametrize("p", EXPONENTS)
@pytest.mark.parametrize("dead", ["some zeros", "all zeros"])
def test_gradients_are_finite_at_zero(dead, p):
    norm = LpNorm(2, p)
    x = torch.tensor([[0.0, 1.0], [2.0, 0.0], [0.0, -1.0]]) * (dead == "some zeros")
    x.requires_grad_()
    y = norm(x)
    (y * torch.tensor([[1.0], [2.0], [-4.0]])).sum().backward()
    for tensor in (y, x.grad, norm.weight.grad, norm.bias.grad):
        assert tensor.isfinite().all()


def test_equally_large_values_share_the_gradient_of_their_maximum():
    x = torch.tensor([[3.0], [-3.0], [0.0]], requires_grad=True)
    LpNorm(1, "inf", eps=0.0)(x)[0].sum().backward()  # y_0 = (x_0 - mean) / max, mean 0, max 3
    assert x.grad.flatten().tolist() == pytest.approx([2 / 9 - 1 / 6, -1 / 9 + 1 / 6, -1 / 9])


@pytest.mark.parametrize("p", [math.inf, "inf", ".inf"])
def test_infinity_can_be_a_number_or_a_word(p):
    assert LpNorm(3, p).p == math.inf


@pytest.mark.parametrize("p", [0.5, 0, -1, -math.inf, math.nan, "two", None])
def test_bad_exponent_is_named(p):
    with pytest.raises(UserError) as error:
        LpNorm(3, p)
    assert repr(p) in str(error.value)
    assert "at least 1" in str(error.value)


@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1, 1)])
def test_one_value_per_feature_is_refused_in_training_only(shape):
    norm = LpNorm(3, 2)
    with pytest.raises(ValueError, match="more than 1 value per feature.*" + re.escape(str(shape))):
        norm(torch.ones(shape))
    assert norm.running_mean.tolist() == [0.0] * 3
    assert norm.eval()(torch.ones(shape)).isfinite().all()
    assert norm.train()(torch.ones(1, 3, 2, 1)).isfinite().all()
