"""The deep linear network."""

from torch import nn

from normscape.errors import UserError
from normscape.models.layered import Layer, LayeredModel, NormFactory


class DLN(LayeredModel):
    """Square linear layers without nonlinearity, a normalisation after each of them but the last.

    Source: paper, appendix A (25 layers of 10x10). Without biases: our reading of "fully
    connected 10x10 layers"; the plotted curves do not show which. That the last layer has no normalisation is our
    reading too: its output has to fit the targets.

    Parameters
    ----------
    norm
        Makes the normalisation of a layer.
    depth
        Number of weight layers.
    features
        Size of inputs, layers and outputs, all ``(N, features)``.

    Raises
    ------
    UserError
        If there is no layer.
    """

    def __init__(self, norm: NormFactory, depth: int = 25, features: int = 10) -> None:
        if depth < 1:
            raise UserError(f"a deep linear net needs a depth of at least 1, not {depth}")
        layers = [Layer(nn.Linear(features, features, bias=False), norm(features)) for _ in range(depth - 1)]
        layers.append(Layer(nn.Linear(features, features, bias=False), nn.Identity()))
        super().__init__(layers)
