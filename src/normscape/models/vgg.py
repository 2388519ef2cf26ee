"""VGG convolutional networks for 32x32 images."""

from collections.abc import Sequence

import torch
from torch import nn

from normscape.errors import UserError, suggest
from normscape.models.activation import activation_class
from normscape.models.layered import Layer, LayeredModel, NormFactory

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
        Factor on all counts of channels and hidden units.
    head
        Units of each hidden linear layer at width 1; (4096, 4096) in the original.
    num_classes
        Number of outputs; the output is ``(N, num_classes)``.
    in_channels
        C of the inputs ``(N, C, 32, 32)``, which pooling reduces to one position.
    gain, hidden_gain, output_gain
        Factors on Glorot's initial weights: of the convolutions, of the hidden linear layers, and of the last layer.
    activation
        "relu", as in the paper, or another of torch's (``normscape.models.activation``).
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
        gain: float = 1.0,
        hidden_gain: float = 1.0,
        output_gain: float = 1.0,
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        if configuration not in KERNELS:
            raise UserError(f"unknown VGG configuration '{configuration}'{suggest(str(configuration), KERNELS)}")
        if not 0.0 <= dropout < 1.0:
            raise UserError(f"dropout={dropout}: expected a probability, from 0 to below 1")
        nonlinearity = activation_class(activation)
        layers = []
        for kernels, full in zip(KERNELS[configuration], CHANNELS, strict=True):
            channels = _scaled(full, width)
            for position, kernel in enumerate(kernels, start=1):
                convolution = nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2)
                pool = nn.MaxPool2d(2) if position == len(kernels) else nn.Identity()
                after = nn.Sequential(nonlinearity(), pool)
                layers.append(Layer(convolution, norm(channels), after=after, gain=gain))
                in_channels = channels
        features = in_channels
        before: nn.Module | None = nn.Flatten()
        for full in head:
            units = _scaled(full, width)
            layers.append(Layer(nn.Linear(features, units), norm(units), before, nonlinearity(), hidden_gain))
            features, before = units, None
        if dropout:
            before = nn.Sequential(before or nn.Identity(), nn.Dropout(dropout))
        layers.append(Layer(nn.Linear(features, num_classes), nn.Identity(), before, gain=output_gain))
        super().__init__(layers)
        self.to(memory_format=torch.channels_last)


def _scaled(channels: int, width: float) -> int:
    scaled = float(channels * width)
    if not (scaled >= 1.0 and scaled.is_integer()):
        fits = f"take a width that is a multiple of 1/{channels}, or other layers"
        raise UserError(f"width {width} makes {scaled:g} of {channels} units; {fits}")
    return int(scaled)
