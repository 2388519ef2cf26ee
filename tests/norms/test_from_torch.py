"""Torch's normalisations against loops over plain numbers, against torch's own modules, and what they refuse."""

import math
import re

import pytest
import torch
from torch import nn

from normscape.errors import UserError
from normscape.norms import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, TorchBatchNorm

SHAPES = [(4, 6), (3, 6, 2, 5)]
PER_SAMPLE = {
    "two groups": (lambda: GroupNorm(6, 2, eps=0.01), 2, SHAPES),
    "three groups": (lambda: GroupNorm(6, 3, eps=0.01), 3, SHAPES),
    "layer": (lambda: LayerNorm(6, eps=0.01), 1, SHAPES),
    "instance": (lambda: InstanceNorm(6, eps=0.01), 6, SHAPES[1:]),
}
CASES = [(make, groups, shape) for make, groups, shapes in PER_SAMPLE.values() for shape in shapes]
IDS = [f"{name} {len(shape)}d" for name, (_, _, shapes) in PER_SAMPLE.items() for shape in shapes]


def by_loops(x, groups, weight, bias, eps):
    """Normalise each group of each sample with plain numbers."""
    size = x.shape[1] // groups
    y = torch.empty_like(x)
    for sample, result in zip(x, y, strict=True):
        for start in range(0, x.shape[1], size):
            values = sample[start : start + size].flatten().tolist()
            mean = sum(values) / len(values)
            variance = sum((value - mean) ** 2 for value in values) / len(values)
            for channel in range(start, start + size):
                normalised = (sample[channel] - mean) / math.sqrt(variance + eps)
                result[channel] = weight[channel] * normalised + bias[channel]
    return y


def set_affine(norm):
    norm.double()
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([0.5, -2.0, 3.0, 1.0, 0.1, -1.0]))
        norm.bias.copy_(torch.tensor([1.0, 0.0, -1.0, 2.0, 0.0, -3.0]))
    return norm


def batch(shape):
    torch.manual_seed(0)
    offsets = torch.arange(6.0).view(-1, *[1] * (len(shape) - 2))  # so that it shows which features are together
    return torch.randn(shape, dtype=torch.float64) + offsets


