"""Loss landscape, gradient predictiveness and effective beta-smoothness: one walk from W(t), three quantities."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from normscape.errors import UserError, suggest
from normscape.probes.probe import Probe
from normscape.records import Row, Snapshot
from normscape.view import Parameters, StepView

DIRECTIONS = ("gradient", "random")


class Landscape(Probe):
    r"""Loss and gradient at points W(t) - s d, for step sizes s along a direction d.

    With the objective J(W) = L(W) + lambda/2 ||W||^2, L the loss of the step's mini-batch, and g = grad J(W(t)):

    - loss landscape: J(W - s d) over the step sizes; figures draw the band from its minimum to its maximum over s;
    - gradient predictiveness: ||grad J(W - s d) - g|| over the step sizes, likewise;
    - effective beta-smoothness: the maximum over s of ||grad J(W - s d) - g|| / (s ||d||).

    d is g (the paper's choice), or a random direction of the same norm ||g||, uniform on the sphere and drawn anew at
    each step. Source: paper, section 3.2, figs. 4 and 9 to 13; random directions: its text. The penalty is part of the
    objective since the plotted loss includes it (inferred), and makes s = lr the optimiser's own step. Forward mode:
    training, with the step's layer noise.

    Parameters
    ----------
    step_sizes
        The step sizes s as multiples of the step's learning rate; above 0.
    every
        Measure every so many steps.
    weight_decay
        lambda. Give it the optimiser's; 0 makes J the loss alone.
    direction
        ``gradient`` or ``random``.

    Notes
    -----
    Rows, all with the name of the direction at the end when it is ``random`` (``loss_landscape_random``):

    - ``loss_landscape`` per step size;
    - ``gradient_difference`` per step size, Euclidean norm over all parameters;
    - ``gradient_difference_tensor_sum`` per step size, the norms of the parameter tensors added up, which is what the
      paper seems to have plotted (inferred, see `normscape.tables.ORIGINAL_NAMES`);
    - ``effective_beta``, Euclidean, and ``effective_beta_tensor_sum``, the ratio of the sums of tensor norms; NaN at a
      step whose gradient is zero;
    - ``objective`` and ``gradient_norm`` at W(t).

    Cost: one forward-backward pass per step size; the base point is the training step's own.

    Raises
    ------
    UserError
        If a step size is not above 0, there is none, or the direction is unknown.
    """

    def __init__(
        self,
        step_sizes: Sequence[float],
        every: int,
        weight_decay: float = 0.0,
        direction: Literal["gradient", "random"] = "gradient",
    ) -> None:
        super().__init__(every)
        if not step_sizes or not all(size > 0 for size in step_sizes):
            raise UserError(f"probe step_sizes={list(step_sizes)}: expected multiples of the learning rate, above 0")
        if direction not in DIRECTIONS:
            raise UserError(f"probe direction={direction}: no such direction{suggest(direction, DIRECTIONS)}")
        self.step_sizes = tuple(step_sizes)
        self.weight_decay = weight_decay
        self.direction = direction
        self._suffix = "" if direction == "gradient" else f"_{direction}"

    def measure(self, view: StepView) -> Iterator[Row | Snapshot]:
        """Yield the rows of one step."""
        base = {name: view.gradient[name] + self.weight_decay * p for name, p in view.parameters.items()}
        direction = base if self.direction == "gradient" else self._random_direction(view, base)
        length, length_sum = norm(direction), tensor_sum(direction)
        yield self._row(view, "objective", None, view.loss + self._penalty(view.parameters))
        yield self._row(view, "gradient_norm", None, norm(base))
        betas, betas_sum = [], []
        for multiple in self.step_sizes:
            s = multiple * view.learning_rate
            point = {name: p - s * direction[name] for name, p in view.parameters.items()}
            loss, gradient = view.loss_and_gradient_at(point)
            change = {name: gradient[name] + self.weight_decay * p - base[name] for name, p in point.items()}
            difference, difference_sum = norm(change), tensor_sum(change)
            betas.append(difference / (s * length))
            betas_sum.append(difference_sum / (s * length_sum))
            yield self._row(view, "loss_landscape", s, loss + self._penalty(point))
            yield self._row(view, "gradient_difference", s, difference)
            yield self._row(view, "gradient_difference_tensor_sum", s, difference_sum)
        yield self._row(view, "effective_beta", None, torch.stack(betas).max())
        yield self._row(view, "effective_beta_tensor_sum", None, torch.stack(betas_sum).max())

    def _row(self, view: StepView, quantity: str, step_size: float | None, value: Tensor) -> Row:
        return Row(view.step, quantity + self._suffix, None, step_size, value.item())

    def _penalty(self, parameters: Parameters) -> Tensor:
        return 0.5 * self.weight_decay * norm(parameters).square()

    def _random_direction(self, view: StepView, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a direction uniform on the sphere of radius ||like||."""
        stream = view.generator("landscape", "direction", view.step)
        drawn = {name: torch.randn(g.shape, generator=stream).to(g) for name, g in like.items()}
        scale = norm(like) / norm(drawn)
        return {name: scale * d for name, d in drawn.items()}


def norm(tensors: Mapping[str, Tensor]) -> Tensor:
    """Return the Euclidean norm of all entries of all tensors together."""
    euclidean: Tensor = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(t) for t in tensors.values()]))
    return euclidean


def tensor_sum(tensors: Mapping[str, Tensor]) -> Tensor:
    """Return the sum of the tensors' Euclidean norms."""
    return torch.stack([torch.linalg.vector_norm(t) for t in tensors.values()]).sum()
