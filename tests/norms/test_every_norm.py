"""What every norm in configs/norm keeps, found by its YAML, so that a new one is tested without an edit here."""

from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch.func import functional_call

CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "norm").glob("*.yaml"))
SHAPES = [(8, 3), (4, 3, 5, 2)]

pytestmark = pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)


def make(config, features=3):
    return instantiate(OmegaConf.load(config))(features)


def batch(shape):
    return 2.0 * torch.randn(shape, generator=torch.Generator().manual_seed(0)) + 1.0


def buffers(module):
    return {name: buffer.clone() for name, buffer in module.named_buffers()}


def equal(first, second):
    assert first.keys() == second.keys()
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("shape", SHAPES)
def test_keeps_the_shape_and_gives_finite_gradients(config, shape):
    norm = make(config)
    x = batch(shape)
    x[0, 0], x[1, 1] = 0.0, -x[1, 1]
    x.requires_grad_()
    y = norm(x)
    assert y.shape == x.shape
    assert y.dtype == x.dtype
    y.square().sum().backward()
    for gradient in (x.grad, *(parameter.grad for parameter in norm.parameters())):
        assert gradient.isfinite().all()
        assert gradient.abs().max() > 0


def test_starts_with_unit_scale_zero_shift(config):
    for name, parameter in make(config).named_parameters():
        assert torch.equal(parameter.detach(), {"weight": torch.ones(3), "bias": torch.zeros(3)}[name])


def test_height_and_width_are_part_of_the_batch(config):
    images, rows = make(config), make(config)
    x = batch((4, 3, 5, 2))
    torch.manual_seed(1)
    y = images(x)
    torch.manual_seed(1)
    expected = rows(x.movedim(1, -1).reshape(-1, 3)).reshape(4, 5, 2, 3).movedim(-1, 1)
    torch.testing.assert_close(y, expected)
    for name, buffer in images.named_buffers():
        torch.testing.assert_close(buffer, rows.get_buffer(name))


def test_features_do_not_mix(config):
    x = batch((8, 3))
    other = x.clone()
    other[:, 1] += 100.0 * torch.arange(8.0)
    torch.manual_seed(1)
    y = make(config)(x)
    torch.manual_seed(1)
    z = make(config)(other)
    assert torch.equal(y[:, [0, 2]], z[:, [0, 2]])
    assert not torch.equal(y[:, 1], z[:, 1])


@pytest.mark.parametrize("shape", SHAPES)
def test_evaluation_is_deterministic_and_leaves_buffers(config, shape):
    norm = make(config)
    norm(batch(shape))
    norm.eval()
    before = buffers(norm)
    x = batch(shape)
    y = norm(x)
    norm(x + 100.0)
    assert torch.equal(norm(x), y)
    assert equal(buffers(norm), before)
    torch.testing.assert_close(norm(x[:2]), y[:2])  # no sample's output depends on its batch mates


def test_training_moves_every_buffer(config):
    norm = make(config)
    before = buffers(norm)
    norm(batch((8, 3)))
    for name, buffer in norm.named_buffers():
        assert (buffer != before[name]).all()
        assert not buffer.requires_grad


def test_state_dict_round_trip(config):
    norm, other = make(config), make(config)
    x = batch((8, 3))
    with torch.no_grad():
        for parameter in norm.parameters():
            parameter.mul_(2.0).add_(torch.arange(3.0))
    norm(x)
    other.load_state_dict(norm.state_dict())
    assert torch.equal(other.eval()(x), norm.eval()(x))


@pytest.mark.parametrize("shape", SHAPES)
def test_functional_call_on_cloned_buffers_leaves_the_module(config, shape):
    norm, twin = make(config), make(config)
    x = batch(shape)
    before, clones = buffers(norm), buffers(norm)
    torch.manual_seed(1)
    y = functional_call(norm, {**dict(norm.named_parameters()), **clones}, (x,))
    assert equal(buffers(norm), before)
    torch.manual_seed(1)
    assert torch.equal(y, twin(x))
    assert equal(clones, buffers(twin))
