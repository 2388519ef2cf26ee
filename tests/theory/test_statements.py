"""Each statement against autograd on a small network in float64, and what a wrong constant does to it."""

import pytest
import torch

from normscape.theory import (
    Products,
    jacobian_of_sample,
    jacobian_of_set,
    lemma_4_5,
    normalised,
    theorem_4_1,
    theorem_4_2,
    theorem_4_4,
    theorem_c_1,
)
from normscape.theory.smoothness import curvature
from one_norm_layer import UNITS, Layer, M, blocks, drawn, form, gradient, times

EPS = [0.0, 1e-5, 0.3]
LAYERS = [(eps, inserted) for eps in EPS for inserted in (False, True)]
EXACT = 1e-12


def jacobian(layer):
    """Return the matrices I - 11'/m - yhat yhat'/m of the units, entry by entry."""
    yhat = layer.normalised.values
    one = torch.ones(M, dtype=torch.float64)
    return torch.stack([torch.eye(M) - torch.outer(one, one) / M - torch.outer(u, u) / M for u in yhat])


@pytest.mark.parametrize("eps", EPS)
def test_the_normalised_values_are_the_definition(eps):
    layer = Layer(eps)
    y, n = layer.y, layer.normalised
    assert torch.allclose(n.values, (y - y.mean(1, keepdim=True)) / (y.var(1, correction=0, keepdim=True) + eps).sqrt())
    assert torch.allclose(n.values.square().sum(1), M * n.kappa, rtol=EXACT)
    assert torch.equal(n.kappa == 1, torch.full((UNITS,), eps == 0.0))
    assert torch.allclose(n.projected(layer.g), times(jacobian(layer), layer.g), atol=EXACT)


@pytest.mark.parametrize("eps", EPS)
def test_the_jacobian_of_the_batch_is_autograd_s(eps):
    layer = Layer(eps)
    found = torch.autograd.functional.jacobian(lambda y: normalised(y, eps).values, layer.y)
    for j in range(UNITS):
        assert torch.allclose(found[j, :, j, :], jacobian(layer)[j] / layer.normalised.sigma[j], atol=EXACT)


@pytest.mark.parametrize("eps", EPS)
def test_both_jacobians_of_norm_are_autograd_s(eps):
    x, batch = drawn(UNITS, seed=8), drawn(UNITS, M, seed=9)

    def norm(x, batch):
        return (x - batch.mean(1)) / (batch.var(1, correction=0) + eps).sqrt()

    to_x, to_set = torch.autograd.functional.jacobian(norm, (x, batch))
    every = range(UNITS)
    assert torch.allclose(jacobian_of_sample(x, batch, eps), to_x[every, every], rtol=EXACT)
    assert torch.allclose(jacobian_of_set(x, batch, eps), to_set[every, every], rtol=EXACT)
    assert (jacobian_of_set(x, batch, eps).abs() > 1e-6).all()  # the gradient reaches every member of the set


def test_where_the_sample_is_a_member_both_add_up_to_a_row_of_the_jacobian_of_the_batch():
    layer = Layer(0.3)
    for i in range(M):
        row = jacobian_of_set(layer.y[:, i], layer.y, 0.3)
        row[:, i] += jacobian_of_sample(layer.y[:, i], layer.y, 0.3)
        assert torch.allclose(row, jacobian(layer)[:, i] / layer.normalised.sigma[:, None], atol=EXACT)


def test_without_the_deviation_s_share_the_jacobian_is_wrong():
    x, batch = drawn(UNITS, seed=8), drawn(UNITS, M, seed=9)
    only_the_mean = -1 / (M * normalised(batch, 0.0).sigma[:, None]).expand(UNITS, M)
    assert not torch.allclose(jacobian_of_set(x, batch, 0.0), only_the_mean, rtol=0.1)


@pytest.mark.parametrize("eps", EPS)
def test_observation_4_3_the_inserted_layer_changes_nothing(eps):
    layer = Layer(eps, inserted=True)
    assert torch.allclose(layer.z, layer.y, rtol=EXACT)
    wrong = layer.normalised.values * layer.y.var(1, correction=1, keepdim=True).sqrt() + layer.beta[:, None]
    assert not torch.allclose(wrong, layer.y, rtol=1e-3)  # the unbiased deviation is not the one


def statement_4_1(layer):
    return theorem_4_1(layer.g, layer.h, layer.normalised, layer.gamma)


