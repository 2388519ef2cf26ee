"""Normalisations of a pre-activation, one family per file.

Each is constructed as ``Cls(num_features, **options)`` and acts on ``(N, F)`` or ``(N, C, H, W)``; convolutional layers
treat height and width as part of the batch (paper, section 2). Training mode uses the statistics of the batch and
moves the running buffers; evaluation mode uses the running buffers and is deterministic.
"""

from normscape.norms.batch import BatchNorm
from normscape.norms.lp import LpNorm
from normscape.norms.noise import NoisyBatchNorm, NoisyStandard
from normscape.norms.standard import Standard

__all__ = ["BatchNorm", "LpNorm", "NoisyBatchNorm", "NoisyStandard", "Standard"]
