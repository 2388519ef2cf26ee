"""Batch normalisation whose sums over a batch are exact to float32's last digits in channels-last memory too.

There ``torch.nn.functional.batch_norm`` on a CPU adds the N * H * W values of a channel one after the other in float32
(in contiguous memory it adds in float64), so that its statistics are off by some 1e-5 of a standard deviation. It
takes the variance in two passes: nothing cancels, and shifting the values would not help. Read as an ``(N, H * W * C)``
matrix, memory that need not move, the same kernel adds N values only, per position; the results at the positions are
combined afterwards.
"""

from typing import Any

import torch
from torch import Tensor

from normscape.norms.half import HALF


def is_channels_last_on_cpu(x: Tensor) -> bool:
    """Whether ``x`` is of the kind whose sums torch's own kernel rounds: images on a CPU, channels last in memory.

    In half precision the values themselves are rounded more.
    """
    last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last) and x.dtype not in HALF
    return last and not x.is_contiguous() and x.device.type == "cpu"


def batch_moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and the biased variance of each channel of ``(N, C, H, W)``, both ``(C,)``, without gradient.

    The variance is the mean of the variances at the positions plus the variance of the means there. Source: Chan, Golub
    & LeVeque 1983, here for groups of equal size.
    """
    with torch.no_grad():
        at_positions = torch.batch_norm_update_stats(_matrix(x), None, None, 0.0)
        means, variances = (moments.view(-1, x.shape[1]) for moments in at_positions)
        mean = means.mean(0)
        return mean, variances.add_((means - mean).square_()).mean(0)


def batch_normalise(x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, eps: float) -> Tensor:
    """Return ``weight * (x - mean) / sqrt(var + eps) + bias`` with the gradient of batch normalisation.

    Gradients of gradients are supported: with ``create_graph=True`` the gradient is made of plain operations, so it may
    differ in its last digits from the gradient without. Forward-mode differentiation and ``torch.func.grad`` are not.

    Parameters
    ----------
    x
        ``(N, C, H, W)``; fastest in channels-last memory, which the output has too.
    weight, bias
        ``(C,)``.
    mean, var
        `batch_moments` of ``x``: the gradient goes through them to ``x``.
    eps
        Added to the variance.
    """
    # not a view made by the function: what follows may work in place
    return _images(_BatchNormalise.apply(x, weight, bias, mean, var, eps), x)


class _BatchNormalise(torch.autograd.Function):
    """The output and the gradient towards it are matrices, as of `_matrix`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, eps: float) -> Tensor:
        means, variances, weights, biases = _at_every_position(x, mean, var, weight, bias)
        ctx.save_for_backward(x, weight, mean, var, means, variances)
        ctx.eps = eps
        return torch.nn.functional.batch_norm(_matrix(x), means, variances, weights, biases, eps=eps)

    @staticmethod
    def backward(ctx: Any, towards: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, *moments = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradient is to be differentiated, and the moments are functions of x
            return *_plain_gradient(x, weight, _images(towards, x), ctx.eps), None, None, None
        return *_gradient(x, weight, moments, towards, ctx.eps), None, None, None


def _gradient(
    x: Tensor, weight: Tensor, moments: list[Tensor], towards: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return what `_plain_gradient` does, with the sums of torch's kernel at each position, and without its copies."""
    mean, var, *moments_at_positions = moments
    matrix = _matrix(x)
    _, *sums = torch.ops.aten.native_batch_norm_backward(
        towards, matrix, None, *moments_at_positions, None, None, False, eps, [False, True, True]
    )
    weight_gradient, bias_gradient = (at_positions.view(-1, len(mean)).sum(0) for at_positions in sums)
    inverse = (var + eps).rsqrt_()
    scale = weight * inverse
    share = scale * (-len(mean) / x.numel())
    slope = inverse.mul_(share).mul_(weight_gradient)
    shift = share.mul_(bias_gradient).addcmul_(slope, mean, value=-1.0)
    scale, slope, shift = _at_every_position(x, scale, slope, shift)
    gradient = torch.addcmul(shift, matrix, slope).addcmul_(towards, scale)
    return _images(gradient, x), weight_gradient, bias_gradient


def _plain_gradient(x: Tensor, weight: Tensor, towards: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients with respect to ``x``, ``weight`` and ``bias``, by operations that have derivatives.

    With y the normalised x and g the gradient with respect to the output (``towards``), per channel:
    weight / sqrt(var + eps) * (g - mean(g) - y * mean(g * y)), sum(g * y) and sum(g). Source: Ioffe & Szegedy 2015,
    section 3, with its chain rule collected.
    """
    axes = (0, 2, 3)
    centred = x - x.mean(axes, keepdim=True)
    inverse = (centred.square().mean(axes, keepdim=True) + eps).rsqrt()
    y = centred * inverse
    products = towards * y
    rest = towards - towards.mean(axes, keepdim=True) - y * products.mean(axes, keepdim=True)
    return weight.view(1, -1, 1, 1) * inverse * rest, products.sum(axes), towards.sum(axes)


def _matrix(x: Tensor) -> Tensor:
    """Return ``(N, C, H, W)`` as ``(N, H * W * C)``; in channels-last memory it is a view."""
    return x.permute(0, 2, 3, 1).reshape(len(x), -1)


def _images(matrix: Tensor, like: Tensor) -> Tensor:
    samples, channels, height, width = like.shape
    return matrix.view(samples, height, width, channels).permute(0, 3, 1, 2)


def _at_every_position(x: Tensor, *vectors: Tensor) -> tuple[Tensor, ...]:
    """Return each ``(C,)`` as ``(H * W * C,)``, beside the columns of `_matrix`."""
    positions = x.shape[2] * x.shape[3]
    return torch.stack(vectors)[:, None].expand(-1, positions, -1).reshape(len(vectors), -1).unbind()