def statement_4_2(layer):
    inner, outer = layer.blocks
    yhat = layer.normalised.values
    products = Products(times(inner, layer.g), times(inner, torch.ones_like(yhat)), times(inner, yhat))
    return theorem_4_2(layer.g, layer.h, form(outer, layer.h), products, layer.normalised, layer.gamma)


@pytest.mark.parametrize("statement", [statement_4_1, statement_4_2])
@pytest.mark.parametrize(("eps", "inserted"), LAYERS)
def test_the_derived_right_side_is_equal_to_the_left(statement, eps, inserted):
    found = statement(Layer(eps, inserted))
    assert found.residual.max() < EXACT


@pytest.mark.parametrize("statement", [statement_4_1, statement_4_2])
@pytest.mark.parametrize("inserted", [False, True])
def test_as_printed_they_are_equalities_without_eps(statement, inserted):
    found = statement(Layer(0.0, inserted))
    assert found.slack.abs().max() < EXACT
    assert found.holds_as_printed.all()


def test_with_eps_4_1_is_a_strict_inequality_as_printed():
    found = statement_4_1(Layer(0.3))
    assert found.slack.min() > 1e-4


def test_with_eps_4_2_as_printed_is_off_by_more_than_rounding_and_fails_for_some_unit():
    found = [statement_4_2(Layer(0.3, inserted=True, seed=seed)) for seed in range(5)]
    slacks = torch.cat([each.slack for each in found])
    assert slacks.abs().min() > 1e-6
    assert slacks.min() < -1e-3 < 1e-3 < slacks.max()


def test_a_wrong_power_of_m_or_gamma_is_noticed():
    layer = Layer(1e-5)
    g, h, y, gamma = layer.g, layer.h, layer.normalised, layer.gamma
    assert theorem_4_1(g, h, y, gamma.square()).residual.min() > 1e-2
    assert theorem_4_1(g, h, normalised(layer.y, 0.3), gamma).residual.min() > 1e-3
    inner, outer = layer.blocks
    yhat = y.values
    products = Products(times(inner, g), times(inner, torch.ones_like(yhat)), times(inner, yhat))
    swapped = Products(products.g, products.yhat, products.one)
    assert theorem_4_2(g, h, form(outer, h), swapped, y, gamma).residual.min() > 1e-3
    assert theorem_4_2(g, h, form(inner, h), products, y, gamma).residual.min() > 1e-3


def test_the_conditions_of_4_2_are_what_they_say():
    layer = Layer(1e-5)
    found, (inner, _) = statement_4_2(layer).conditions, layer.blocks
    p = times(jacobian(layer), layer.g)
    assert torch.equal(found["order"], form(inner, p) <= form(inner, layer.g))
    assert torch.equal(found["curved"], form(inner, layer.g) > 0)
    assert torch.equal(found["aligned"], (layer.g * layer.normalised.values).sum(1) > 0)
    ratio = times(inner, p).norm(dim=1) / times(inner, layer.g).norm(dim=1) / (p.norm(dim=1) / layer.g.norm(dim=1))
    assert torch.equal(found["norms"], (ratio <= 1.25) & (ratio >= 0.8))


def test_a_unit_whose_gamma_is_0_takes_nothing_away_and_a_hessian_of_0_keeps_no_norms():
    layer = Layer(1e-5)
    layer.gamma[1] = 0.0
    g, yhat, zero = layer.g, layer.normalised.values, torch.zeros_like(layer.g)
    inner = layer.blocks[0]
    products = Products(times(inner, g), times(inner, torch.ones_like(yhat)), times(inner, yhat))
    forms = curvature(g, products, layer.normalised, layer.gamma)
    assert forms.second.isfinite().all()
    assert (forms.second == 0).tolist() == [False, True, False]
    found = statement_4_2(layer)
    assert (found.left[1], found.derived[1], found.printed[1]) == (0, 0, 0)
    flat = theorem_4_2(g, layer.h, zero[:, 0], Products(zero, zero, zero), layer.normalised, layer.gamma)
    assert not flat.conditions["norms"].any()


def test_the_reading_of_4_2_follows_from_the_order_of_the_forms_and_needs_the_factor_once_more():
    follows, breaks = 0, 0
    for seed in range(20):
        for scale in (0.3, 3.0):
            layer = Layer(0.0, seed=seed)
            layer.gamma = scale * layer.normalised.sigma
            found = statement_4_2(layer).conditions
            assert (found["reading"] | ~found["order"]).all()
            follows += int(found["reading"].sum())
            breaks += int((found["order"] & ~found["reading_as_printed"]).sum())
    assert follows > 0
    assert breaks > 0  # with gamma > sigma the printed factor is too small


