"""VGG convolutional networks for 32x32 images."""

from collections.abc import Sequence

import torch
from torch import nn

from normscape.errors import UserError, suggest
from normscape.models.layered import Layer, LayeredModel, NormFactory, nonlinearity

CHANNELS = (64, 128, 256, 512, 512)
"""Channels of the five stages at width 1."""

KERNELS: dict[str, tuple[tuple[int, ...], ...]] = {
    "A": ((3,), (3,), (3, 3), (3, 3), (3, 3)),
    "B": ((3, 3), (3, 3), (3, 3), (3, 3), (3, 3)),
    "C": ((3, 3), (3, 3), (3, 3, 1), (3, 3, 1), (3, 3, 1)),
    "D": ((3, 3), (3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)),
    "E": ((3, 3), (3, 3), (3, 3, 3, 3), (3, 3, 3, 3), (3, 3, 3, 3)),
}
"""Kernel sizes of the convolutions of each stage. Source: Simonyan & Zisserman 2015, table 1."""


class VGG(LayeredModel):
    """Five stages of convolutions, each ending in 2x2 max pooling, then linear layers.

    The paper says "VGG-like" and numbers its layers at least to 13, which is the number of convolutions of C and D.
    Every layer but the last is a weight layer, its normalisation, and a nonlinearity. All have biases, zero at
    initialisation (see ``glorot_``): a bias before a norm that centres is redundant, but this way every variant has the
    same weight layers. The nonlinearity does not work in place, since probes keep its input; and memory is laid out
    channels last, which is 1.4 times faster on a CPU.

    Parameters
    ----------
    norm
        Makes the normalisation of a layer, for convolutions from its number of channels.
    configuration
        Its letter in Simonyan & Zisserman's table 1, A to E; D is VGG-16.
    width
        Factor on all channel counts.
    head
        Units of each hidden linear layer, which width does not scale; (4096, 4096) in the original.
    num_classes
        Number of outputs; the output is ``(N, num_classes)``.
    in_channels
        C of the inputs ``(N, C, 32, 32)``, which pooling reduces to one position.
    activation
        One of ``ACTIVATIONS`` in `normscape.models.layered`.
    dropout
        Probability with which, in training mode, each input of the last layer is zero; from 0 to below 1.

    Raises
    ------
    UserError
        If the letter or the activation is unknown, a scaled number of channels is not a positive whole number, or
        ``dropout`` is no such probability.
    """

    def __init__(
        self,
        norm: NormFactory,
        configuration: str = "D",
        width: float = 1.0,
        head: Sequence[int] = (),
        num_classes: int = 10,
        in_channels: int = 3,
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        if configuration not in KERNELS:
            raise UserError(f"unknown VGG configuration '{configuration}'{suggest(str(configuration), KERNELS)}")
        if not 0.0 <= dropout < 1.0:
            raise UserError(f"dropout={dropout}: expected a probability, from 0 to below 1")
        nonlinear = nonlinearity(activation)
        layers = []
        for kernels, full in zip(KERNELS[configuration], CHANNELS, strict=True):
            channels = _scaled(full, width)
            for position, kernel in enumerate(kernels, start=1):
                convolution = nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2)
                pool = nn.MaxPool2d(2) if position == len(kernels) else nn.Identity()
                layers.append(Layer(convolution, norm(channels), after=nn.Sequential(nonlinear(), pool)))
                in_channels = channels
        features = in_channels
        before: nn.Module | None = nn.Flatten()
        for units in head:
            layers.append(Layer(nn.Linear(features, units), norm(units), before, after=nonlinear()))
            features, before = units, None
        if dropout:
            before = nn.Sequential(before or nn.Identity(), nn.Dropout(dropout))
        layers.append(Layer(nn.Linear(features, num_classes), nn.Identity(), before))
        super().__init__(layers)
        self.to(memory_format=torch.channels_last)


def _scaled(channels: int, width: float) -> int:
    scaled = float(channels * width)
    if not (scaled >= 1.0 and scaled.is_integer()):
        raise UserError(f"width {width} makes {scaled:g} of {channels} channels; take a multiple of 1/64, e.g. 0.125")
    return int(scaled)
