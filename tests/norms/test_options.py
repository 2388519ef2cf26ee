"""What each normalisation refuses at construction, in one line that names the option and its value."""

import math

import pytest
import torch

from normscape.errors import UserError
from normscape.norms import (
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LpNorm,
    NoisyBatchNorm,
    NoisyStandard,
    Standard,
    TorchBatchNorm,
    Whitening,
)

NO_NUMBERS = ["abc", True, None, math.nan, math.inf, [0.1]]
TYPES = {
    "batch": BatchNorm,
    "lp": lambda num_features, **options: LpNorm(num_features, 3, **options),
    "noisy_batch": NoisyBatchNorm,
    "noisy_standard": NoisyStandard,
    "standard": Standard,
    "group": GroupNorm,
    "layer": LayerNorm,
    "instance": InstanceNorm,
    "torch_batch": TorchBatchNorm,
    "whitening": Whitening,
}


def refusal(make, *arguments, **options):
    with pytest.raises(UserError) as caught:
        make(*arguments, **options)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def shown(value):
    return "null" if value is None else repr(value)


@pytest.mark.parametrize("make", TYPES.values(), ids=TYPES)
@pytest.mark.parametrize("num_features", [0, -3, 2.0, "3", True, None])
def test_number_of_features(make, num_features):
    assert refusal(make, num_features) == f"num_features={shown(num_features)}: expected a whole number of at least 1"


@pytest.mark.parametrize("eps", [*NO_NUMBERS, 0.0, -1e-5])
@pytest.mark.parametrize("name", ["batch", "noisy_batch", "group", "layer", "instance", "torch_batch", "whitening"])
def test_eps(name, eps):
    assert refusal(TYPES[name], 3, eps=eps) == f"eps={shown(eps)}: expected a number above 0, e.g. 1e-5"


@pytest.mark.parametrize("eps", [*NO_NUMBERS, -1e-5])
def test_eps_of_an_lp_norm_may_be_zero(eps):
    assert refusal(LpNorm, 3, 2, eps=eps) == f"eps={shown(eps)}: expected a number of at least 0, e.g. 1e-5"
    assert LpNorm(3, 2, eps=0).eps == 0.0


@pytest.mark.parametrize("momentum", [*NO_NUMBERS, -0.1, 1.5])
@pytest.mark.parametrize("name", ["batch", "lp", "noisy_batch", "whitening"])
def test_momentum(name, momentum):
    message = refusal(TYPES[name], 3, momentum=momentum)
    assert message.startswith(f"momentum={shown(momentum)}: expected a number from 0 to 1")
    assert ("norm=torch_batch takes null" in message) == (momentum is None)


@pytest.mark.parametrize("momentum", [-0.1, 1.5, "abc", True, math.nan])
def test_momentum_of_torch_s_batch_norm_may_also_be_null(momentum):
    message = refusal(TorchBatchNorm, 3, momentum=momentum)
    assert message.startswith(f"momentum={momentum!r}: expected a number from 0 to 1")
    assert TorchBatchNorm(3, momentum=None).momentum is None


@pytest.mark.parametrize("momentum", [0, 0.0, 1, 1.0])
@pytest.mark.parametrize("name", ["batch", "lp", "noisy_batch"])
def test_momentum_may_be_its_bounds(name, momentum):
    norm = TYPES[name](3, momentum=momentum)
    norm(torch.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))
    assert norm.running_mean.tolist() == [2.0 * momentum] * 3


@pytest.mark.parametrize("name", ["noisy_batch", "noisy_standard"])
@pytest.mark.parametrize(("option", "least"), [("n_mu", 0), ("n_sigma", 1), ("r_mu", 0), ("r_sigma", 0)])
def test_sizes_of_the_noise(option, least, name):
    for value in [*NO_NUMBERS, least - 0.01]:
        message = refusal(TYPES[name], 3, **{option: value})
        assert message == f"{option}={shown(value)}: expected a number of at least {least}"
    TYPES[name](3, **{option: least})