def test_lemma_4_5_is_the_projection_and_its_condition_is_needed():
    start, end = drawn(50, 4, seed=1), drawn(50, 4, seed=2)
    found = lemma_4_5(start, end)
    positive = found.conditions["positive"]
    assert 10 < positive.sum() < 40
    assert found.residual.max() < EXACT
    assert found.slack[positive].abs().max() < EXACT
    assert not found.holds_as_printed[~positive].any()
    line = torch.linspace(1e-6, 5, 2000, dtype=torch.float64)
    for j in range(50):
        nearest = min(float((start[j] - a * end[j]).square().sum()) for a in line)
        assert float(found.left[j]) == pytest.approx(nearest, rel=1e-3)


@pytest.mark.parametrize("eps", EPS)
def test_a_positive_multiple_is_as_good_where_gamma_makes_up_for_eps(eps):
    """And a negative one where gamma changes its sign; with gamma kept and eps above 0 it is not."""
    layer = Layer(eps)
    for a in (0.3, 4.0, -2.0):
        moved = normalised(a * layer.y, eps)
        gamma = layer.gamma * moved.sigma / (a * layer.normalised.sigma)
        assert torch.allclose(gamma[:, None] * moved.values, layer.gamma[:, None] * layer.normalised.values)
        same = torch.allclose(moved.values, layer.normalised.values, rtol=1e-9)
        assert same == (a > 0 and eps == 0.0)


class WithInput:
    """The layer's input X and weights of its units, for the statements about the gradient w.r.t. the weights."""

    def __init__(self, eps=1e-5, seed=0):
        self.x, self.w = drawn(M, 4, seed=seed + 20), drawn(UNITS, 4, seed=seed + 21)
        self.layer = Layer(eps, seed=seed)
        self.layer.y = self.w @ self.x.T
        self.layer.normalised = normalised(self.layer.y, eps)
        self.radius = float(torch.linalg.matrix_norm(self.x, 2))

    def loss(self, w):
        return self.layer.loss_with_norm(w @ self.x.T)


@pytest.mark.parametrize("eps", EPS)
def test_4_4_bounds_the_gradient_w_r_t_the_weights_at_every_input(eps):
    net = WithInput(eps)
    layer = net.layer
    found = theorem_4_4(
        net.x, layer.g, layer.h, layer.normalised, layer.gamma, net.radius, torch.ones(UNITS, dtype=torch.float64)
    )
    assert torch.allclose(found.left, gradient(net.loss, net.w).square().sum(1), rtol=EXACT)
    assert found.conditions["bound"].all()
    assert torch.allclose(found.derived, net.radius**2 * layer.h.square().sum(1), rtol=EXACT)


def test_4_4_is_attained_where_the_input_lies_along_the_gradient_and_a_smaller_bound_fails():
    layer = Layer(1e-5)
    g, h, y, gamma = layer.g[:1], layer.h[:1], normalised(layer.y[:1], 1e-5), layer.gamma[:1]
    aligned = 2.0 * torch.outer(h[0] / h[0].norm(), torch.tensor([0.6, 0.8], dtype=torch.float64))
    one = torch.ones(1, dtype=torch.float64)
    found = theorem_4_4(aligned, g, h, y, gamma, 2.0, one)
    assert found.residual.max() < EXACT
    assert not theorem_4_4(aligned, g, 1.001 * h, y, gamma, 2.0, one).conditions["bound"].any()
    with pytest.raises(ValueError, match="\\|\\|X\\|\\| is 2"):
        theorem_4_4(aligned, g, h, y, gamma, 1.9, one)


@pytest.mark.parametrize("eps", EPS)
def test_c_1_is_an_equality_at_every_input(eps):
    net = WithInput(eps)
    layer = net.layer
    inner, outer = layer.blocks
    v = layer.h @ net.x @ net.x.T
    yhat = layer.normalised.values
    products = Products(times(inner, v), times(inner, torch.ones_like(yhat)), times(inner, yhat))
    along = gradient(net.loss, net.w)
    left = form(blocks(net.loss, net.w), along)
    largest = torch.ones(UNITS, dtype=torch.float64)
    found = theorem_c_1(v, left, layer.g, products, layer.normalised, layer.gamma, largest)
    assert torch.allclose(left, form(outer, v), rtol=1e-10)
    assert found.residual.max() < 1e-11
    wrong = theorem_c_1(layer.h, left, layer.g, products, layer.normalised, layer.gamma, largest)
    assert wrong.residual.min() > 1e-3
