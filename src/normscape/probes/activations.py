"""Activation distributions: what one random unit of a layer does over the batch."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from normscape.models.layered import LayeredModel
from normscape.probes.probe import Probe, check_layers
from normscape.records import Row, Snapshot
from normscape.view import StepView

LEVELS = (torch.arange(100, dtype=torch.float64) + 0.5) / 100
"""Levels of the stored quantile function: the midpoints of a hundred equal shares."""

MIRRORED = {"05": 4, "25": 24, "50": 49, "75": 74, "95": 94}
"""Quantiles that are also rows, so that a dashboard can plot them: name and index into `LEVELS`."""


class Activations(Probe):
    """Distribution of one random unit's activation over the mini-batch.

    The activation is what enters the nonlinearity: after the normalisation with its scale, shift and noise. Its values
    are taken over the batch, for convolutions over height and width too. The unit is drawn once per run and layer from
    the run's seed; it is the same unit in every variant of a network. Forward mode: training (batch statistics).
    Source: paper, figs. 1c, 2b and 9 (ridge plots). That it is taken before the nonlinearity is inferred: the noise of
    fig. 8 has the size that Algorithm 1 adds there.

    Parameters
    ----------
    layers
        Numbers of the weight layers, from 1.
    every
        Measure every so many steps.

    Notes
    -----
    Rows: ``activation_mean``, ``activation_variance`` (biased), ``activation_quantile_05`` ... ``_95``. Snapshot:
    ``activation_quantiles``, the quantile function at the 100 `LEVELS`, float32. Cost: one forward pass.

    Raises
    ------
    UserError
        If a layer is not one of the network's.
    """

    def __init__(self, layers: Sequence[int], every: int) -> None:
        super().__init__(every)
        self.layers = tuple(layers)

    def check(self, model: LayeredModel) -> None:
        """Raise `UserError` if a layer does not exist."""
        check_layers(self.layers, model)

    def measure(self, view: StepView) -> Iterator[Row | Snapshot]:
        """Yield moments and quantiles of each layer's unit at W(t)."""
        for layer, activation in view.activations_at(view.parameters, self.layers).items():
            values = self._unit_values(activation, view.generator("activations", layer))
            quantiles = torch.quantile(values, LEVELS.to(values), interpolation="linear").cpu()
            yield Row(view.step, "activation_mean", layer, None, values.mean().item())
            yield Row(view.step, "activation_variance", layer, None, values.var(correction=0).item())
            for name, index in MIRRORED.items():
                yield Row(view.step, f"activation_quantile_{name}", layer, None, quantiles[index].item())
            yield Snapshot(view.step, "activation_quantiles", layer, quantiles)

    @staticmethod
    def _unit_values(activation: Tensor, generator: torch.Generator) -> Tensor:
        """Return the values ``(N * H * W,)`` of one random unit of ``(N, C, H, W)`` or ``(N, F)``."""
        unit = int(torch.randint(activation.shape[1], (), generator=generator))
        return activation[:, unit].flatten()
