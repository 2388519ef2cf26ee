"""The deep linear net against a matrix product."""

from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from normscape.errors import UserError
from normscape.models import DLN
from normscape.norms import BatchNorm, Standard


def test_standard_is_the_product_of_its_matrices():
    torch.manual_seed(0)
    model = DLN(norm=Standard, depth=4, features=6).double()
    x = torch.randn(5, 6, dtype=torch.float64)
    w1, w2, w3, w4 = (layer.linear.weight for layer in model.layers.values())
    torch.testing.assert_close(model(x), x @ (w4 @ w3 @ w2 @ w1).T)


@pytest.mark.parametrize(("norm", "count"), [(Standard, 25), (BatchNorm, 25 + 2 * 24)])
def test_config_has_the_papers_tensors(norm, count):
    path = Path(__file__).parents[2] / "configs" / "model" / "dln.yaml"
    model = instantiate(OmegaConf.load(path), norm=norm)
    assert len(list(model.parameters())) == count
    weights = [layer.linear.weight for layer in model.layers.values()]
    assert [tuple(weight.shape) for weight in weights] == [(10, 10)] * 25


def test_norm_follows_every_layer_but_the_last():
    norms = [layer.norm for layer in DLN(norm=BatchNorm, depth=3).layers.values()]
    assert [isinstance(norm, BatchNorm) for norm in norms] == [True, True, False]


@pytest.mark.parametrize("depth", [0, -1])
def test_depth_below_one_is_named(depth):
    with pytest.raises(UserError, match=f"not {depth}"):
        DLN(norm=Standard, depth=depth)
