"""Deep linear networks of several runs as one, on reduced batches (`normscape.reduced.batch`)."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from normscape.models import DLN
from normscape.reduced.batch import ReducedBatch
from normscape.reduced.sizes import Size, size_of


class Point(NamedTuple):
    """A point in weight space for each lane, or a direction: the parameters of equal kind stacked.

    Attributes
    ----------
    weights
        ``(lanes, layers, F, F)``.
    scales, shifts
        Of the normalisations, ``(lanes, layers - 1, F)``; empty without.
    """

    weights: Tensor
    scales: Tensor
    shifts: Tensor

    def map(self, function: Callable[[Tensor], Tensor]) -> "Point":
        """Return the point with a function applied to each of its tensors."""
        return Point(*map(function, self))

    def norms(self) -> Tensor:
        """Return the Euclidean norm of each parameter tensor, ``(lanes, tensors)``."""
        vectors = [torch.linalg.vector_norm(part, dim=-1) for part in (self.scales, self.shifts)]
        return torch.cat([torch.linalg.matrix_norm(self.weights), *vectors], dim=1)

    def of(self, lane: int) -> dict[str, Tensor]:
        """Return the parameters of one lane by their names in the network, in its order, as views."""
        named: dict[str, Tensor] = {}
        for i in range(self.weights.shape[1]):
            named[f"layers.{i + 1}.linear.weight"] = self.weights[lane, i]
            if i < self.scales.shape[1]:
                named[f"layers.{i + 1}.norm.weight"] = self.scales[lane, i]
                named[f"layers.{i + 1}.norm.bias"] = self.shifts[lane, i]
        return named


class Seen(NamedTuple):
    """What a forward pass is asked to note of its layers, by number from 1; rows as in a reduced batch."""

    statistics: dict[int, tuple[Tensor, Tensor]] | None = None
    rows: dict[int, Tensor] | None = None


NOTHING = Seen()


class StackedNetwork:
    """The networks of several lanes; their parameters and buffers become views into stacked tensors.

    Parameters
    ----------
    models
        Networks of one shape and normalisation, to be trained in place.
    """

    def __init__(self, models: Sequence[DLN]) -> None:
        layers: list[list[Any]] = [list(model.layers.values()) for model in models]
        norms = [[layer.norm for layer in row[:-1]] for row in layers]
        self.size: Size | None = size_of(norms[0][0]) if norms[0] else None
        weights = _stack([layer.linear.weight for layer in row] for row in layers)
        empty = weights.new_empty(len(models), 0, weights.shape[-1])
        scales = _stack([norm.weight for norm in row] for row in norms) if self.size else empty
        shifts = _stack([norm.bias for norm in row] for row in norms) if self.size else empty
        self.point = Point(weights, scales, shifts)
        names = [name for name, _ in norms[0][0].named_buffers()] if self.size else []
        self.buffers = {name: _stack([norm.get_buffer(name) for norm in row] for row in norms) for name in names}
        self._bind(models)

    def _bind(self, models: Sequence[DLN]) -> None:
        for lane, model in enumerate(models):
            for name, view in self.point.of(lane).items():
                model.get_parameter(name).data = view
            for name, stacked in self.buffers.items():
                for number, view in enumerate(stacked[lane], start=1):
                    model.get_submodule(f"layers.{number}.norm")._buffers[name] = view

    def losses(self, point: Point, batch: ReducedBatch, seen: Seen = NOTHING) -> Tensor:
        """Return each lane's summed squared error at a point, ``(lanes,)``."""
        root = math.sqrt(batch.samples)
        weights, scales, shifts = (part.unbind(1) for part in point)
        rows = batch.inputs
        for number, weight in enumerate(weights, start=1):
            rows = torch.bmm(rows, weight.transpose(1, 2))
            if self.size and number < len(weights):
                moment = self.size.moment(rows, batch)
                if seen.statistics is not None:
                    seen.statistics[number] = (rows[:, 0].detach() / root, moment.detach())
                scale, shift = scales[number - 1], shifts[number - 1]
                scaled = rows[:, 1:] * (scale / self.size.size(moment))[:, None]
                rows = torch.cat([root * shift[:, None], scaled], dim=1)
            if seen.rows is not None:
                seen.rows[number] = rows.detach()
        return (rows - batch.targets).square().sum((1, 2)) + batch.rest

    def losses_and_gradients(self, point: Point, batch: ReducedBatch, seen: Seen = NOTHING) -> tuple[Tensor, Point]:
        """Return each lane's loss at a point, and its gradient there."""
        leaves = point.map(lambda part: part.detach().requires_grad_())
        asked = leaves if self.size else leaves[:1]
        with torch.enable_grad():
            losses = self.losses(leaves, batch, seen)
            gradients = torch.autograd.grad(losses.sum(), asked)
        return losses.detach(), Point(*gradients, *point[len(gradients) :])

    @torch.no_grad()
    def update(self, gradient: Point, rates: Tensor) -> None:
        """Make one step of gradient descent in place; rates ``(lanes,)``."""
        for part, slope in zip(self.point, gradient, strict=True):
            part -= rates.view(-1, *[1] * (part.dim() - 1)) * slope

    @torch.no_grad()
    def follow(self, statistics: dict[int, tuple[Tensor, Tensor]], samples: int) -> None:
        """Let the running buffers follow the statistics of a training step's forward pass, in place."""
        if self.size and statistics:
            means, moments = (torch.stack(kind, dim=1) for kind in zip(*statistics.values(), strict=True))
            self.size.follow(self.buffers, means, moments, samples)


def _stack(rows: Iterable[Sequence[Tensor]]) -> Tensor:
    return torch.stack([torch.stack([tensor.detach() for tensor in row]) for row in rows])
