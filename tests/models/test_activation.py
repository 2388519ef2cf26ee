"""Nonlinearities by name: each is torch's own function, acts on each value by itself, and changes nothing else."""

import pytest
import torch
from torch import nn

from normscape.config import compose_run
from normscape.errors import UserError
from normscape.identity import identity
from normscape.models import MLP, VGG, glorot_
from normscape.models.activation import ACTIVATIONS, activation_class
from normscape.norms import Standard


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_acts_on_each_value_by_itself_out_of_place_and_learns_nothing(name):
    function, x = activation_class(name)(), torch.linspace(-2, 2, 12, dtype=torch.float64).view(3, 4)
    alone = torch.stack([function(value.view(1)) for value in x.flatten()]).view(3, 4)
    torch.testing.assert_close(function(x), alone, rtol=1e-14, atol=1e-15)
    assert not list(function.parameters())
    assert x[0, 0] == -2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("elo", "did you mean 'elu'"),
        ("ELU", "did you mean 'elu'"),
        ("softmax", "known here: celu, elu"),
        ("prelu", "did you mean"),
    ],
)
def test_what_is_not_there_is_refused_with_a_suggestion(given, said):
    with pytest.raises(UserError, match=f"unknown activation '{given}'.*{said}"):
        VGG(Standard, width=1 / 64, activation=given)


def networks(activation):
    yield VGG(Standard, width=1 / 64, head=(256,), activation=activation)
    yield MLP(12, [7, 5], 3, norm=Standard, activation=activation)


@pytest.mark.parametrize("name", ["elu", "selu", "sigmoid"])
def test_every_layer_but_the_last_has_it_and_the_initial_weights_are_the_same(name):
    for plain, other in zip(networks("relu"), networks(name), strict=True):
        kinds = [type(module) for module in other.modules() if type(module) in ACTIVATIONS.values()]
        assert kinds == [ACTIVATIONS[name]] * (len(other.layers) - 1)
        assert not any(isinstance(module, nn.ReLU) for module in other.modules())
        for model in (plain, other):
            glorot_(model, seed=0)
        assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), other.parameters(), strict=True))


def test_another_nonlinearity_is_another_run():
    plain, other = (compose_run(["scale=smoke", *more]) for more in ([], ["+model.activation=elu"]))
    assert "activation" not in plain.model
    assert identity(plain) != identity(other)
