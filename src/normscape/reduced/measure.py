"""The suite's probes on all lanes of a reduced network at once; what they measure is defined in `normscape.probes`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from normscape.network import Network, WeightLayer
from normscape.probes import Activations, InternalCovariateShift, Landscape
from normscape.probes.landscape import direction_stream, require_resolved
from normscape.probes.probe import Probe
from normscape.reduced.batch import ReducedBatch
from normscape.reduced.network import Point, Seen, StackedNetwork
from normscape.seeds import generator
from normscape.storage.records import Row, Snapshot


@dataclass(frozen=True)
class Lane:
    """What a probe needs to know of one run: step, seed, layers, rate, and whether nothing was measured before."""

    step: int
    seed: int
    network: Network
    learning_rate: float
    first: bool

    def generator(self, *purpose: str | int) -> torch.Generator:
        """Return a CPU generator for a probe's own random choices, as `StepView.generator` does."""
        return generator(self.seed, "probe", *purpose)


@dataclass(frozen=True)
class StackedStep:
    """One optimisation step of all lanes: W(t), the losses and gradients there, W(t+1), and the batches."""

    lanes: Sequence[Lane]
    stack: StackedNetwork
    batch: ReducedBatch
    before: Point
    updated: Point
    losses: Tensor
    gradient: Point

    def in_float64(self) -> "StackedStep":
        """Return the same step in float64, its losses and gradients computed anew: of the same rows, to more digits."""
        before, updated = (point.map(Tensor.double) for point in (self.before, self.updated))
        batch = self.batch.double()
        losses, gradient = self.stack.losses_and_gradients(before, batch)
        return replace(self, batch=batch, before=before, updated=updated, losses=losses, gradient=gradient)

    def losses_and_gradients_at(self, points: Point) -> tuple[Tensor, Point]:
        """Return losses and gradients at so many points of each lane: ``(lanes, points, ...)`` in and out."""
        count = points.weights.shape[1]
        flat, batch = points.map(lambda part: part.flatten(0, 1)), self.batch.repeated(count)
        losses, gradients = self.stack.losses_and_gradients(flat, batch)
        return _by_lane(losses, count), gradients.map(lambda part: _by_lane(part, count))


