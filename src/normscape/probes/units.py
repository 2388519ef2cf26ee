"""A layer's output by its units, and back."""

import torch
from torch import Tensor

from normscape.network import WeightLayer


def by_unit(preactivation: Tensor, layer: WeightLayer) -> Tensor:
    """Return a layer's pre-activations ``(N, C, H, W)`` or ``(N, F)`` as ``(units, values)``, at least float32."""
    values = preactivation.movedim(layer.unit_axis, 0).flatten(1)
    return values.float() if values.dtype in (torch.bfloat16, torch.float16) else values


def from_units(values: Tensor, like: Tensor, layer: WeightLayer) -> Tensor:
    """Return ``(units, m)`` in the shape of a layer's output, as `by_unit` took it apart."""
    moved = like.movedim(layer.unit_axis, 0).shape
    return values.reshape(moved).movedim(0, layer.unit_axis)
