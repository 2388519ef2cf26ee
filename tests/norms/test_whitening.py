"""Whitening against loops over plain numbers, against BatchNorm, and against what makes it the symmetric root."""

import pytest
import torch

from normscape.errors import UserError
from normscape.norms import BatchNorm, Whitening
from normscape.norms.whitening import inverse_root


def correlated(*shape):
    """Return a batch whose features are far from centred, from unit variance and from independent."""
    torch.manual_seed(1)
    mixing = torch.tensor([[2.0, 0.9, -0.4, 0.0], [0.0, 1.0, 0.8, 0.3], [0.0, 0.0, 0.5, -0.7], [0.0, 0.0, 0.0, 3.0]])
    values = torch.randn(shape, dtype=torch.float64).movedim(1, -1) @ mixing.double() + torch.arange(4.0)
    return values.movedim(-1, 1)


SHAPES = [(9, 4), (3, 4, 5, 2)]


def covariance_of(y):
    rows = y.movedim(1, -1).flatten(0, -2)
    return (rows - rows.mean(0)).T @ (rows - rows.mean(0)) / len(rows)


def newton_root(matrix):
    """Return the inverse square root by Newton's iteration, without any eigenvalue: Y to A^(1/2), Z to A^(-1/2)."""
    size, identity = torch.linalg.matrix_norm(matrix), torch.eye(len(matrix), dtype=matrix.dtype)
    y, z = matrix / size, identity
    for _ in range(60):
        step = (3 * identity - z @ y) / 2
        y, z = y @ step, step @ z
    return z / size.sqrt()


