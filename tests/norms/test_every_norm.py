"""What every norm in configs/norm keeps, found by its YAML, so that a new one is tested without an edit here.

Subclasses of torch's per-sample norms are held to what these keep and all others to what batch norms keep; a per-sample
norm of another class has to be told apart in ``is_per_sample``, one that mixes features in ``mixes_features``.
"""

from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import nn
from torch.func import functional_call

from normscape.norms import Whitening

CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "norm").glob("*.yaml"))
ROWS, IMAGES = (8, 3), (4, 3, 5, 2)


def make(config, features=3):
    return instantiate(OmegaConf.load(config))(features)


def is_per_sample(config):
    return isinstance(make(config), nn.GroupNorm | nn.InstanceNorm2d)


def takes_rows(config):
    return not isinstance(make(config), nn.InstanceNorm2d)


def mixes_features(config):
    return isinstance(make(config), Whitening)


def of(configs):
    return pytest.mark.parametrize("config", configs, ids=lambda path: path.stem)


every_norm = of(CONFIGS)
per_sample = of([path for path in CONFIGS if is_per_sample(path)])
over_the_batch = of([path for path in CONFIGS if not is_per_sample(path)])
one_by_one = of([path for path in CONFIGS if not is_per_sample(path) and not mixes_features(path)])
SHAPES = [(path, shape) for path in CONFIGS for shape in (ROWS, IMAGES) if shape == IMAGES or takes_rows(path)]
every_shape = pytest.mark.parametrize(
    ("config", "shape"), SHAPES, ids=[f"{path.stem}-{len(shape)}d" for path, shape in SHAPES]
)


def batch(shape):
    return 2.0 * torch.randn(shape, generator=torch.Generator().manual_seed(0)) + 1.0


def buffers(module):
    return {name: buffer.clone() for name, buffer in module.named_buffers()}


def equal(first, second):
    assert first.keys() == second.keys()
    return all(torch.equal(first[name], second[name]) for name in first)


def noise_alike(norm, x):
    """Apply the norm with the noise that any other call of this function gets."""
    torch.manual_seed(1)
    return norm(x)


def with_other_mates(x):
    """Return a batch whose first sample is that of ``x``, all others not."""
    return torch.cat([x[:1], 3.0 * x[1:] - 5.0])


@every_shape
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


@every_norm
def test_starts_with_unit_scale_zero_shift(config):
    for name, parameter in make(config).named_parameters():
        assert torch.equal(parameter.detach(), {"weight": torch.ones(3), "bias": torch.zeros(3)}[name])


@over_the_batch
def test_height_and_width_are_part_of_the_batch(config):
    images, rows = make(config), make(config)
    x = batch(IMAGES)
    y = noise_alike(images, x)
    expected = noise_alike(rows, x.movedim(1, -1).reshape(-1, 3)).reshape(4, 5, 2, 3).movedim(-1, 1)
    torch.testing.assert_close(y, expected)
    for name, buffer in images.named_buffers():
        torch.testing.assert_close(buffer, rows.get_buffer(name))


@one_by_one
def test_features_do_not_mix(config):
    x = batch(ROWS)
    other = x.clone()
    other[:, 1] += 100.0 * torch.arange(8.0)
    y, z = noise_alike(make(config), x), noise_alike(make(config), other)
    assert torch.equal(y[:, [0, 2]], z[:, [0, 2]])
    assert not torch.equal(y[:, 1], z[:, 1])


@over_the_batch
def test_batch_mates_matter_in_training_where_there_are_running_statistics(config):
    norm, x = make(config), batch(ROWS)
    alike = torch.equal(noise_alike(norm, x)[0], noise_alike(norm, with_other_mates(x))[0])
    assert alike == (not buffers(norm))


@per_sample
def test_batch_mates_do_not_matter_even_in_training(config):
    norm, x = make(config), batch(IMAGES)
    y = norm(x)
    torch.testing.assert_close(norm(with_other_mates(x))[0], y[0], rtol=0, atol=0)
    torch.testing.assert_close(norm(x[:1]), y[:1])
    assert (norm(x.flip(0)) - y).abs().max() > 0.1


@per_sample
def test_training_and_evaluation_are_the_same_without_buffers(config):
    norm, x = make(config), batch(IMAGES)
    assert not buffers(norm)
    assert torch.equal(norm(x), norm.eval()(x))


@per_sample
def test_a_sample_s_own_size_and_offset_do_not_matter(config):
    norm, x = make(config), batch(IMAGES)
    sizes, offsets = torch.tensor([1.0, 2.0, 5.0, 10.0]), torch.tensor([0.0, 3.0, -7.0, 2.0])
    moved = sizes.view(-1, 1, 1, 1) * x + offsets.view(-1, 1, 1, 1)
    torch.testing.assert_close(norm(moved), norm(x), rtol=1e-4, atol=1e-4)
    assert (norm(x + torch.arange(2.0)) - norm(x)).abs().max() > 0.1  # but what differs within a channel does


@every_shape
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


@over_the_batch
def test_training_moves_every_buffer(config):
    norm = make(config)
    before = buffers(norm)
    norm(batch(ROWS))
    for name, buffer in norm.named_buffers():
        assert (buffer != before[name]).all()
        assert not buffer.requires_grad


@every_norm
def test_state_dict_round_trip(config):
    norm, other = make(config), make(config)
    x = batch(IMAGES)
    with torch.no_grad():
        for parameter in norm.parameters():
            parameter.mul_(2.0).add_(torch.arange(3.0))
    norm(x)
    other.load_state_dict(norm.state_dict())
    assert torch.equal(other.eval()(x), norm.eval()(x))


@every_shape
def test_functional_call_on_cloned_buffers_leaves_the_module(config, shape):
    norm, twin = make(config), make(config)
    x = batch(shape)
    before, clones = buffers(norm), buffers(norm)
    torch.manual_seed(1)
    y = functional_call(norm, {**dict(norm.named_parameters()), **clones}, (x,))
    assert equal(buffers(norm), before)
    assert torch.equal(y, noise_alike(twin, x))
    assert equal(clones, buffers(twin))