@pytest.mark.parametrize(("make", "groups", "shape"), CASES, ids=IDS)
def test_per_sample_norms_equal_loops_in_training_and_evaluation(make, groups, shape):
    norm, x = set_affine(make()), batch(shape)
    expected = by_loops(x, groups, norm.weight.tolist(), norm.bias.tolist(), 0.01)
    torch.testing.assert_close(norm(x), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(norm.eval()(x), expected, rtol=1e-12, atol=1e-12)
    for other in {1, 2, 3} - {groups}:
        assert (norm(x) - by_loops(x, other, norm.weight.tolist(), norm.bias.tolist(), 0.01)).abs().max() > 0.1


@pytest.mark.parametrize(("make", "groups", "shape"), CASES, ids=IDS)
def test_gradients_of_per_sample_norms_equal_finite_differences(make, groups, shape):
    assert torch.autograd.gradcheck(set_affine(make()), (batch(shape).requires_grad_(),))


def test_twos_and_threes():
    x = torch.tensor([[2.0, 3.0, 20.0, 30.0]])  # means 2.5 and 25, deviations 0.5 and 5
    torch.testing.assert_close(GroupNorm(4, 2, eps=1e-12)(x), torch.tensor([[-1.0, 1.0, -1.0, 1.0]]))
    images = x.view(1, 2, 2, 1)
    torch.testing.assert_close(InstanceNorm(2, eps=1e-12)(images).flatten(), torch.tensor([-1.0, 1.0, -1.0, 1.0]))
    expected = (x - 13.75) / (0.25 * (11.75**2 + 10.75**2 + 6.25**2 + 16.25**2)) ** 0.5
    torch.testing.assert_close(LayerNorm(4, eps=1e-12)(x), expected)


def test_layer_norm_is_torch_s_on_rows_but_has_its_scale_per_channel_on_images():
    rows, images = batch((4, 6)), batch((3, 6, 2, 5))
    norm, reference = set_affine(LayerNorm(6)), set_affine(nn.LayerNorm(6))
    torch.testing.assert_close(norm(rows), reference(rows), rtol=1e-12, atol=1e-12)
    assert norm.weight.shape == norm.bias.shape == (6,)
    plain = LayerNorm(6).double()
    torch.testing.assert_close(plain(images), nn.LayerNorm((6, 2, 5)).double()(images), rtol=1e-12, atol=1e-12)
    over_channels = nn.LayerNorm(6).double()(images.movedim(1, -1)).movedim(-1, 1)  # each position on its own
    assert (plain(images) - over_channels).abs().max() > 0.1


@pytest.mark.parametrize(
    ("features", "groups"),
    [(512, 32), (256, 32), (128, 32), (64, 16), (100, 25), (16, 4), (10, 2), (8, 2), (7, 1), (4, 1), (2, 1), (1, 1)],
)
def test_number_of_groups_that_suits_a_layer(features, groups):
    assert GroupNorm(features).num_groups == groups


def test_every_number_of_features_has_groups_that_divide_it():
    for features in range(1, 300):
        groups = GroupNorm(features).num_groups
        assert features % groups == 0
        assert groups == 1 or (groups <= 32 and features // groups >= 4)


@pytest.mark.parametrize("num_groups", [32, 3, 200])
def test_groups_that_do_not_divide_are_named_with_those_that_do(num_groups):
    with pytest.raises(UserError) as caught:
        GroupNorm(100, num_groups)
    assert str(caught.value) == (
        f"num_groups={num_groups}: expected a divisor of the 100 features of a layer "
        "(1, 2, 4, 5, 10, 20, 25, 50, 100); null takes the one that suits each layer, here 25"
    )


@pytest.mark.parametrize("num_groups", [0, -1, 2.0, "2", True])
def test_number_of_groups_is_a_whole_number(num_groups):
    with pytest.raises(UserError) as caught:
        GroupNorm(4, num_groups)
    assert str(caught.value) == f"num_groups={num_groups!r}: expected a whole number of at least 1, or null"


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("norm", "shape"),
    [
        (InstanceNorm(6), (4, 6)),
        (InstanceNorm(6), (4, 6, 1, 1)),
        (InstanceNorm(6), (6, 2, 5)),
        (GroupNorm(6, 6), (4, 6)),
        (GroupNorm(6, 6), (4, 6, 1, 1)),
        (LayerNorm(1), (4, 1)),
    ],
    ids=str,
)
def test_a_single_value_is_refused(norm, shape, training):
    with pytest.raises(UserError, match=f"{type(norm).__name__} of {re.escape(str(shape))}: expected .*more than 1"):
        norm.train(training)(torch.ones(shape))


@pytest.mark.parametrize("momentum", [0.1, 0.3, None])
@pytest.mark.parametrize(("shape", "reference"), [(SHAPES[0], nn.BatchNorm1d), (SHAPES[1], nn.BatchNorm2d)])
def test_torch_s_batch_norm_is_torch_s(shape, reference, momentum):
    norm, reference = set_affine(TorchBatchNorm(6, momentum=momentum)), set_affine(reference(6, momentum=momentum))
    for number in range(3):
        x = batch(shape) * (number + 1)
        assert torch.equal(norm(x), reference(x))
    assert list(norm.state_dict()) == list(reference.state_dict())
    for name, tensor in reference.state_dict().items():
        assert torch.equal(norm.state_dict()[name], tensor)
    assert (norm.num_batches_tracked.dtype, norm.num_batches_tracked.item()) == (torch.int64, 3)
    assert torch.equal(norm.eval()(x), reference.eval()(x))


def test_torch_s_batch_norm_is_ours_but_for_its_counter():
    norm, ours, x = TorchBatchNorm(6), BatchNorm(6), batch((3, 6, 2, 5)).float()
    assert torch.equal(norm(x), ours(x))
    assert set(norm.state_dict()) - set(ours.state_dict()) == {"num_batches_tracked"}
    assert all(torch.equal(norm.state_dict()[name], tensor) for name, tensor in ours.state_dict().items())


def test_without_momentum_the_buffers_are_the_average_of_all_batches():
    norm = TorchBatchNorm(1, momentum=None)
    for values in ([2.0, 4.0], [1.0, 1.0], [5.0, 9.0]):  # means 3, 1 and 7; unbiased variances 2, 0 and 8
        norm(torch.tensor(values).view(2, 1))
    assert norm.running_mean.item() == pytest.approx(11 / 3, rel=1e-6)
    assert norm.running_var.item() == pytest.approx(10 / 3, rel=1e-6)
    assert TorchBatchNorm(1).momentum == 0.1  # an average in which the newest counts, unless it is asked for


def test_torch_s_batch_norm_refuses_what_torch_s_refuses():
    with pytest.raises(ValueError, match=r"expected \(N, F\) or \(N, C, H, W\), not \(6, 2, 5\)"):
        TorchBatchNorm(6)(torch.ones(6, 2, 5))
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        TorchBatchNorm(6)(torch.ones(1, 6))