@pytest.mark.parametrize("num_groups", [1, 2])
@pytest.mark.parametrize("shape", SHAPES, ids=len)
def test_equals_newton_s_root_in_training_and_evaluation(shape, num_groups):
    x = correlated(*shape)
    norm = Whitening(4, num_groups, eps=0.01, momentum=0.25).double()
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([0.5, -2.0, 3.0, 1.0]))
        norm.bias.copy_(torch.tensor([1.0, 0.0, -1.0, 2.0]))
    y, rows = norm(x), x.movedim(1, -1).flatten(0, -2)
    blocks = torch.block_diag(*[torch.ones(4 // num_groups, 4 // num_groups)] * num_groups).double()
    identity = torch.eye(4, dtype=torch.float64)
    mean, covariance = rows.mean(0), covariance_of(x) * blocks
    running = 0.75 * identity + 0.25 * covariance * len(rows) / (len(rows) - 1)
    for found, centre, spread in ((y, mean, covariance), (norm.eval()(x), 0.25 * mean, running)):
        expected = (rows - centre) @ newton_root(spread + 0.01 * identity) * norm.weight + norm.bias
        torch.testing.assert_close(found.movedim(1, -1).flatten(0, -2), expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(torch.block_diag(*norm.running_covariance), running, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES, ids=len)
def test_the_output_is_centred_with_the_identity_as_covariance_and_batch_norm_s_is_not(shape):
    x, identity = correlated(*shape), torch.eye(4, dtype=torch.float64)
    y = Whitening(4, eps=1e-12).double()(x)
    torch.testing.assert_close(covariance_of(y), identity, rtol=0, atol=1e-9)
    assert y.movedim(1, -1).flatten(0, -2).mean(0).abs().max() < 1e-12
    assert (covariance_of(BatchNorm(4, eps=1e-12).double()(x)) - identity).abs().max() > 0.1
    pairs = covariance_of(Whitening(4, 2, eps=1e-12).double()(x))
    torch.testing.assert_close(pairs[2:, 2:], identity[2:, 2:], rtol=0, atol=1e-9)
    assert pairs[:2, 2:].abs().max() > 0.1


def test_eps_keeps_the_covariance_below_the_identity():
    """With eigenvalue v a direction keeps the variance v / (v + eps)."""
    x = correlated(9, 4)
    found = torch.linalg.eigvalsh(covariance_of(Whitening(4, eps=0.3).double()(x)))
    before = torch.linalg.eigvalsh(covariance_of(x))
    torch.testing.assert_close(found, before / (before + 0.3), rtol=1e-9, atol=0)


def test_one_feature_per_group_is_batch_norm():
    x = correlated(3, 4, 5, 2)
    ours, reference = Whitening(4, 4).double(), BatchNorm(4).double()
    given = [x.clone().requires_grad_() for _ in range(2)]
    results = [norm(each) for norm, each in zip((ours, reference), given, strict=True)]
    towards = torch.randn_like(x)
    for result in results:
        result.backward(towards)
    torch.testing.assert_close(*results, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(given[0].grad, given[1].grad, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(ours.running_covariance.flatten(), reference.running_var)
    torch.testing.assert_close(ours.eval()(x), reference.eval()(x))


@pytest.mark.parametrize("num_groups", [1, 2])
@pytest.mark.parametrize("shape", SHAPES, ids=len)
def test_first_and_second_gradients_equal_finite_differences(shape, num_groups):
    x, norm = correlated(*shape).requires_grad_(), Whitening(4, num_groups, eps=1e-3).double()
    assert torch.autograd.gradcheck(norm, (x,))
    assert torch.autograd.gradgradcheck(norm, (x,))


def test_the_gradient_goes_through_the_statistics():
    """A shift of a feature and a factor on all features change nothing, so the gradient has no part along either."""
    x, norm = correlated(9, 4).requires_grad_(), Whitening(4, eps=1e-12).double()
    norm(x).pow(3).sum().backward()
    rows = x.detach() - x.detach().mean(0)
    assert x.grad.sum(0).abs().max() < 1e-9
    assert abs((rows * x.grad).sum()) < 1e-9
    assert (rows * x.grad).sum(0).abs().min() > 1e-3  # a factor on one feature turns the axes of the root

    fixed = rows.clone().requires_grad_()
    (fixed @ inverse_root(covariance_of(rows), 1e-12)).pow(3).sum().backward()
    assert fixed.grad.sum(0).abs().max() > 0.1
    assert abs((rows * fixed.grad).sum()) > 0.1


@pytest.mark.parametrize("values", [[1.0, 1.0, 1.0], [1.0, 1.0, 4.0], [1e-3, 1e-3, 1e3]])
def test_equal_eigenvalues_have_a_gradient(values):
    """The gradient of an eigendecomposition would be infinite here."""
    given = torch.diag(torch.tensor(values, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(lambda matrix: inverse_root((matrix + matrix.mT) / 2, 1e-4), (given,), eps=1e-7)
    eigenvalues, eigenvectors = torch.linalg.eigh(given)
    (eigenvectors @ torch.diag(eigenvalues.rsqrt()) @ eigenvectors.mT)[0, 1].backward()
    assert not given.grad.isfinite().all()


def test_features_that_are_copies_stay_finite():
    x = correlated(9, 4).float()
    x[:, 1] = x[:, 0] * 1e3
    x.requires_grad_()
    y = Whitening(4)(x)
    y.pow(3).sum().backward()
    assert y.isfinite().all()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("scale", [1, 10, 100])
def test_in_float32_the_gradient_of_dependent_features_is_that_of_float64(scale):
    """As behind a convolution with more maps than its kernels have entries; without double it would be 27 000 off."""
    torch.manual_seed(0)
    x, towards = scale * torch.randn(256, 16), torch.randn(256, 16)
    x[:, 0] = x[:, 1:5].sum(1)
    gradients = []
    for dtype in (torch.float64, torch.float32):
        leaf = x.to(dtype).requires_grad_()
        y = Whitening(16).to(dtype)(leaf)
        assert y.dtype is dtype
        gradients.append(torch.autograd.grad((y * towards.to(dtype)).sum(), leaf)[0].double())
    exact, found = gradients
    assert (found - exact).norm() < 1e-3 * exact.norm()


@pytest.mark.parametrize("shape", [(4, 4), (1, 4, 2, 2), (1, 4)])
def test_too_few_values_are_refused_in_training_only(shape):
    norm = Whitening(4)
    with pytest.raises(UserError, match=r"4 features together: \d values each, expected more; take larger batches"):
        norm(torch.ones(shape))
    assert torch.equal(norm.running_mean, torch.zeros(4))
    assert norm.eval()(torch.ones(shape)).isfinite().all()
    assert Whitening(4, 4).train()(torch.rand(4, 4)).isfinite().all()


def test_groups_have_to_divide_the_features():
    with pytest.raises(UserError, match="num_groups=3: expected a divisor of the 4 features of a layer"):
        Whitening(4, 3)
