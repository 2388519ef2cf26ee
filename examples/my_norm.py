"""Bring your own normalisation, without touching this repository.

From the examples folder:

python ../experiments/train.py run=vgg_standard norm._target_=my_norm.MedianNorm +norm.eps=1e-4 scale=laptop

The suite then measures everything of it; what could not be measured correctly is refused before training.
"""

import torch
from torch import Tensor, nn


class MedianNorm(nn.Module):
    """``weight * (x - median) / (mean |x - median| + eps) + bias`` per feature, over the batch and all positions.

    Parameters
    ----------
    num_features
        F of ``(N, F)`` or C of ``(N, C, H, W)``.
    eps
        Added to the mean absolute deviation.
    momentum
        Weight of the newest batch in the running buffers, which evaluation uses.
    """

    median: Tensor
    deviation: Tensor

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight, self.bias = nn.Parameter(torch.ones(num_features)), nn.Parameter(torch.zeros(num_features))
        self.register_buffer("median", torch.zeros(num_features))
        self.register_buffer("deviation", torch.ones(num_features))

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised ``x``, of its shape."""
        shape = (1, -1) + (1,) * (x.dim() - 2)
        if self.training:
            values = x.movedim(1, -1).flatten(0, -2)
            median = values.median(0).values
            deviation = (values - median).abs().mean(0)
            with torch.no_grad():
                self.median.lerp_(median, self.momentum)
                self.deviation.lerp_(deviation, self.momentum)
        else:
            median, deviation = self.median, self.deviation
        scale = self.weight / (deviation + self.eps)
        return (x - median.view(shape)) * scale.view(shape) + self.bias.view(shape)
