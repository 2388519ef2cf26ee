"""Activation distributions: what the pre-activations of a layer's units do over the batch."""

import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from normscape.errors import check_count
from normscape.network import Layers, Network, WeightLayer
from normscape.probes.probe import Moment, Probe, require_single_runs
from normscape.probes.units import by_unit
from normscape.storage.records import Row, Snapshot
from normscape.view import StepView


def midpoints(count: int) -> Tensor:
    """Return the midpoints of so many equal shares, ``(count,)``: the levels of a stored quantile function."""
    return (torch.arange(count, dtype=torch.float64) + 0.5) / count


LEVELS, UNIT_LEVELS = midpoints(100), midpoints(20)
"""Levels of the quantile function of the one unit that is drawn, and of those of many units."""

MIRRORED = {"05": 4, "25": 24, "50": 49, "75": 74, "95": 94}
"""Quantiles that are also rows, so that a dashboard can plot them: name and index into ``LEVELS``."""


class Activations(Probe):
    """Distribution of pre-activations over the mini-batch: of one random unit of a layer, and of many.

    The pre-activation is what enters the nonlinearity: after the normalisation with its scale, shift and noise. In a
    network that is not a `LayeredModel` it is the output of the layer, or of the normalisation module that takes
    exactly this output. Its values are taken over the batch, for convolutions over height and width too. Units are
    drawn once per run and layer from the run's seed; they are the same in every variant of a network. Forward mode:
    the step's own (training: batch statistics). Source: paper, figs. 1c, 2b and 9 (ridge plots of one unit). That it is
    taken before the nonlinearity is inferred: the noise of fig. 8 has the size that Algorithm 1 adds there.

    Distributions of two mini-batches differ even at the same weights. This noise floor is measured between the halves
    of the mini-batch, each by itself: between whole mini-batches, what samples contribute to it is sqrt(2) times less,
    what layer noise contributes is the same.

    Parameters
    ----------
    layers
        Weight layers by number, from 1, or by module path; ``all`` for every layer that runs once.
    every
        Measure every so many steps.
    units
        Of a layer with more units, so many are drawn; of others all are measured.
    noise_floor
        Whether to measure the noise floor too.

    Notes
    -----
    Rows: ``activation_mean``, ``activation_variance`` (biased), ``activation_quantile_05`` ... ``_95`` of the one unit;
    with ``noise_floor`` also ``activation_noise``, the median over units of the noise floor's distance in units of the
    unit's standard deviation. Snapshots:

    - ``activation_quantiles``, the one unit's quantile function at the 100 ``LEVELS``;
    - ``unit_quantiles`` of ``(units, 20)``, at ``UNIT_LEVELS``; ``unit_moments`` of ``(units, 2)``, mean and variance;
    - with ``noise_floor``, ``unit_noise`` of ``(units, 3)``: between the halves, the Wasserstein-1 distance (mean
      absolute difference of the quantile functions), and the absolute differences of mean and of variance.

    Cost: one forward pass, and another for the noise floor.

    Raises
    ------
    UserError
        If a layer is not one of the network's, or runs more than once in a forward pass; if ``units`` is below 1; for
        the noise floor of a mini-batch that cannot be halved.
    """

    def __init__(self, layers: Layers = "all", every: int = 1, units: int = 64, noise_floor: bool = False) -> None:
        super().__init__(every)
        check_count("probe units", units)
        self.layers: Layers = layers if isinstance(layers, str) else tuple(layers)
        self.units = units
        self.noise_floor = noise_floor

    def check(self, network: Network) -> None:
        """Raise `UserError` if a layer does not exist, or has no one pre-activation."""
        require_single_runs(network, self.layers)

    def outline(self, network: Network, learning_rate: float) -> Iterator[Row | Snapshot]:
        """Yield what is measured of each layer, without its values."""
        names = ["mean", "variance", *(f"quantile_{name}" for name in MIRRORED), *["noise"] * self.noise_floor]
        for layer in network.find(self.layers):
            label, units = network.label(layer), min(self.units, layer.units)
            yield from (Row(0, f"activation_{name}", label, None, math.nan) for name in names)
            yield Snapshot(0, "activation_quantiles", label, torch.zeros(len(LEVELS)))
            yield Snapshot(0, "unit_quantiles", label, torch.zeros(units, len(UNIT_LEVELS)))
            yield Snapshot(0, "unit_moments", label, torch.zeros(units, 2))
            if self.noise_floor:
                yield Snapshot(0, "unit_noise", label, torch.zeros(units, 3))

    def measure(self, view: StepView) -> Iterator[Row | Snapshot]:
        """Yield what is measured of each layer at W(t)."""
        asked = [layer for layer in view.network.find(self.layers) if layer.runs == 1]
        recorded = view.preactivations_at(view.parameters, asked)
        halves = view.preactivations_of_halves(asked) if self.noise_floor else None
        yield from self.summarised(view, recorded, halves)

    def summarised(
        self,
        at: Moment,
        recorded: Mapping[WeightLayer, Tensor],
        halves: tuple[Mapping[WeightLayer, Tensor], Mapping[WeightLayer, Tensor]] | None,
    ) -> Iterator[Row | Snapshot]:
        """Yield what is measured of pre-activations ``(N, C, H, W)`` or ``(N, F)``; of their halves the noise floor."""
        for layer in recorded:
            label, values = at.network.label(layer), by_unit(recorded[layer], layer)
            yield from self._one_unit(at, layer, values)
            units = self._chosen(at, layer)
            moments = moments_of(values[units])
            yield Snapshot(at.step, "unit_quantiles", label, quantile_functions(values[units], UNIT_LEVELS))
            yield Snapshot(at.step, "unit_moments", label, moments)
            if halves is not None:
                noise = distances(*(by_unit(half[layer], layer)[units] for half in halves))
                relative = noise[:, 0] / moments[:, 1].sqrt()  # of a unit that does not vary: not a number
                yield Snapshot(at.step, "unit_noise", label, noise)
                yield Row(at.step, "activation_noise", label, None, relative.nanquantile(0.5).item())

    def _one_unit(self, at: Moment, layer: WeightLayer, values: Tensor) -> Iterator[Row | Snapshot]:
        """Yield moments and quantiles of the one unit that is drawn."""
        label, stream = at.network.label(layer), at.generator("activations", layer.number)
        unit = values[int(torch.randint(len(values), (), generator=stream))]
        (quantiles,) = quantile_functions(unit[None], LEVELS)
        yield Row(at.step, "activation_mean", label, None, unit.mean().item())
        yield Row(at.step, "activation_variance", label, None, unit.var(correction=0).item())
        for name, index in MIRRORED.items():
            yield Row(at.step, f"activation_quantile_{name}", label, None, quantiles[index].item())
        yield Snapshot(at.step, "activation_quantiles", label, quantiles)

    def _chosen(self, at: Moment, layer: WeightLayer) -> Tensor:
        """Return the units that are measured, in order."""
        drawn = torch.randperm(layer.units, generator=at.generator("activations", "units", layer.number))
        return drawn[: self.units].sort().values


