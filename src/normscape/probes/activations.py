"""Activation distributions: what the pre-activation of one random unit of a layer does over the batch."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from normscape.errors import UserError
from normscape.network import Layers, Network
from normscape.probes.probe import Probe
from normscape.records import Row, Snapshot
from normscape.view import StepView

LEVELS = (torch.arange(100, dtype=torch.float64) + 0.5) / 100
"""Levels of the stored quantile function: the midpoints of a hundred equal shares."""

MIRRORED = {"05": 4, "25": 24, "50": 49, "75": 74, "95": 94}
"""Quantiles that are also rows, so that a dashboard can plot them: name and index into ``LEVELS``."""


LARGEST = 2**24
"""How many values `torch.quantile` takes."""


class Activations(Probe):
    """Distribution of one random unit's pre-activation over the mini-batch.

    The pre-activation is what enters the nonlinearity: after the normalisation with its scale, shift and noise. In a
    network that is not a `LayeredModel` it is the output of the layer, or of the normalisation module that takes
    exactly this output. Its values are taken over the batch, for convolutions over height and width too. The unit is
    drawn once per run and layer from the run's seed; it is the same unit in every variant of a network. Forward mode:
    the step's own (training: batch statistics). Source: paper, figs. 1c, 2b and 9 (ridge plots). That it is taken
    before the nonlinearity is inferred: the noise of fig. 8 has the size that Algorithm 1 adds there.

    Parameters
    ----------
    layers
        Weight layers by number, from 1, or by module path; ``all`` for every layer that runs once.
    every
        Measure every so many steps.

    Notes
    -----
    Rows: ``activation_mean``, ``activation_variance`` (biased), ``activation_quantile_05`` ... ``_95``. Snapshot:
    ``activation_quantiles``, the quantile function at the 100 ``LEVELS``, float32. Cost: one forward pass.

    Raises
    ------
    UserError
        If a layer is not one of the network's, or runs more than once in a forward pass.
    """

    def __init__(self, layers: Layers = "all", every: int = 1) -> None:
        super().__init__(every)
        self.layers: Layers = layers if isinstance(layers, str) else tuple(layers)

    def check(self, network: Network) -> None:
        """Raise `UserError` if a layer does not exist, or has no one pre-activation."""
        for layer in network.find(self.layers):
            if layer.runs > 1 and self.layers != "all":
                raise UserError(f"probe layer {layer.path}: it runs {layer.runs} times in a pass; ask for others")

    def outline(self, network: Network, learning_rate: float) -> Iterator[Row | Snapshot]:
        """Yield moments and quantiles of each layer's unit, without their values."""
        for layer in network.find(self.layers):
            names = ["mean", "variance", *(f"quantile_{name}" for name in MIRRORED)]
            yield from (Row(0, f"activation_{name}", network.label(layer), None, math.nan) for name in names)
            yield Snapshot(0, "activation_quantiles", network.label(layer), torch.zeros(len(LEVELS)))

    def measure(self, view: StepView) -> Iterator[Row | Snapshot]:
        """Yield moments and quantiles of each layer's unit at W(t)."""
        asked = [layer for layer in view.network.find(self.layers) if layer.runs == 1]
        recorded = view.preactivations_at(view.parameters, asked)
        for layer in asked:
            label, preactivation = view.network.label(layer), recorded[layer]
            chosen = view.generator("activations", layer.number)
            unit = int(torch.randint(preactivation.shape[layer.unit_axis], (), generator=chosen))
            values = preactivation.select(layer.unit_axis, unit).flatten()
            quantiles = quantile_function(values)
            yield Row(view.step, "activation_mean", label, None, values.mean().item())
            yield Row(view.step, "activation_variance", label, None, values.var(correction=0).item())
            for name, index in MIRRORED.items():
                yield Row(view.step, f"activation_quantile_{name}", label, None, quantiles[index].item())
            yield Snapshot(view.step, "activation_quantiles", label, quantiles)


def quantile_function(values: Tensor) -> Tensor:
    """Return the quantiles of ``(N,)`` at the ``LEVELS``, on the CPU.

    `torch.quantile` takes at most 2^24 values, fewer than a large batch of images has: of more, evenly spaced ones.
    """
    values = values.float() if values.dtype in (torch.bfloat16, torch.float16) else values
    values = values[:: -(-len(values) // LARGEST)]
    return torch.quantile(values, LEVELS.to(values), interpolation="linear").cpu()
