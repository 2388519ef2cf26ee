import pytest
import torch

from normscape.data import synthetic
from normscape.errors import UserError


def test_a_linear_classifier_learns_it_from_the_training_images_alone():
    data = synthetic()
    assert data.test is not None
    x = data.network_inputs(data.train.inputs).flatten(1)
    wanted = torch.nn.functional.one_hot(data.train.targets).float()
    weight = x.T @ torch.linalg.solve(x @ x.T + 100 * torch.eye(len(x)), wanted)  # ridge regression
    right = (data.network_inputs(data.test.inputs).flatten(1) @ weight).argmax(1) == data.test.targets
    assert right.float().mean() > 0.9
    shuffled = wanted[torch.randperm(len(x), generator=torch.Generator().manual_seed(0))]
    weight = x.T @ torch.linalg.solve(x @ x.T + 100 * torch.eye(len(x)), shuffled)
    right = (data.network_inputs(data.test.inputs).flatten(1) @ weight).argmax(1) == data.test.targets
    assert right.float().mean() < 0.4


def test_it_is_stored_like_cifar10():
    data = synthetic(classes=3, train_images=30, test_images=12, image_size=8)
    assert data.test is not None
    assert (data.train.inputs.shape, data.train.inputs.dtype) == ((30, 3, 8, 8), torch.uint8)
    assert (data.test.inputs.shape, data.test.targets.dtype) == ((12, 3, 8, 8), torch.int64)
    assert data.train.targets.bincount().tolist() == [10, 10, 10]
    inputs = data.network_inputs(data.train.inputs)
    assert torch.allclose(inputs.mean((0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(inputs.std((0, 2, 3), unbiased=False), torch.ones(3), atol=1e-5)


def test_it_is_a_function_of_the_seed():
    first, again, other = synthetic(3), synthetic(3), synthetic(4)
    assert torch.equal(first.train.inputs, again.train.inputs)
    assert first.checksum == again.checksum != other.checksum


@pytest.mark.parametrize(
    ("option", "value"),
    [("classes", 0), ("train_images", 0), ("test_images", -1), ("image_size", 0), ("noise", -1.0)],
)
def test_options_out_of_range_are_named(option, value):
    with pytest.raises(UserError, match=f"{option}={value}: "):
        synthetic(**{option: value})
