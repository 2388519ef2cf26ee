"""Torchvision's networks with another normalisation: what is replaced, what stays, and what is refused."""

from functools import partial
from pathlib import Path

import pytest
import torch
import torchvision
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import nn

from normscape.errors import UserError
from normscape.models import LayeredModel, torchvision_model
from normscape.norms import BatchNorm, GroupNorm, LpNorm, NoisyStandard, Standard, TorchBatchNorm

SMALL = {"mobilenet_v2": {"width_mult": 0.25}, "resnet18": {}, "shufflenet_v2_x0_5": {}}
NORMS = {
    "batch": BatchNorm,
    "group": GroupNorm,
    "l1": partial(LpNorm, p=1),
    "noisy_standard": NoisyStandard,
    "standard": Standard,
}

every_norm = pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
every_network = pytest.mark.parametrize("architecture", SMALL)


def make(norm, architecture="resnet18", seed=0, **options):
    torch.manual_seed(seed)
    return torchvision_model(norm, architecture, num_classes=7, **{**SMALL.get(architecture, {}), **options})


def original(architecture, seed=0):
    torch.manual_seed(seed)
    return torchvision.models.get_model(architecture, weights=None, num_classes=7, **SMALL.get(architecture, {}))


def places(model, kinds):
    return [name for name, module in model.named_modules() if isinstance(module, kinds)]


@every_norm
@pytest.mark.parametrize("architecture", [*SMALL, "vgg11_bn", "vgg16_bn", "densenet121", "efficientnet_b0"])
def test_norms_stand_where_torchvision_has_batch_norm(architecture, norm):
    with torch.device("meta"):
        model, reference = make(norm, architecture), original(architecture)
    expected = places(reference, nn.BatchNorm2d)
    assert len(expected) >= 8
    assert places(model, type(norm(3))) == expected
    assert places(model, nn.BatchNorm2d) == []
    for name in expected:
        features = reference.get_submodule(name).num_features
        assert all(parameter.shape == (features,) for parameter in model.get_submodule(name).parameters())
    assert not isinstance(model, LayeredModel)


@every_norm
@every_network
def test_it_trains_with_every_norm(architecture, norm):
    model = make(norm, architecture)
    outputs = model(torch.randn(4, 3, 32, 32))
    assert outputs.shape == (4, 7)
    outputs.square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@every_network
def test_with_batch_norm_it_is_torchvision_s_network(architecture):
    model, reference = make(TorchBatchNorm, architecture), original(architecture)
    assert list(model.state_dict()) == list(reference.state_dict())
    for name, tensor in reference.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor)
    x, outputs = torch.randn(4, 3, 32, 32), []
    for network in (model, reference):
        torch.manual_seed(1)  # for dropout
        outputs.append(network(x.clone()))
        outputs[-1].square().sum().backward()
    torch.testing.assert_close(*outputs, rtol=0, atol=0)
    for ours, theirs in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=0, atol=0)


def test_without_normalisation_nothing_rescales_a_signal():
    # its first convolution has no bias, so that what enters the first ReLU is linear in the image
    def first_norm(norm, x):
        model = make(norm)
        return model.bn1(model.conv1(x))

    x = torch.randn(4, 3, 32, 32)
    torch.testing.assert_close(first_norm(Standard, 128.0 * x), 128.0 * first_norm(Standard, x))
    torch.testing.assert_close(first_norm(BatchNorm, 128.0 * x), first_norm(BatchNorm, x), rtol=1e-3, atol=1e-3)


@every_network
def test_weights_are_a_function_of_the_seed_whatever_the_norm(architecture):
    standard, group, other = (
        make(Standard, architecture),
        make(GroupNorm, architecture),
        make(Standard, architecture, 1),
    )
    weights = dict(standard.named_parameters())
    assert weights
    for name, weight in weights.items():
        assert torch.equal(weight, group.get_parameter(name))
        if weight.dim() > 1:
            assert not torch.equal(weight, other.get_parameter(name))


def test_what_enters_a_nonlinearity_is_not_overwritten():
    model, kept = make(BatchNorm), []
    model.bn1.register_forward_hook(lambda module, inputs, output: kept.append(output))
    model(torch.randn(4, 3, 32, 32))
    assert kept[0].min() < 0
    assert not any(getattr(module, "inplace", False) for module in model.modules())


@pytest.mark.parametrize("architecture", ["googlenet", "inception_v3"])
def test_there_are_no_auxiliary_outputs(architecture):
    with torch.device("meta"):
        model = make(BatchNorm, architecture)
    assert model.training
    assert not model.aux_logits
    assert not [name for name, _ in model.named_modules() if "aux" in name.lower()]
    with torch.device("meta"):
        assert model(torch.randn(2, 3, 96, 96)).shape == (2, 7)


@pytest.mark.parametrize("architecture", ["resnet18", "vgg16_bn", "densenet121", "efficientnet_b0", "regnet_y_400mf"])
def test_it_can_be_built_without_memory(architecture):
    with torch.device("meta"):
        model = make(BatchNorm, architecture)
    assert {tensor.device.type for tensor in model.state_dict().values()} == {"meta"}


@pytest.mark.parametrize(
    ("architecture", "options", "line"),
    [
        ("resnet19", {}, "unknown architecture 'resnet19'; did you mean 'resnet18'?"),
        ("ResNet18", {}, "unknown architecture 'ResNet18'; did you mean 'resnet18'?"),
        (18, {}, "unknown architecture '18'; known here: alexnet, "),
        ("fasterrcnn_resnet50_fpn", {}, "unknown architecture 'fasterrcnn_resnet50_fpn'"),
        ("vgg11", {}, "vgg11 has no BatchNorm2d that norm= could replace; take vgg11_bn, or norm=standard"),
        (
            "squeezenet1_1",
            {},
            "squeezenet1_1 has no BatchNorm2d that norm= could replace; take e.g. resnet18, or norm=",
        ),
        ("resnet18", {"weights": "DEFAULT"}, "weights=DEFAULT: networks here start untrained; leave it out"),
        ("resnet18", {"norm_layer": nn.Identity}, "the normalisation is norm=; leave it out"),
        ("resnet18", {"zero_init_residual": True}, "zero_init_residual=True: it would set the scale of a BatchNorm2d"),
        ("googlenet", {"aux_logits": True}, "aux_logits=True: googlenet has one output here; leave it out"),
    ],
)
def test_what_is_refused(architecture, options, line):
    with pytest.raises(UserError) as caught, torch.device("meta"):
        torchvision_model(BatchNorm, architecture, **options)
    assert str(caught.value).startswith(line) or line in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_network_without_batch_norm_is_fine_without_normalisation():
    with torch.device("meta"):
        assert places(torchvision_model(Standard, "squeezenet1_1"), nn.BatchNorm2d) == []


def test_an_option_that_torchvision_does_not_know_is_named():
    with pytest.raises(TypeError, match="'widht'"):
        torchvision_model(BatchNorm, "resnet18", widht=1)


@pytest.mark.parametrize("name", ["resnet18", "vgg16_bn"])
def test_configs(name):
    config = OmegaConf.load(Path(__file__).parents[2] / "configs" / "model" / f"{name}.yaml")
    with torch.device("meta"):
        model = instantiate(config, norm=GroupNorm)
        assert model(torch.randn(2, 3, 32, 32)).shape == (2, 10)
    assert len(places(model, GroupNorm)) == {"resnet18": 20, "vgg16_bn": 13}[name]
