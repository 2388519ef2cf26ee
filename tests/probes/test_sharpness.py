"""Sharpness against closed forms and the dense Hessian, in float64."""

import math

import pytest
import torch
from torch import nn
from torch.func import functional_call

from normscape.errors import UserError
from normscape.models import MLP, Layer, LayeredModel
from normscape.norms import BatchNorm, LpNorm, Standard, WeightNorm
from normscape.probes import Sharpness
from one_step import network_at, step


def measured(view, **options):
    ((row),) = Sharpness(tolerance=1e-10, **options).measure(view)
    assert (row.step, row.quantity, row.layer, row.step_size) == (view.step, "sharpness", None, None)
    return row.value


def test_on_a_quadratic_it_is_the_largest_eigenvalue_with_the_weight_decay_added():
    """L(w) = 1/2 ||X w||^2: lambda_max(X'X) + lambda."""
    for weight_decay in (0.0, 0.3):
        model = LayeredModel([Layer(nn.Linear(4, 1, bias=False), nn.Identity())])
        view = step(model, (7, 4), weight_decay=weight_decay, loss_function=lambda y, _: 0.5 * y.square().sum())
        largest = torch.linalg.eigvalsh(view.inputs.T @ view.inputs).max().item()
        assert measured(view) == pytest.approx(largest + weight_decay, rel=1e-9)


def test_the_largest_not_the_largest_in_size():
    """L(w) = -1/2 ||X w||^2 curves downwards everywhere: its largest eigenvalue is the one nearest to 0."""
    model = LayeredModel([Layer(nn.Linear(4, 1, bias=False), nn.Identity())])
    view = step(model, (7, 4), weight_decay=0.0, loss_function=lambda y, _: -0.5 * y.square().sum())
    values = torch.linalg.eigvalsh(view.inputs.T @ view.inputs)
    assert measured(view) == pytest.approx(-values.min().item(), rel=1e-8)


@pytest.mark.parametrize("inputs", [1, 4])
def test_of_a_linear_loss_it_is_the_weight_decay(inputs):
    for weight_decay in (0.0, 0.3):
        model = LayeredModel([Layer(nn.Linear(inputs, 1, bias=False), nn.Identity())])
        view = step(model, (7, inputs), weight_decay=weight_decay, loss_function=lambda y, _: y.sum())
        assert measured(view) == pytest.approx(weight_decay, abs=1e-12)


def dense_hessian(view, *, training=True, decay=True):
    """Return the Hessian of J, column by column, of a network that knows nothing of the view."""
    model, names = network_at(view, view.parameters).train(training), list(view.gradient)
    shapes = [view.gradient[name].shape for name in names]

    def objective(flat):
        parts = [part.view(shape) for part, shape in zip(flat.split([s.numel() for s in shapes]), shapes, strict=True)]
        loss = view.loss_function(
            functional_call(model, dict(zip(names, parts, strict=True)), view.inputs), view.targets
        )
        return loss + (0.005 * flat.square().sum() if decay else 0.0)

    return torch.autograd.functional.hessian(objective, torch.cat([view.parameters[n].flatten() for n in names]))


@pytest.mark.parametrize("norm", [Standard, BatchNorm, WeightNorm, lambda n: LpNorm(n, 1)])
def test_is_the_dense_hessian_s(norm):
    view = step(MLP(12, [5, 4], 10, norm, activation="sigmoid"), (6, 3, 2, 2), weight_decay=0.01)
    largest = torch.linalg.eigvalsh(dense_hessian(view)).max().item()
    assert measured(view) == pytest.approx(largest, rel=1e-7)
    assert measured(view) != pytest.approx(
        torch.linalg.eigvalsh(dense_hessian(view, decay=False)).max().item(), rel=1e-5
    )


def test_it_is_that_of_the_training_mode():
    view = step(MLP(12, [5, 4], 10, BatchNorm), (6, 3, 2, 2))
    assert measured(view) == pytest.approx(torch.linalg.eigvalsh(dense_hessian(view)).max().item(), rel=1e-7)
    evaluated = torch.linalg.eigvalsh(dense_hessian(view, training=False)).max().item()
    assert abs(measured(view) - evaluated) > 0.05 * evaluated


def test_what_is_not_finite_or_does_not_converge_is_not_a_number():
    view = step(
        MLP(12, [5, 4], 10, Standard), (6, 3, 2, 2), loss_function=lambda y, _: (y - y).sum() / 0.0 + y.sum() ** 2
    )
    assert math.isnan(measured(view))
    model = LayeredModel([Layer(nn.Linear(200, 1, bias=False), nn.Identity())])
    view = step(model, (300, 200), loss_function=lambda y, _: 0.5 * y.square().sum())
    ((row),) = Sharpness(tolerance=1e-15, restarts=1).measure(view)
    assert math.isnan(row.value)


def test_a_wrong_second_derivative_is_refused():
    model = LayeredModel([Layer(nn.utils.parametrizations.weight_norm(nn.Linear(12, 5)), nn.Sigmoid())])
    view = step(model, (6, 12), loss_function=lambda y, _: y.square().sum())
    with pytest.raises(UserError, match=r"^probe sharpness: step 3: the Hessian is not symmetric .* weight_norm"):
        measured(view)


@pytest.mark.parametrize("options", [{"tolerance": 0}, {"tolerance": 1}, {"restarts": 0}, {"restarts": 1.5}])
def test_options_are_checked(options):
    ((name, value),) = options.items()
    with pytest.raises(UserError, match=f"^probe {name}={value}: expected"):
        Sharpness(**options)
