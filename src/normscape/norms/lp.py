"""Normalisation by average p-norms: the paper's l1, l2 and linf."""

import math

import torch
from torch import Tensor, nn

from normscape.errors import UserError
from normscape.norms.half import widened
from normscape.norms.options import check_features, check_momentum, check_number


class LpNorm(nn.Module):
    """``weight * (x - mean) / size + bias`` per feature, with the average p-norm of the uncentred ``x`` as size.

    ``size = (mean |x|^p + eps)^(1/p)``, and ``max |x| + eps`` for p = inf, over the batch and all positions. Source:
    paper, section 3.3 (centred by the batch mean, divided by the p-norm taken before centring). With eps inside the
    root, p = 2 is exactly BatchNorm on a batch whose mean is zero. At x = 0 the gradient of ``|x|`` is taken as 0, and
    several equally large ``|x|`` share the gradient of their maximum.

    Evaluation divides by the same function of ``running_moment``, which follows ``mean |x|^p`` (``max |x|`` for inf)
    of the batches unchanged: for p = 2 without BatchNorm's factor m / (m - 1), since no mean was subtracted.

    Parameters
    ----------
    num_features
        F of ``(N, F)`` or C of ``(N, C, H, W)``.
    p
        At least 1, or infinity (as a float, or as the word "inf" or ".inf").
    eps
        Added to the p-th moment; at least 0, at which a feature whose values are all 0 gives NaN. For large finite p it
        weighs more, since its root does: eps^(1/p).
    momentum
        Weight of the newest batch in the running buffers, from 0 to 1.

    Raises
    ------
    UserError
        If ``p`` or another option is not such a number.
    """

    running_mean: Tensor
    running_moment: Tensor

    def __init__(self, num_features: int, p: float | str, eps: float = 1e-5, momentum: float = 0.1) -> None:
        check_features(num_features)
        check_number("eps", eps, 0.0, hint=", e.g. 1e-5")
        check_momentum(momentum)
        super().__init__()
        self.p = _exponent(p)
        self.eps = eps
        self.momentum = momentum
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_moment", torch.ones(num_features))

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised ``x``, of its shape.

        Raises
        ------
        ValueError
            In training mode with one value per feature: it is its own mean, and only the bias would be left of it.
        """
        x = widened(x)
        if self.training:
            if x.numel() == x.shape[1]:
                raise ValueError(f"expected more than 1 value per feature in training mode, not {tuple(x.shape)}")
            axes = (0, *range(2, x.dim()))
            mean, moment = x.mean(axes), self._moment(x, axes)
            self._follow(self.running_mean, mean)
            self._follow(self.running_moment, moment)
        else:
            mean, moment = self.running_mean, self.running_moment
        size = (moment + self.eps).pow(1.0 if math.isinf(self.p) else 1.0 / self.p)
        scale = self.weight / size
        shift = self.bias - mean * scale
        shape = (1, -1) + (1,) * (x.dim() - 2)
        return torch.addcmul(shift.view(shape), x, scale.view(shape))

    def extra_repr(self) -> str:
        """Show p, in which the members of the family differ."""
        return f"p={self.p}"

    def _moment(self, x: Tensor, axes: tuple[int, ...]) -> Tensor:
        if self.p == 1.0:
            return x.abs().mean(axes)
        if self.p == 2.0:
            return x.square().mean(axes)
        if math.isinf(self.p):
            # Over the batch, then over positions: both at once is ten times slower for few channels in channels-last
            # memory.
            rows = x.movedim(1, -1).reshape(len(x), -1)
            return rows.abs().amax(0).view(-1, x.shape[1]).amax(0)
        return x.abs().pow(self.p).mean(axes)

    @torch.no_grad()
    def _follow(self, running: Tensor, newest: Tensor) -> None:
        running.mul_(1.0 - self.momentum).add_(newest, alpha=self.momentum)


def _exponent(p: float | str) -> float:
    try:
        number = math.inf if p == ".inf" else float(p)
    except (TypeError, ValueError):
        number = math.nan
    if not number >= 1.0:
        raise UserError(f"{p!r} is not an exponent of an Lp norm: give a number of at least 1, or inf")
    return number
