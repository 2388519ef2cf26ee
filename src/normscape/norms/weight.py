"""Weight normalisation: a reparametrisation of a layer's weight, and nothing that acts on its output."""

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

from normscape.errors import UserError
from normscape.norms.options import check_features


class LengthAndDirection(nn.Module):
    """``W = g v / ||v||``, the norm taken for each unit, the first axis of the weight.

    ``torch.nn.utils.parametrizations.weight_norm`` has the same value and gradient, but a wrong second derivative: its
    kernel differentiates the gradient as if ||v|| were a constant, so that Hessians are not even symmetric
    (``tests/norms/test_weight.py``). These are plain operations.
    """

    def forward(self, g: Tensor, v: Tensor) -> Tensor:
        """Return W, of the shape of ``v``; ``g`` is ``(out, 1, ...)``."""
        return g * v / _lengths(v)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return the g and v that start as a weight: v is the weight itself."""
        return _lengths(weight), weight


def _lengths(v: Tensor) -> Tensor:
    lengths: Tensor = torch.linalg.vector_norm(v, dim=tuple(range(1, v.dim())), keepdim=True)
    return lengths


class WeightNorm(nn.Module):
    """``W = g v / ||v||`` for each unit: a layer learns the length g of its weight and the direction v apart.

    Source: Salimans & Kingma 2016, equation 2, without their data-dependent initialisation: g starts as the norm of the
    initial weight and v as that weight, so that the first output is the standard network's. Training and evaluation are
    the same, and no sample depends on its batch mates.

    A layer of `normscape.LayeredModel` that is given it reparametrises its weight; the module itself is the identity in
    the place where other norms stand. What the suite measures is then, everywhere, a function of g and v, the
    parameters that the optimiser moves: the landscape is probed along the gradient w.r.t. them, its tensor sums count
    the norms of both, the penalty of weight decay is theirs, and the G of a layer's covariance shift is the gradient
    w.r.t. its g and v together, not w.r.t. W. As ||dL/dv|| falls with ||v||, compare ||G - G'|| relative to ||G||.

    Parameters
    ----------
    num_features
        Number of units of the layer; taken because every normalisation takes it, and not used.

    Raises
    ------
    UserError
        If it is not a whole number of at least 1.
    """

    def __init__(self, num_features: int) -> None:
        check_features(num_features)
        super().__init__()
        self.applied = False

    def reparametrise(self, linear: nn.Module) -> None:
        """Give a layer's convolution or linear map g and v in place of its weight."""
        register_parametrization(linear, "weight", LengthAndDirection())
        self.applied = True

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` itself.

        Raises
        ------
        UserError
            If no weight was reparametrised: a network that puts it behind a layer would be the standard one.
        """
        if not self.applied:
            raise UserError(
                "norm: WeightNorm changes the weight of a layer, so only vgg, mlp and dln take it; apply "
                "torch.nn.utils.parametrizations.weight_norm to the layers of another network, with norm=standard"
            )
        return x