def _by_lane(parts: Tensor, points: int) -> Tensor:
    return parts.view(len(parts) // points, points, *parts.shape[1:])


def can_measure(probe: Probe) -> bool:
    """Whether a probe is one of those that are measured for all lanes at once; others look at each lane's network."""
    if type(probe) is Activations:
        return not probe.noise_floor
    if type(probe) is Landscape:
        return not probe.weight_decay
    return type(probe) is InternalCovariateShift


def measured(probe: Probe, step: StackedStep) -> list[list[Row | Snapshot]]:
    """Return what a probe measures of a step, lane by lane."""
    if isinstance(probe, Activations):
        return list(_activations(probe, step))
    if isinstance(probe, Landscape):
        return list(_landscape(probe, step))
    assert isinstance(probe, InternalCovariateShift)
    return list(_shift(probe, step))


def _landscape(probe: Landscape, step: StackedStep) -> Iterator[list[Row | Snapshot]]:
    step = step.in_float64() if probe.float64 else step
    sizes = [probe.sizes_of(lane) for lane in step.lanes]
    base = step.gradient
    direction = base if probe.direction == "gradient" else _random(step, base)
    s = torch.tensor(sizes, dtype=step.losses.dtype, device=step.losses.device)
    points = Point(*(w[:, None] - _along(s, d) * d[:, None] for w, d in zip(step.before, direction, strict=True)))
    for number, lane in enumerate(step.lanes):
        for index, size in enumerate(sizes[number] if lane.first else ()):
            point = Point(*(part[:, index] for part in points))
            require_resolved(step.before.of(number), point.of(number), direction.of(number), size)
    losses, gradients = step.losses_and_gradients_at(points)
    change = Point(*(g - b[:, None] for g, b in zip(gradients, base, strict=True)))
    differences = _by_lane(change.map(lambda part: part.flatten(0, 1)).norms(), s.shape[1])
    length = direction.norms()
    euclidean, added = _norm(differences), differences.sum(-1)
    found = {
        "loss_landscape": losses,
        "gradient_difference": euclidean,
        "gradient_difference_tensor_sum": added,
        "objective": step.losses,
        "gradient_norm": _norm(base.norms()),
        "effective_lipschitz": ((losses - step.losses[:, None]).abs() / (s * _norm(length)[:, None])).amax(1),
        "effective_beta": (euclidean / (s * _norm(length)[:, None])).amax(1),
        "effective_beta_tensor_sum": (added / (s * length.sum(1, keepdim=True))).amax(1),
    }
    values = {name: tensor.tolist() for name, tensor in found.items()}
    for number, lane in enumerate(step.lanes):
        yield [
            row._replace(
                step=lane.step, value=_at(values[row.quantity.removesuffix(probe.suffix)][number], sizes[number], row)
            )
            for row in probe.outline(lane.network, lane.learning_rate)
            if isinstance(row, Row)
        ]


def _at(value: float | list[float], sizes: Sequence[float], row: Row) -> float:
    return value[sizes.index(row.step_size)] if isinstance(value, list) else value


def _along(sizes: Tensor, like: Tensor) -> Tensor:
    return sizes.view(*sizes.shape, *[1] * (like.dim() - 1))


def _norm(norms: Tensor) -> Tensor:
    euclidean: Tensor = torch.linalg.vector_norm(norms, dim=-1)
    return euclidean


def _random(step: StackedStep, like: Point) -> Point:
    """Return, for each lane, the direction that `Landscape` draws for it, of the length of ``like``."""
    drawn = like.map(torch.empty_like)
    for number, lane in enumerate(step.lanes):
        stream = direction_stream(lane)
        for part in drawn.of(number).values():
            part.copy_(torch.randn(part.shape, generator=stream))
    scale = _norm(like.norms()) / _norm(drawn.norms())
    return drawn.map(lambda part: _along(scale, part) * part)


def _shift(probe: InternalCovariateShift, step: StackedStep) -> Iterator[list[Row | Snapshot]]:
    layers = step.lanes[0].network.find(probe.layers)
    points = Point(*(_mixed(w, u, layers) for w, u in zip(step.before, step.updated, strict=True)))
    _, gradients = step.losses_and_gradients_at(points)
    before = torch.stack([step.gradient.weights[:, layer.number - 1] for layer in layers], dim=1)
    after = torch.stack([gradients.weights[:, at, layer.number - 1] for at, layer in enumerate(layers)], dim=1)
    for at, layer in enumerate(layers):
        if layer.number == 1:  # no layer is earlier: the same point
            after[:, at] = before[:, at]
    found = {
        "ics_l2": torch.linalg.matrix_norm(before - after),
        "ics_cosine": _cosine(before.double(), after.double()),
        "ics_gradient_norm": torch.linalg.matrix_norm(before),
    }
    values = {name: tensor.tolist() for name, tensor in found.items()}
    for number, lane in enumerate(step.lanes):
        labels = [lane.network.label(layer) for layer in layers]
        yield [
            row._replace(step=lane.step, value=values[row.quantity][number][labels.index(row.layer)])
            for row in probe.outline(lane.network, lane.learning_rate)
            if isinstance(row, Row) and row.layer is not None
        ]


def _mixed(old: Tensor, updated: Tensor, layers: Sequence[WeightLayer]) -> Tensor:
    """Return, for each asked layer, the parameters with those of all earlier layers updated."""
    return torch.stack(
        [torch.cat([updated[:, : layer.number - 1], old[:, layer.number - 1 :]], dim=1) for layer in layers], dim=1
    )


def _cosine(a: Tensor, b: Tensor) -> Tensor:
    unit_a, unit_b = (g / torch.linalg.matrix_norm(g)[..., None, None] for g in (a, b))
    cosine: Tensor = (unit_a * unit_b).sum((-1, -2)).clamp(-1.0, 1.0)
    return cosine


def _activations(probe: Activations, step: StackedStep) -> Iterator[list[Row | Snapshot]]:
    layers = step.lanes[0].network.find(probe.layers)
    rows: dict[int, Tensor] = {}
    with torch.no_grad():
        step.stack.losses(step.before, step.batch, Seen(rows=rows))
        values = {layer: step.batch.samples_of(rows[layer.number]) for layer in layers}
    for number, lane in enumerate(step.lanes):
        yield list(probe.summarised(lane, {layer: values[layer][number].T for layer in layers}, None))
