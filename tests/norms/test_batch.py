"""BatchNorm against torch's own modules, and against mental arithmetic."""

import pytest
import torch
from torch import nn

from normscape.norms import BatchNorm

CASES = [((16, 3), nn.BatchNorm1d), ((4, 3, 5, 2), nn.BatchNorm2d)]


@pytest.mark.parametrize(("shape", "reference_class"), CASES)
def test_equals_torch_in_training_and_evaluation(shape, reference_class):
    torch.manual_seed(0)
    ours, reference = BatchNorm(3, eps=1e-3, momentum=0.3), reference_class(3, eps=1e-3, momentum=0.3)
    with torch.no_grad():
        for module in (ours, reference):
            module.weight.copy_(torch.tensor([0.5, -2.0, 3.0]))
            module.bias.copy_(torch.tensor([1.0, 0.0, -1.0]))
    for _ in range(3):
        x = 2.0 * torch.randn(shape) + 5.0
        towards = torch.randn(shape)
        x_ours, x_reference = x.clone().requires_grad_(), x.clone().requires_grad_()
        y, expected = ours(x_ours), reference(x_reference)
        torch.testing.assert_close(y, expected, rtol=0, atol=0)
        y.backward(towards)
        expected.backward(towards)
        torch.testing.assert_close(x_ours.grad, x_reference.grad, rtol=0, atol=0)
    torch.testing.assert_close(ours.weight.grad, reference.weight.grad, rtol=0, atol=0)
    torch.testing.assert_close(ours.bias.grad, reference.bias.grad, rtol=0, atol=0)
    torch.testing.assert_close(ours.running_mean, reference.running_mean, rtol=0, atol=0)
    torch.testing.assert_close(ours.running_var, reference.running_var, rtol=0, atol=0)
    torch.testing.assert_close(ours.eval()(x), reference.eval()(x), rtol=0, atol=0)


def test_twos_and_threes():
    norm = BatchNorm(2, eps=1e-12)
    y = norm(torch.tensor([[2.0, 3.0], [3.0, 2.0]]))
    torch.testing.assert_close(y, torch.tensor([[-1.0, 1.0], [1.0, -1.0]]))
    torch.testing.assert_close(norm.running_mean, torch.tensor([0.25, 0.25]))
    torch.testing.assert_close(norm.running_var, torch.tensor([0.95, 0.95]))  # 0.9 * 1 + 0.1 * (unbiased) 0.5


def test_counts_no_batches():
    assert set(BatchNorm(3).state_dict()) == {"weight", "bias", "running_mean", "running_var"}


def test_one_value_per_feature_is_refused_in_training_only():
    norm = BatchNorm(3)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        norm(torch.ones(1, 3))
    assert norm.eval()(torch.ones(1, 3)).isfinite().all()
