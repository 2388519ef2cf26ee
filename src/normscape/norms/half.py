"""What normalisations do in mixed precision: statistics of a batch need more digits than half of float32 has."""

import torch
from torch import Tensor

HALF = (torch.bfloat16, torch.float16)


def widened(x: Tensor) -> Tensor:
    """Return ``x`` in float32 if it comes from a layer in half precision, else as it is."""
    return x.float() if x.dtype in HALF else x
