"""Normalisations of a pre-activation, one family per file.

Each is constructed as ``Cls(num_features, **options)`` and acts on ``(N, F)`` or ``(N, C, H, W)``; convolutional layers
treat height and width as part of the batch (paper, section 2). Training mode uses the statistics of the batch and
moves the running buffers; evaluation mode uses the running buffers and is deterministic. `GroupNorm`, `LayerNorm` and
`InstanceNorm` have no buffers: they use the statistics of each sample in both modes.
"""

from normscape.norms.batch import BatchNorm
from normscape.norms.from_torch import GroupNorm, InstanceNorm, LayerNorm, TorchBatchNorm
from normscape.norms.lp import LpNorm
from normscape.norms.noise import NoisyBatchNorm, NoisyStandard
from normscape.norms.standard import Standard
from normscape.norms.whitening import Whitening

__all__ = [
    "BatchNorm",
    "GroupNorm",
    "InstanceNorm",
    "LayerNorm",
    "LpNorm",
    "NoisyBatchNorm",
    "NoisyStandard",
    "Standard",
    "TorchBatchNorm",
    "Whitening",
]
