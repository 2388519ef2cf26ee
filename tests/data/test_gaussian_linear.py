import pytest
import torch

from normscape.data import gaussian_linear
from normscape.errors import UserError


def test_targets_are_a_full_linear_map_of_gaussian_inputs():
    data = gaussian_linear(0)
    x, y = data.train.inputs, data.train.targets
    assert x.shape == y.shape == (1000, 10)
    assert x.dtype == y.dtype == torch.float32
    assert data.test is None
    A = torch.linalg.lstsq(x.double(), y.double()).solution.T
    assert (y.double() - x.double() @ A.T).abs().max() < 1e-6
    assert torch.linalg.matrix_rank(y.double()) == torch.linalg.matrix_rank(A) == 10
    assert abs(A.std() - 1) < 0.25
    assert abs(x.mean()) < 0.05
    assert abs(x.std() - 1) < 0.05
    assert torch.equal(data.network_inputs(x), x)


def test_it_is_a_function_of_the_seed():
    first, again, other = gaussian_linear(0), gaussian_linear(0), gaussian_linear(1)
    assert torch.equal(first.train.inputs, again.train.inputs)
    assert torch.equal(first.train.targets, again.train.targets)
    assert first.checksum == again.checksum != other.checksum


def test_target_std_scales_the_targets_only():
    one, three = gaussian_linear(0), gaussian_linear(0, target_std=3.0)
    assert torch.equal(one.train.inputs, three.train.inputs)
    assert torch.allclose(3 * one.train.targets, three.train.targets, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("option", ["samples", "features", "target_std"])
def test_options_must_be_positive(option):
    with pytest.raises(UserError, match=f"{option}=0: "):
        gaussian_linear(0, **{option: 0})
