"""How far two computations of one thing may differ."""

import torch

from normscape.view import StepView


def tolerance(view: StepView) -> float:
    """Return how far two computations of one thing may differ, relative to its size.

    The square root of the precision of the weights' type, 3e-4 in float32 and 1e-8 in float64: far above rounding, far
    below the effect of another batch, mode, mask or state. A compiled network may round differently at every operation,
    in its working precision, and what rounding does to a ReLU is more than rounding: 1e-2 in float32.
    """
    weight = next((p.dtype for p in view.parameters.values() if p.is_floating_point()), torch.float32)
    cast = view.replay.autocast
    if not view.replay.replica.compiled:
        return float(torch.finfo(weight).eps ** 0.5)
    return min(30 * float(torch.finfo(cast.dtype if cast.enabled else weight).eps ** 0.5), 0.3)
