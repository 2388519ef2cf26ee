"""The MLP against its formula."""

from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from normscape.errors import UserError
from normscape.models import MLP
from normscape.models.layered import initialise
from normscape.norms import BatchNorm, Standard


@pytest.mark.parametrize(("name", "function"), [("relu", torch.relu), ("sigmoid", torch.sigmoid)])
@pytest.mark.parametrize("shape", [(4, 12), (4, 3, 2, 2)])
def test_equals_its_formula(shape, name, function):
    torch.manual_seed(0)
    model = MLP(12, [7, 5], 3, norm=Standard, activation=name)
    x = torch.randn(shape)
    (w1, b1), (w2, b2), (w3, b3) = ((layer.linear.weight, layer.linear.bias) for layer in model.layers.values())
    expected = function(function(x.reshape(4, 12) @ w1.T + b1) @ w2.T + b2) @ w3.T + b3
    torch.testing.assert_close(model(x), expected)


def test_norm_follows_every_layer_but_the_last():
    norms = [layer.norm for layer in MLP(12, [7, 5], 3, norm=BatchNorm).layers.values()]
    assert [isinstance(norm, BatchNorm) for norm in norms] == [True, True, False]
    assert [len(norm.weight) for norm in norms[:2]] == [7, 5]


def test_without_hidden_layers_it_is_linear_regression():
    model = MLP(12, [], 3, norm=BatchNorm)
    assert [name for name, _ in model.named_parameters()] == ["layers.1.linear.weight", "layers.1.linear.bias"]
    assert model(torch.randn(4, 3, 2, 2)).shape == (4, 3)


def test_unknown_activation_is_named():
    with pytest.raises(UserError, match="'sigmoyd'; did you mean 'sigmoid'"):
        MLP(12, [7], 3, norm=Standard, activation="sigmoyd")


def test_config():
    path = Path(__file__).parents[2] / "configs" / "model" / "mlp.yaml"
    model = instantiate(OmegaConf.load(path), norm=BatchNorm)
    assert model(torch.randn(2, 3, 32, 32)).shape == (2, 10)
    assert [tuple(layer.linear.weight.shape) for layer in model.layers.values()] == [
        (100, 3072),
        (100, 100),
        (100, 100),
        (10, 100),
    ]


def test_gaussian_weights_have_the_size_that_is_asked_for():
    model = MLP(500, [400], 10, norm=Standard, initial_std=0.02)
    initialise(model, seed=0)
    (w1, b1), (w2, _) = ((layer.linear.weight, layer.linear.bias) for layer in model.layers.values())
    assert w1.std().item() == pytest.approx(0.02, rel=0.01)
    assert w2.std().item() == pytest.approx(0.02, rel=0.05)
    assert w1.abs().max() > 0.06  # not uniform, which would end at 0.035
    assert b1.abs().max() == 0
    glorot = MLP(500, [400], 10, norm=Standard)
    initialise(glorot, seed=0)
    assert glorot.layers["1"].linear.weight.abs().max() < (6 / 900) ** 0.5


@pytest.mark.parametrize("std", [0.0, -1.0, float("nan")])
def test_a_size_of_weights_that_is_none_is_named(std):
    with pytest.raises(UserError, match=f"initial_std={std}: expected a number above 0"):
        MLP(12, [7], 3, norm=Standard, initial_std=std)
