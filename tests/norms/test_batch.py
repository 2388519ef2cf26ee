"""BatchNorm against torch's own modules, and against mental arithmetic."""

import pytest
import torch
from torch import nn
from torch.func import functional_call

from normscape.norms import BatchNorm, NoisyBatchNorm

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


def channels_last(tensor):
    return tensor.contiguous(memory_format=torch.channels_last)


def training_step(norm, x, towards):
    x = x.detach().requires_grad_()
    y = norm(x)
    y.backward(towards)
    return {
        "output": y.detach(),
        "input gradient": x.grad,
        "weight gradient": norm.weight.grad,
        "bias gradient": norm.bias.grad,
        "running mean": norm.running_mean,
        "running var": norm.running_var,
    }


def relative_errors(shape, mean, accurate=False, layout=channels_last):
    """Largest difference to contiguous float64 over the largest value, per quantity."""
    random = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=random) + mean
    towards = torch.randn(shape, generator=random) + 0.1 * x
    weight = torch.rand(shape[1], generator=random) + 0.5

    def norm(accurate):
        module = BatchNorm(shape[1], accurate=accurate)
        module.load_state_dict({**module.state_dict(), "weight": weight})
        return module

    expected = training_step(norm(accurate=False).double(), x.double(), towards.double())
    found = training_step(norm(accurate), layout(x), layout(towards))
    return {name: float((found[name] - value).abs().max() / value.abs().max()) for name, value in expected.items()}


@pytest.fixture
def one_thread():
    """Each thread of torch's own kernel adds a part, so that more of them are more exact."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def tolerances(shape, mean):
    """Five times the error in contiguous memory, where half a unit in the last place of float32, 6e-8, comes to it."""
    contiguous = relative_errors(shape, mean, layout=torch.Tensor.contiguous)
    return {name: 5.0 * (error + 6e-8) for name, error in contiguous.items()}


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("mean", [0.0, 10.0])
@pytest.mark.parametrize("shape", [(128, 16, 32, 32), (80, 8, 32, 16), (128, 64, 2, 2)])
def test_accurate_is_as_exact_channels_last_as_contiguous(shape, mean):
    tolerance = tolerances(shape, mean)
    for name, error in relative_errors(shape, mean, accurate=True).items():
        assert error < tolerance[name], name


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("mean", [0.0, 10.0])
def test_plain_is_not_as_exact_channels_last(mean):
    tolerance = tolerances((128, 16, 32, 32), mean)
    for name, error in relative_errors((128, 16, 32, 32), mean).items():
        assert error > 3.0 * tolerance[name], name


def test_accurate_gradients_and_their_gradients_are_right():
    torch.manual_seed(0)
    norm = BatchNorm(3, accurate=True).double()
    x = channels_last(torch.randn(4, 3, 2, 3, dtype=torch.float64) + 2.0).requires_grad_()
    weight, bias = (torch.randn(3, dtype=torch.float64, requires_grad=True) for _ in range(2))

    def normalised(x, weight, bias):
        return functional_call(norm, {"weight": weight, "bias": bias}, (channels_last(x),))

    assert torch.autograd.gradcheck(normalised, (x, weight, bias))
    assert torch.autograd.gradgradcheck(normalised, (x, weight, bias))


def test_a_gradient_to_differentiate_is_the_same_gradient():
    norm = BatchNorm(3, accurate=True).double()
    x = channels_last(torch.randn(4, 3, 5, 2, dtype=torch.float64)).requires_grad_()
    loss = norm(x).pow(3).sum()
    leaves = (x, norm.weight, norm.bias)
    first = torch.autograd.grad(loss, leaves, retain_graph=True)
    torch.testing.assert_close(first, torch.autograd.grad(loss, leaves, create_graph=True), rtol=1e-12, atol=1e-12)


def test_what_follows_accurate_may_work_in_place():
    x = channels_last(torch.randn(6, 3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    gradients = []
    for inplace in (False, True):
        norm, inputs = BatchNorm(3, accurate=True).double(), x.clone().requires_grad_()
        nn.functional.relu(norm(inputs), inplace=inplace).square().sum().backward()
        gradients.append([inputs.grad, norm.weight.grad, norm.bias.grad])
    assert all(map(torch.equal, *gradients))


def test_accurate_moves_running_buffers_as_torch_does():
    ours, reference = BatchNorm(3, momentum=0.3, accurate=True), nn.BatchNorm2d(3, momentum=0.3)
    for count in (4, 1, 3):
        x = channels_last(torch.randn(count, 3, 5, 2) + 2.0)
        y = ours(x)
        assert y.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(y, reference(x))
    torch.testing.assert_close(ours.running_mean, reference.running_mean)
    torch.testing.assert_close(ours.running_var, reference.running_var)


def test_accurate_alters_nothing_in_evaluation_or_in_other_memory():
    x = torch.randn(4, 3, 5, 2)
    for example in (x, x[:, :, 0, 0].contiguous(), x[:, :, ::2], channels_last(x[:, :1])):
        ours, plain = (BatchNorm(example.shape[1], accurate=accurate) for accurate in (True, False))
        assert torch.equal(ours(example), plain(example))
        assert torch.equal(ours.running_var, plain.running_var)
        example = channels_last(example) if example.dim() == 4 else example
        assert torch.equal(ours.eval()(example), plain.eval()(example))


@pytest.mark.parametrize("accurate", [False, True])
def test_functional_call_on_cloned_buffers_leaves_the_module_channels_last(accurate):
    norm, twin = BatchNorm(3, accurate=accurate), BatchNorm(3, accurate=accurate)
    x = channels_last(torch.randn(4, 3, 5, 2))
    clones = {name: buffer.clone() for name, buffer in norm.named_buffers()}
    assert torch.equal(functional_call(norm, clones, (x,)), twin(x))
    for name, buffer in BatchNorm(3).named_buffers():
        assert torch.equal(norm.get_buffer(name), buffer)
        assert torch.equal(clones[name], twin.get_buffer(name))


def test_plain_channels_last_has_the_bits_of_torch():
    x = channels_last(torch.randn(4, 3, 5, 2))
    assert torch.equal(BatchNorm(3)(x), nn.BatchNorm2d(3)(x))


@pytest.mark.parametrize("accurate", [False, True])
def test_one_image_of_one_position_is_refused(accurate):
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        BatchNorm(3, accurate=accurate)(channels_last(torch.ones(1, 3, 1, 1)))


def test_noisy_batch_norm_takes_accurate():
    nothing = {"n_mu": 0.0, "n_sigma": 1.0, "r_mu": 0.0, "r_sigma": 0.0}
    x = channels_last(torch.randn(64, 3, 5, 2))
    y = NoisyBatchNorm(3, **nothing, accurate=True)(x)
    assert torch.equal(y, BatchNorm(3, accurate=True)(x))
    assert not torch.equal(y, BatchNorm(3)(x))
