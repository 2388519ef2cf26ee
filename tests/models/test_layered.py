"""What every network keeps with every norm in configs/norm: layer numbers, taps, composition, Glorot weights."""

from functools import partial
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from normscape.models import DLN, MLP, VGG, glorot_
from normscape.network import network_of
from normscape.norms import BatchNorm, Standard
from normscape.preactivations import recorded_preactivations

NORMS = {
    path.stem: instantiate(OmegaConf.load(path))
    for path in sorted((Path(__file__).parents[2] / "configs" / "norm").glob("*.yaml"))
}
MODELS = {
    "vgg": (partial(VGG, configuration="A", width=0.125, head=(96,)), (4, 3, 32, 32)),
    "mlp": (partial(MLP, 12, [9, 7], 5, activation="sigmoid"), (6, 3, 2, 2)),
    "dln": (partial(DLN, depth=5), (6, 10)),
}

every_model = pytest.mark.parametrize(("make", "shape"), MODELS.values(), ids=MODELS)
BEHIND = {name: norm for name, norm in NORMS.items() if name != "weight"}
"""Those that stand behind a layer, and leave its weight a parameter: for the other, tests/norms/test_weight.py."""
every_norm = pytest.mark.parametrize("norm", BEHIND.values(), ids=BEHIND)
NEEDS_IMAGES = {
    "instance": (partial(VGG, configuration="A", width=0.125), (4, 3, 32, 32))
}  # so the nets above are not for it
PAIRS = {
    f"{norm}-{name}": (*model, NORMS[norm])
    for norm in NORMS
    for name, model in ({"vgg": NEEDS_IMAGES[norm]} if norm in NEEDS_IMAGES else MODELS).items()
}


def weights(model):
    return {name: tensor for name, tensor in model.named_parameters() if ".linear." in name}


@every_model
@every_norm
def test_numbers_and_weights_are_those_of_the_standard_net(make, shape, norm):
    model, standard = make(norm=norm), make(norm=Standard)
    glorot_(model, seed=3)
    glorot_(standard, seed=3)
    assert list(model.layers) == [str(number) for number in range(1, len(model.layers) + 1)]
    assert list(weights(model)) == list(weights(standard)) == list(dict(standard.named_parameters()))
    for name, tensor in weights(model).items():
        assert torch.equal(tensor, weights(standard)[name])
    others = {name.rpartition(".")[0] for name, _ in model.named_parameters()} - {
        name.rpartition(".")[0] for name in weights(model)
    }
    assert all(name.split(".")[2] == "norm" for name in others)


@pytest.mark.parametrize(("make", "shape", "norm"), PAIRS.values(), ids=PAIRS)
def test_forward_is_the_composition_of_its_layers_and_preactivations_enter_the_nonlinearity(make, shape, norm):
    torch.manual_seed(0)
    model, twin, x = make(norm=norm), make(norm=norm), torch.randn(shape)
    twin.load_state_dict(model.state_dict())
    layers = network_of(model, None, numbered=True).layers
    torch.manual_seed(1)
    with recorded_preactivations(model, layers) as recorded:
        output = model(x)
    taps = {layer.number: recorded[layer] for layer in layers}
    torch.manual_seed(1)
    for number, layer in twin.layers.items():
        z = layer.norm(layer.linear(layer.before(x)))
        assert torch.equal(taps[int(number)], z)
        assert z.min() < 0  # before the nonlinearity, which did not write into it
        x = layer.after(z)
    assert torch.equal(output, x)
    assert torch.equal(output, taps[len(taps)])


@every_model
def test_a_preactivation_is_the_normalised_value(make, shape):
    torch.manual_seed(0)
    model = make(norm=BatchNorm)
    layer = network_of(model, None, numbered=True).layers[1]
    with recorded_preactivations(model, [layer]) as recorded:
        model(torch.randn(shape))
    per_unit = recorded[layer].movedim(1, -1).flatten(0, -2)
    torch.testing.assert_close(per_unit.mean(0), torch.zeros(per_unit.shape[1]), rtol=0, atol=1e-4)
    torch.testing.assert_close(per_unit.std(0, correction=0), torch.ones(per_unit.shape[1]), rtol=0, atol=0.05)


def fans(weight):
    """Return fan_in and fan_out of ``(out, in)`` or ``(out, in, kh, kw)``."""
    window = weight[0, 0].numel()
    return weight.shape[1] * window, weight.shape[0] * window


GAINS = {"gain": 1.5, "hidden_gain": 0.5, "output_gain": 0.7}


@pytest.mark.parametrize(
    ("model", "gains"),
    [
        (VGG(norm=Standard, width=0.25), [1.0] * 14),
        (VGG(norm=Standard, width=0.25, head=(512, 512), **GAINS), [1.5] * 13 + [0.5] * 2 + [0.7]),
        (MLP(600, [100], 50, norm=Standard), [1.0] * 2),
    ],
)
def test_glorot_has_its_variance_and_support(model, gains):
    glorot_(model, seed=0)
    for layer, gain in zip(model.layers.values(), gains, strict=True):
        weight = layer.linear.weight.detach()
        variance = 2.0 * gain**2 / sum(fans(weight))
        # a uniform's fourth moment gives its sample variance a relative standard error of sqrt(0.8 / n)
        assert float(weight.square().mean()) == pytest.approx(variance, rel=5 * (0.8 / weight.numel()) ** 0.5)
        assert weight.abs().max() <= (3.0 * variance) ** 0.5 * (1 + 1e-6)
        assert not layer.linear.bias.any()


@every_model
def test_glorot_is_a_function_of_seed_and_layer(make, shape):
    first, second, other = make(norm=Standard), make(norm=Standard), make(norm=Standard)
    stream = torch.get_rng_state()
    glorot_(first, seed=0)
    glorot_(second, seed=0)
    glorot_(other, seed=1)
    assert torch.equal(torch.get_rng_state(), stream)
    for number, layer in first.layers.items():
        assert torch.equal(layer.linear.weight, second.layers[number].linear.weight)
        assert not torch.equal(layer.linear.weight, other.layers[number].linear.weight)
    flat = [layer.linear.weight.flatten()[:10] / layer.linear.weight.abs().max() for layer in first.layers.values()]
    assert not any(torch.allclose(a, b, rtol=0.05) for i, a in enumerate(flat) for b in flat[:i])
