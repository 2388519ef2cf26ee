"""Batch normalisation."""

import torch
from torch import Tensor, nn

from normscape.norms.accurate import batch_moments, batch_normalise, is_channels_last_on_cpu
from normscape.norms.options import check_eps, check_features, check_momentum


class BatchNorm(nn.Module):
    """``weight * (x - mean) / sqrt(var + eps) + bias`` per feature, over the batch and all positions.

    Source: Ioffe & Szegedy 2015, Algorithms 1 and 2. The batch is divided by its biased variance; ``running_var``
    follows the unbiased one, m / (m - 1) times as large for m values per feature, as in ``torch.nn.BatchNorm2d``.
    Unlike there, no batches are counted: a probe has one buffer fewer to protect.

    Parameters
    ----------
    num_features
        F of ``(N, F)`` or C of ``(N, C, H, W)``.
    eps
        Added to the variance; above 0.
    momentum
        Weight of the newest batch in the running buffers, from 0 to 1.
    accurate
        Whether training mode sums as exactly for images in channels-last memory on a CPU as for others:
        there torch's own sums are 100 times less exact (see `normscape.norms.accurate`). It changes numbers.

    Raises
    ------
    UserError
        If an option is not such a number.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, accurate: bool = False) -> None:
        check_features(num_features)
        check_eps(eps)
        check_momentum(momentum)
        super().__init__()
        self.eps = eps
        self.momentum = momentum
        self.accurate = accurate
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised ``x``, of its shape.

        Raises
        ------
        ValueError
            In training mode with one value per feature: its variance would be zero whatever the value.
        """
        if self.accurate and self.training and is_channels_last_on_cpu(x):
            return self._accurately(x)
        return nn.functional.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, self.training, self.momentum, self.eps
        )

    def _accurately(self, x: Tensor) -> Tensor:
        mean, var = batch_moments(x)
        count = x.numel() // len(mean)
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * (count / (count - 1)), self.momentum)
        return batch_normalise(x, self.weight, self.bias, mean, var, self.eps)
