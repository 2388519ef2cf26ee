"""What every network of the suite has in common: numbered weight layers, each with its normalisation."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from normscape.errors import UserError
from normscape.norms.weight import WeightNorm
from normscape.seeds import generator

NormFactory = Callable[[int], nn.Module]
"""Makes the normalisation of a layer from its number of features (channels)."""


class Layer(nn.Module):
    """One weight layer: ``after(norm(linear(before(x))))``.

    Parameters
    ----------
    linear
        The convolution or linear map that holds the layer's weight (and bias).
    norm
        Acts on the output of ``linear``, before the nonlinearity (paper, section 2); `WeightNorm` on its weight.
    before, after
        Parameter-free maps, e.g. flattening before the first linear layer; ReLU and pooling after a convolution.
    gain
        Factor on Glorot's initial weights.
    """

    def __init__(
        self,
        linear: nn.Module,
        norm: nn.Module,
        before: nn.Module | None = None,
        after: nn.Module | None = None,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.gain = gain
        self.before = before or nn.Identity()
        self.linear = linear
        self.norm = norm
        self.after = after or nn.Identity()
        if isinstance(norm, WeightNorm):
            norm.reparametrise(linear)

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output. What `norm` returns is the layer's pre-activation."""
        return self.after(self.norm(self.linear(self.before(x))))  # type: ignore[no-any-return]


class LayeredModel(nn.Module):
    """A chain of weight layers numbered from 1 in forward order; the same numbers whatever the normalisation.

    ``model.layers["3"]`` is layer 3, ``layers.3.linear.weight`` its weight. Forward is the composition of the layers
    and nothing else, which is what lets a probe walk the chain one layer at a time. A subclass may have another
    ``forward``: the probes notice that it is not a chain, and number its layers as they run (`normscape.network`).

    Parameters
    ----------
    layers
        In forward order.
    initial_std
        Standard deviation of Gaussian initial weights (see ``gaussian_``); None for Glorot's (see ``glorot_``).

    Raises
    ------
    UserError
        If ``initial_std`` is not above 0.
    """

    def __init__(self, layers: Iterable[Layer], initial_std: float | None = None) -> None:
        if initial_std is not None and not initial_std > 0:
            raise UserError(f"initial_std={initial_std}: expected a number above 0, or null for Glorot's weights")
        super().__init__()
        self.initial_std = initial_std
        self.layers = nn.ModuleDict({str(number): layer for number, layer in enumerate(layers, start=1)})

    def forward(self, x: Tensor) -> Tensor:
        """Return the network's output for ``x``, ``(N, C, H, W)`` or ``(N, D)``."""
        for layer in self.layers.values():
            x = layer(x)
        return x


def initialise(model: LayeredModel, seed: int) -> None:
    """Give a network its initial weights, in place: Gaussian ones if it says so, else Glorot's."""
    if model.initial_std is None:
        glorot_(model, seed)
    else:
        gaussian_(model, seed, model.initial_std)


def glorot_(model: LayeredModel, seed: int) -> None:
    """Initialise all weights by Glorot's uniform rule and biases by zero, in place.

    Each layer has its own stream, so that every normalisation starts from the same weights. Source: paper, appendix A
    ("Glorot"); whether uniform or normal is not stated; both have variance 2 gain^2 / (fan_in + fan_out), with the
    gain of the layer.

    Raises
    ------
    UserError
        If a layer's weight is neither a parameter nor a parametrisation that can be set.
    """
    _fill(model, seed, nn.init.xavier_uniform_)


def gaussian_(model: LayeredModel, seed: int, std: float) -> None:
    """Initialise all weights by N(0, (gain std)^2) and biases by zero, in place; streams and errors as in `glorot_`.

    Source: Ioffe & Szegedy 2015, section 4.1 ("small random Gaussian values", whose size is not stated).
    """
    _fill(model, seed, lambda weight, gain, generator: nn.init.normal_(weight, std=gain * std, generator=generator))


@torch.no_grad()
def _fill(model: LayeredModel, seed: int, draw: Callable[..., Tensor]) -> None:
    for number, layer in model.layers.items():
        linear = layer.linear
        assert isinstance(linear, nn.Module)
        gain = float(getattr(layer, "gain", 1.0))
        stream = generator(seed, "init", int(number))
        weight = linear.weight
        assert isinstance(weight, Tensor)
        if is_parametrized(linear, "weight"):  # its weight is computed: anything written into it would be lost
            parts = linear.get_submodule("parametrizations.weight").parameters()
            own = next((p for p in parts if p.shape == weight.shape), weight)
            like = torch.empty_like(own)  # draws fill memory in its order, which is that of every variant's weight
            linear.weight = draw(like, gain, generator=stream)
        elif isinstance(linear._parameters.get("weight"), nn.Parameter):
            draw(weight, gain, generator=stream)
        else:
            raise UserError(
                f"layer {number}: the weight of its {type(linear).__name__} is no parameter, so it cannot be "
                "initialised; use torch.nn.utils.parametrizations instead of the older hooks"
            )
        bias = getattr(linear, "bias", None)
        if isinstance(bias, Tensor):
            bias.zero_()
