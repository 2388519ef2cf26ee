"""VGG against torchvision's networks, and its own promises."""

from pathlib import Path

import pytest
import torch
import torchvision
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import nn
from torch.func import functional_call

from normscape.errors import UserError
from normscape.models import VGG, glorot_
from normscape.norms import BatchNorm, Standard

REFERENCES = {
    "A": torchvision.models.vgg11,
    "B": torchvision.models.vgg13,
    "D": torchvision.models.vgg16,
    "E": torchvision.models.vgg19,
}


def linears(model):
    return [layer.linear for layer in model.layers.values()]


@pytest.mark.parametrize("configuration", REFERENCES)
def test_convolutions_equal_torchvision(configuration):
    torch.manual_seed(0)
    model = VGG(norm=Standard, configuration=configuration)
    ours = linears(model)[:-1]
    with torch.device("meta"):  # no memory for its classifier; its convolutions are called with our weights
        reference = REFERENCES[configuration](init_weights=False).features
    theirs = [module for module in reference if isinstance(module, nn.Conv2d)]
    for name in ("weight", "bias"):
        assert [getattr(layer, name).shape for layer in ours] == [getattr(layer, name).shape for layer in theirs]

    weights = [tensor for layer in ours for tensor in (layer.weight, layer.bias)]
    names = [name for name, _ in reference.named_parameters()]
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = functional_call(reference, dict(zip(names, weights, strict=True)), (x.clone(),))
        y = x
        for layer in list(model.layers.values())[:-1]:
            y = layer(y)
    assert y.shape == (2, 512, 1, 1)
    assert y.abs().max() > 0
    torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-6)


def test_c_is_d_with_pointwise_convolutions():
    model = VGG(norm=Standard, configuration="C", width=1 / 64)
    expected = [3, 3, 3, 3, 3, 3, 1, 3, 3, 1, 3, 3, 1]
    assert [layer.kernel_size for layer in linears(model)[:-1]] == [(size, size) for size in expected]
    assert [layer.padding for layer in linears(model)[:-1]] == [(size // 2, size // 2) for size in expected]
    d = VGG(norm=Standard, configuration="D", width=1 / 64)
    assert [layer.weight.shape[:2] for layer in linears(model)] == [layer.weight.shape[:2] for layer in linears(d)]
    assert model(torch.randn(2, 3, 32, 32)).shape == (2, 10)


def test_width_scales_channels_and_hidden_units():
    layers = linears(VGG(norm=Standard, width=0.125, head=(192,), num_classes=7, in_channels=1))
    assert layers[0].in_channels == 1
    assert [layer.out_channels for layer in layers[:13]] == [8, 8, 16, 16, 32, 32, 32, 64, 64, 64, 64, 64, 64]
    assert [(layer.in_features, layer.out_features) for layer in layers[13:]] == [(64, 24), (24, 7)]


def test_norm_follows_every_layer_but_the_last():
    model = VGG(norm=BatchNorm, width=0.125, head=(192, 96))
    assert [isinstance(layer.norm, BatchNorm) for layer in model.layers.values()] == [True] * 15 + [False]
    assert [len(layer.norm.weight) for layer in list(model.layers.values())[-4:-1]] == [64, 24, 12]
    assert model(torch.randn(2, 3, 32, 32)).shape == (2, 10)


def test_relu_then_pooling_ends_a_stage():
    layer = VGG(norm=Standard, configuration="A", width=1 / 64).layers["1"]
    with torch.no_grad():
        layer.linear.weight.zero_()[0, 0, 1, 1] = 1.0
        layer.linear.bias.zero_()
    x = torch.full((1, 3, 2, 2), -1.0)
    assert layer(x).flatten().tolist() == [0.0]
    x[0, 0] = torch.tensor([[-5.0, 1.0], [2.0, 3.0]])
    assert layer(x).flatten().tolist() == [3.0]


def test_memory_is_channels_last():
    model = VGG(norm=BatchNorm, width=0.125)
    assert all(layer.weight.is_contiguous(memory_format=torch.channels_last) for layer in linears(model)[:-1])
    layers = model.layers
    x = torch.randn(2, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    assert layers["2"](layers["1"](x)).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("configuration", ["F", "d", 16])
def test_unknown_configuration_is_named_with_what_is_known(configuration):
    with pytest.raises(UserError, match=f"'{configuration}'.*A, B, C, D, E"):
        VGG(norm=Standard, configuration=configuration)


@pytest.mark.parametrize("width", [0.1, 0.0, -1.0, 1 / 128, float("nan"), float("inf")])
def test_width_that_makes_no_whole_number_of_channels_is_named(width):
    with pytest.raises(UserError, match=f"width {width} "):
        VGG(norm=Standard, width=width)


def test_config_takes_its_width_from_the_scale():
    path = Path(__file__).parents[2] / "configs" / "model" / "vgg.yaml"
    config = OmegaConf.create({"scale": {"vgg": {"width": 0.25}}, "model": OmegaConf.load(path)})
    model = instantiate(config.model, norm=BatchNorm)
    assert [len(layer.linear.weight) for layer in model.layers.values()][::4] == [16, 64, 128, 128]
    torch.manual_seed(0)
    glorot_(model, seed=0)
    assert model(torch.randn(2, 3, 32, 32)).shape == (2, 10)
