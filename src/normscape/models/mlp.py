"""A multilayer perceptron."""

from collections.abc import Sequence

from torch import nn

from normscape.models.activation import activation_class
from normscape.models.layered import Layer, LayeredModel, NormFactory


class MLP(LayeredModel):
    """Hidden linear layers with normalisation and nonlinearity, then a linear layer with neither.

    Three sigmoid layers of 100 units are the net of Ioffe & Szegedy 2015, section 4.1. Every layer has a bias, although
    a norm that centres removes it again, so that every variant has the same weight layers.

    Parameters
    ----------
    in_features
        Number of input values D; inputs ``(N, C, H, W)`` are flattened to ``(N, D)``.
    hidden
        Units of each hidden layer.
    out_features
        Units of the output ``(N, out_features)``.
    norm
        Makes the normalisation of a hidden layer.
    activation
        "relu", "sigmoid", "elu" or another of torch's (``normscape.models.activation``).
    initial_std
        See `LayeredModel`.

    Raises
    ------
    UserError
        If the activation is unknown, or ``initial_std`` is not above 0.
    """

    def __init__(
        self,
        in_features: int,
        hidden: Sequence[int],
        out_features: int,
        norm: NormFactory,
        activation: str = "relu",
        initial_std: float | None = None,
    ) -> None:
        nonlinearity = activation_class(activation)
        layers = []
        before: nn.Module | None = nn.Flatten()
        for units in hidden:
            layers.append(Layer(nn.Linear(in_features, units), norm(units), before, after=nonlinearity()))
            in_features, before = units, None
        layers.append(Layer(nn.Linear(in_features, out_features), nn.Identity(), before))
        super().__init__(layers, initial_std)