def moments_of(values: Tensor) -> Tensor:
    """Return mean and biased variance of each row of ``(units, N)``, as ``(units, 2)`` on the CPU."""
    return torch.stack([values.mean(1), values.var(1, correction=0)], dim=1).cpu()


def distances(values: Tensor, others: Tensor) -> Tensor:
    """Return how two samples ``(units, N)`` differ: Wasserstein-1, mean, variance; ``(units, 3)`` on the CPU."""
    quantiles, moments = ((q - p).abs() for q, p in zip(_summary(values), _summary(others), strict=True))
    return torch.cat([quantiles.mean(1, keepdim=True), moments], dim=1)


def _summary(values: Tensor) -> tuple[Tensor, Tensor]:
    return quantile_functions(values, UNIT_LEVELS), moments_of(values)


def quantile_functions(values: Tensor, levels: Tensor) -> Tensor:
    """Return the quantiles of each row of ``(units, N)`` at some levels ``(Q,)``, as ``(units, Q)`` on the CPU.

    To the bit what `torch.quantile` returns, of any number of values; on a CPU, NumPy sorts several times as fast.
    """
    on_cpu = values.device.type == "cpu"
    ordered = torch.from_numpy(np.sort(values.numpy(), axis=1)) if on_cpu else values.sort(dim=1).values
    ranks = (levels.to(values.dtype).double() * (values.shape[1] - 1)).expand(len(values), -1)
    below, above, share = ranks.long(), ranks.ceil().long(), ranks.frac().to(values)
    low, high = (ordered.gather(1, position.to(values.device)) for position in (below, above))
    return torch.lerp(low, high, share).masked_fill(ordered[:, -1:].isnan(), math.nan).cpu()  # NaN is sorted last
