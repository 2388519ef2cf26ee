"""The paper's noise: its moments in closed form, when it is drawn, and where it acts."""

import pytest
import torch

from normscape.norms import BatchNorm, NoisyBatchNorm, NoisyStandard
from normscape.norms.noise import draw_noise

PAPER = {"n_mu": 0.5, "n_sigma": 1.25, "r_mu": 0.1, "r_sigma": 0.1}
OTHER = {"n_mu": 2.0, "n_sigma": 3.0, "r_mu": 0.5, "r_sigma": 0.3}
FEATURES, SAMPLES = 2000, 400


def drawn(shape, seed=0, **options):
    torch.manual_seed(seed)
    return draw_noise(torch.empty(shape, dtype=torch.float64), **options)


def close(estimate, expected, relative_error):
    """Compare within five standard errors of the estimate."""
    return float(estimate) == pytest.approx(expected, rel=5.0 * relative_error)


@pytest.mark.parametrize("sizes", [PAPER, OTHER], ids=["paper", "other"])
@pytest.mark.parametrize("shape", [(SAMPLES, FEATURES), (SAMPLES // 20, FEATURES, 4, 5)])
def test_moments(shape, sizes):
    n_mu, n_sigma, r_mu, r_sigma = sizes.values()
    scale, shift = drawn(shape, **sizes)
    assert scale.shape == shift.shape == shape
    scale, shift = scale.movedim(1, -1).reshape(-1, FEATURES), shift.movedim(1, -1).reshape(-1, FEATURES)
    every, units = (FEATURES * SAMPLES) ** -0.5, FEATURES**-0.5  # standard errors shrink with the number of draws

    # within a unit: uniform of half-width r_mu, normal of standard deviation r_sigma
    assert close(shift.var(0).mean(), r_mu**2 / 3, every)
    assert close(scale.var(0).mean(), r_sigma**2, 2**0.5 * every)
    # between units: uniform on [-n_mu, n_mu], uniform on [1, n_sigma]
    mu, sigma = shift.mean(0), scale.mean(0)
    assert close(mu.var(), n_mu**2 / 3 + r_mu**2 / 3 / SAMPLES, 0.9 * units)
    assert close(sigma.var(), (n_sigma - 1) ** 2 / 12 + r_sigma**2 / SAMPLES, 0.9 * units)
    assert abs(mu.mean()) < 5 * units * n_mu / 3**0.5
    assert abs(sigma.mean() - (1 + n_sigma) / 2) < 5 * units * (n_sigma - 1) / 12**0.5
    # altogether: the law of total variance
    assert close(shift.var(), (n_mu**2 + r_mu**2) / 3, 0.9 * units)
    assert close(scale.var(), (n_sigma - 1) ** 2 / 12 + r_sigma**2, 2 * units)


@pytest.mark.parametrize("shape", [(1000, 50), (10, 50, 10, 10)])
def test_shift_is_bounded_and_its_interval_belongs_to_the_unit(shape):
    _, shift = drawn(shape, **PAPER)
    per_unit = shift.movedim(1, -1).reshape(-1, 50)
    assert per_unit.abs().max() <= 0.6
    width = per_unit.amax(0) - per_unit.amin(0)
    assert (width <= 0.2).all()
    assert (width > 0.19).all()  # 1000 draws fill the interval
    assert per_unit.max() - per_unit.min() > 0.9  # and the units lie apart


def test_without_r_the_noise_is_constant_within_a_unit():
    scale, shift = drawn((4, 3, 2, 2), n_mu=0.5, n_sigma=1.25, r_mu=0.0, r_sigma=0.0)
    for noise in (scale, shift):
        assert (noise == noise[:1, :, :1, :1]).all()
        assert len(noise[0, :, 0, 0].unique()) == 3


def test_scale_and_shift_are_independent():
    scale, shift = drawn((SAMPLES, FEATURES), **PAPER)
    between = torch.corrcoef(torch.stack([scale.mean(0), shift.mean(0)]))[0, 1]
    within = ((scale - scale.mean(0)) * (shift - shift.mean(0))).mean() / (0.1 * 0.1 / 3**0.5)
    assert abs(between) < 5 * FEATURES**-0.5
    assert abs(within) < 5 * (SAMPLES * FEATURES) ** -0.5


@pytest.mark.parametrize("cls", [NoisyBatchNorm, NoisyStandard])
def test_redrawn_each_forward_from_the_global_stream(cls):
    norm, x = cls(3), torch.randn(4, 3, 5, 2)
    torch.manual_seed(7)
    first, second = norm(x), norm(x)
    assert not torch.equal(first, second)
    torch.manual_seed(7)
    assert torch.equal(norm(x), first)
    assert torch.equal(norm(x), second)


def test_the_draw_depends_on_shape_not_on_memory_format_or_values():
    x = torch.randn(4, 3, 5, 2)
    torch.manual_seed(7)
    plain = draw_noise(x, **PAPER)
    torch.manual_seed(7)
    channels_last = draw_noise(100.0 * x.contiguous(memory_format=torch.channels_last), **PAPER)
    assert torch.equal(plain[0], channels_last[0])
    assert torch.equal(plain[1], channels_last[1])


@pytest.mark.parametrize("cls", [NoisyBatchNorm, NoisyStandard])
def test_evaluation_is_noiseless_and_leaves_the_stream_alone(cls):
    norm, x = cls(3), torch.randn(4, 3, 5, 2)
    norm(x)
    norm.eval()
    before = torch.get_rng_state()
    y = norm(x)
    assert torch.equal(torch.get_rng_state(), before)
    reference = BatchNorm(3).eval()
    if cls is NoisyStandard:
        assert torch.equal(y, x)
    else:
        reference.load_state_dict(norm.state_dict())
        assert torch.equal(y, reference(x))


def test_noise_acts_after_scale_and_shift():
    noisy, plain, x = NoisyBatchNorm(3, **OTHER), BatchNorm(3), torch.randn(4, 3, 5, 2)
    with torch.no_grad():
        noisy.weight.copy_(torch.tensor([0.5, -2.0, 3.0]))
        noisy.bias.copy_(torch.tensor([1.0, 0.0, -1.0]))
    plain.load_state_dict(noisy.state_dict())
    torch.manual_seed(7)
    y = noisy(x)
    torch.manual_seed(7)
    scale, shift = draw_noise(x, **OTHER)
    torch.testing.assert_close(y, scale * plain(x) + shift)
    torch.testing.assert_close(noisy.running_var, plain.running_var, rtol=0, atol=0)


def test_the_gradient_passes_through_the_scale():
    x, towards = torch.randn(4, 3, requires_grad=True), torch.randn(4, 3)
    torch.manual_seed(7)
    NoisyStandard(3)(x).backward(towards)
    torch.manual_seed(7)
    scale, _ = draw_noise(x, **PAPER)
    assert not scale.requires_grad
    torch.testing.assert_close(x.grad, scale * towards)


def test_noise_of_size_zero_is_none():
    x = torch.randn(4, 3, 5, 2)
    nothing = {"n_mu": 0.0, "n_sigma": 1.0, "r_mu": 0.0, "r_sigma": 0.0}
    assert torch.equal(NoisyStandard(3, **nothing)(x), x)
    assert torch.equal(NoisyBatchNorm(3, **nothing)(x), BatchNorm(3)(x))
