"""Properties of a normalisation that its source derives or argues: as functions of tensors, each a small experiment.

All compute in float64 from a generator of their own; none touches a network or a random stream of the suite.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from normscape.norms import BatchNorm, TorchBatchNorm
from normscape.seeds import kept_streams

Norm = Callable[[Tensor], Tensor]

UNITS = 200
"""How many units the estimate of a population's variance is averaged over."""


@dataclass(frozen=True)
class ScaleErrors:
    """By how much a normalisation misses the three identities of scale invariance, relative to the right side."""

    output: float
    input_gradient: float
    weight_gradient: float


def scale_errors(norm: Norm, weight: Tensor, u: Tensor, towards: Tensor, factor: float) -> ScaleErrors:
    """Compare a normalised layer with the one whose weights are ``factor`` a > 0 times as large.

    - BN((a W) u) = BN(W u),
    - d BN((a W) u) / du = d BN(W u) / du,
    - d BN((a W) u) / d(a W) = (1 / a) d BN(W u) / dW,

    the derivatives applied to a direction of the output. Source: Ioffe & Szegedy 2015, section 3.3. They hold up to
    eps, which is not multiplied by a.

    Parameters
    ----------
    norm
        The normalisation in training mode; a noisy one draws the same noise at both points.
    weight
        W, ``(units, inputs)``, a convolution of one position.
    u
        ``(N, inputs, height, width)``.
    towards
        The direction, of the output's shape ``(N, units, height, width)``.
    factor
        a.
    """
    right, left = (_with_gradients(norm, scale * weight, u, towards) for scale in (1.0, factor))
    expected = (right[0], right[1], right[2] / factor)
    return ScaleErrors(*(relative_error(one, other) for one, other in zip(left, expected, strict=True)))


def _with_gradients(norm: Norm, weight: Tensor, u: Tensor, towards: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    weight, u = weight.detach().requires_grad_(), u.detach().requires_grad_()
    with kept_streams(torch.device("cpu")):
        torch.manual_seed(0)  # noise, where there is any, is the same for both weights
        output = norm(torch.einsum("jd,ndhw->njhw", weight, u))
    by_input, by_weight = torch.autograd.grad(output, (u, weight), towards)
    return output.detach(), by_input, by_weight


def relative_error(found: Tensor, expected: Tensor) -> float:
    """Return ||found - expected|| / ||expected||."""
    return float(torch.linalg.vector_norm(found - expected) / torch.linalg.vector_norm(expected))


def centred_bias(target: Tensor, rate: float, steps: int, *, through_mean: bool) -> tuple[Tensor, Tensor]:
    """Train the bias b of x = u + b, centred over the batch, towards targets; return b and the loss at each step.

    The loss is the mean of (x - mean(x) - t)^2 / 2, which does not depend on b. A gradient that takes mean(x) for a
    constant is -mean(t) whatever b is, so that b moves by rate * mean(t) at every step, without bound and to no effect;
    the gradient through the mean is 0. Source: Ioffe & Szegedy 2015, section 2.

    Parameters
    ----------
    target
        t, ``(N,)``; u is 0, as it makes no difference.
    rate, steps
        Of gradient descent.
    through_mean
        Whether the gradient goes through mean(x).
    """
    b = torch.zeros((), dtype=torch.float64, requires_grad=True)
    biases, losses = [], []
    for _ in range(steps):
        x = b.expand(len(target))
        mean = x.mean() if through_mean else x.mean().detach()
        loss = (x - mean - target).square().mean() / 2
        (gradient,) = torch.autograd.grad(loss, b)
        biases.append(b.item())
        losses.append(loss.item())
        b = (b - rate * gradient).detach().requires_grad_()
    return torch.tensor(biases), torch.tensor(losses)


def population_variances(size: int, batches: int, generator: torch.Generator) -> tuple[float, float]:
    """Return what evaluation divides by after many batches of N(0, 1), and the mean of the batches' own variances.

    The first is the average of unbiased variances, about 1; the second is (m - 1) / m for batches of ``size`` m; each
    averaged over `UNITS`. Source: Ioffe & Szegedy 2015, section 3.1.
    """
    norm = TorchBatchNorm(UNITS, momentum=None).double()
    x = torch.randn(batches, size, UNITS, generator=generator, dtype=torch.float64)
    for each in x:
        norm(each)
    assert norm.running_var is not None
    return norm.running_var.mean().item(), x.var(1, correction=0).mean().item()


def spread_over_mates(size: int, draws: int, generator: torch.Generator, *, training: bool) -> float:
    """Return the standard deviation of one sample's normalised value over random mates in its batch of ``size``.

    The sample has the value 1, its mates are N(0, 1); each of the ``draws`` is a unit of its own. Source: Ioffe &
    Szegedy 2015, section 3.4: a sample's output depends on its mates, as by noise. In evaluation it does not.
    """
    norm: nn.Module = BatchNorm(draws).double().train(training)
    batch = torch.randn(size, draws, generator=generator, dtype=torch.float64)
    batch[0] = 1.0
    values = norm(batch).detach()[0]
    return float((values - values[0]).std())  # of equal values: exactly 0
