"""The largest value that projected ascent finds of a function on a ball."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor


def projected(x: Tensor, radius: float) -> Tensor:
    """Return the nearest point of the ball ||X|| <= radius (Frobenius norm)."""
    return x * min(1.0, radius / max(float(torch.linalg.vector_norm(x)), torch.finfo(x.dtype).tiny))


def projected_ascent(
    objective: Callable[[Tensor], Tensor], start: Tensor, radius: float, steps: int, stride: float = 1.0
) -> Iterator[tuple[Tensor, float]]:
    """Yield, for the start and after every step, the best point so far and its value.

    Each step walks a distance along the gradient, from ``stride * radius`` at first to a hundredth of that at the
    end, then projects onto the ball. A step that overshoots is kept: the best point counts.

    What it finds is a lower bound of the maximum, whatever the function: it cannot show that there is nothing larger.
    The Frobenius ball lies within the ball of the spectral norm, so it is a lower bound there too.

    Parameters
    ----------
    objective
        A function of X that is differentiable almost everywhere, to a scalar.
    start
        X at first, of any shape; it is projected onto the ball.
    radius
        Of the ball, above 0.
    steps
        How many.
    stride
        The first step, as a share of the radius.
    """
    x = projected(start.detach(), radius)
    best, highest = x, -float("inf")
    for step in range(steps + 1):
        leaf = x.clone().requires_grad_()
        value = objective(leaf)
        if value.item() > highest:
            best, highest = x, value.item()
        yield best, highest
        (direction,) = torch.autograd.grad(value, leaf)
        length = torch.linalg.vector_norm(direction)
        if not bool(torch.isfinite(length)) or float(length) == 0.0:
            return
        distance = stride * radius * 1e-2 ** (step / max(steps, 1))
        x = projected(x + distance / length * direction, radius)
