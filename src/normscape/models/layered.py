"""What every network of the suite has in common: numbered weight layers, each with its normalisation."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from normscape.seeds import generator

NormFactory = Callable[[int], nn.Module]
"""Makes the normalisation of a layer from its number of features (channels)."""


class Layer(nn.Module):
    """One weight layer: ``after(norm(affine(before(x))))``.

    Parameters
    ----------
    affine
        The convolution or linear map that holds the layer's weight (and bias).
    norm
        Acts on the pre-activation ``affine(x)``, before the nonlinearity (paper, section 2).
    before, after
        Parameter-free maps, e.g. flattening before the first linear layer; ReLU and pooling after a convolution.
    """

    def __init__(
        self,
        affine: nn.Module,
        norm: nn.Module,
        before: nn.Module | None = None,
        after: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.before = before or nn.Identity()
        self.affine = affine
        self.norm = norm
        self.after = after or nn.Identity()

    def preactivation(self, x: Tensor) -> Tensor:
        """Return what enters the nonlinearity: ``(N, C, H, W)`` or ``(N, F)``, normalised, scaled and shifted."""
        return self.norm(self.affine(self.before(x)))  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output."""
        return self.after(self.preactivation(x))  # type: ignore[no-any-return]


class LayeredModel(nn.Module):
    """A chain of weight layers numbered from 1 in forward order; the same numbers whatever the normalisation.

    ``model.layers["3"]`` is layer 3, ``layers.3.affine.weight`` its weight. Forward is the composition of the layers
    and nothing else, which is what lets a probe walk the chain one layer at a time.
    """

    def __init__(self, layers: Iterable[Layer]) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({str(number): layer for number, layer in enumerate(layers, start=1)})

    def forward(self, x: Tensor, taps: dict[int, Tensor] | None = None) -> Tensor:
        """Return the network's output for ``x``.

        Parameters
        ----------
        x
            ``(N, C, H, W)`` or ``(N, D)``.
        taps
            If given, its keys are layer numbers and its values are replaced by those layers' pre-activations.
        """
        for number, layer in enumerate(self.layers.values(), start=1):
            assert isinstance(layer, Layer)
            z = layer.preactivation(x)
            if taps is not None and number in taps:
                taps[number] = z
            x = layer.after(z)
        return x


@torch.no_grad()
def glorot_(model: LayeredModel, seed: int) -> None:
    """Initialise all weights by Glorot's uniform rule and biases by zero, in place.

    Each layer has its own stream, so that every normalisation starts from the same weights. Source: paper, appendix A
    ("Glorot"); uniform or normal is not said, and both have variance 2 / (fan_in + fan_out).
    """
    for number, layer in model.layers.items():
        assert isinstance(layer, Layer)
        affine = layer.affine
        assert isinstance(affine.weight, Tensor)
        nn.init.xavier_uniform_(affine.weight, generator=generator(seed, "init", int(number)))
        if isinstance(affine.bias, Tensor):
            affine.bias.zero_()
