"""The paper's noise, which makes distributions unstable: after BatchNorm, or on its own as the control."""

import torch
from torch import Tensor, nn

from normscape.norms.batch import BatchNorm
from normscape.norms.half import widened
from normscape.norms.options import check_features, check_number


def draw_noise(like: Tensor, n_mu: float, n_sigma: float, r_mu: float, r_sigma: float) -> tuple[Tensor, Tensor]:
    """Draw the factors s and summands m of one forward pass of one layer.

    Per unit j: mu_j ~ U(-n_mu, n_mu) and sigma_j ~ U(1, n_sigma); then per sample and spatial position i:
    m_ij ~ U(mu_j - r_mu, mu_j + r_mu) and s_ij ~ N(sigma_j, r_sigma), where we read r_sigma as the standard deviation.
    Source: paper, Algorithm 1.

    The draws are from torch's global random stream on the device of ``like``: the training loop reseeds that stream
    before every step, so that a probe which does the same draws the same noise. They are a function of the stream and
    of the shape, dtype and device of ``like``, not of its memory format or values.

    Parameters
    ----------
    like
        ``(N, F)`` or ``(N, C, H, W)``.
    n_mu, n_sigma
        How far means and standard deviations differ between units and between steps.
    r_mu, r_sigma
        How far shift and scale differ within a unit: half the width of m's interval, standard deviation of s.

    Returns
    -------
    scale, shift
        s and m, of the shape of ``like``, without gradient; channels last in memory.
    """
    shape = like.movedim(1, -1).shape
    mu = like.new_empty(shape[-1]).uniform_(-n_mu, n_mu)
    sigma = like.new_empty(shape[-1]).uniform_(1.0, n_sigma)
    shift = like.new_empty(shape).uniform_(-r_mu, r_mu).add_(mu)
    scale = like.new_empty(shape).normal_(0.0, r_sigma).add_(sigma)
    return scale.movedim(-1, 1), shift.movedim(-1, 1)


class NoisyStandard(nn.Module):
    """``s * x + m`` on the plain pre-activation, s and m drawn afresh at each training step; no noise in evaluation.

    The control of the noise experiment: the paper says (section 2.1) that it keeps the standard network from training
    at all. See ``draw_noise`` for the distribution and for the random stream.

    Parameters
    ----------
    num_features
        Number of features F or channels C; taken because every normalisation takes it, and not used.
    n_mu, n_sigma, r_mu, r_sigma
        See ``draw_noise``; the defaults are the paper's.

    Raises
    ------
    UserError
        If ``n_sigma`` is below 1, another size is below 0, or one of them is not a number.
    """

    def __init__(
        self, num_features: int, n_mu: float = 0.5, n_sigma: float = 1.25, r_mu: float = 0.1, r_sigma: float = 0.1
    ) -> None:
        check_features(num_features)
        check_number("n_sigma", n_sigma, 1.0)
        for name, size in (("n_mu", n_mu), ("r_mu", r_mu), ("r_sigma", r_sigma)):
            check_number(name, size, 0.0)
        super().__init__()
        self.sizes = (n_mu, n_sigma, r_mu, r_sigma)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` with noise in training mode, and ``x`` itself in evaluation mode."""
        if not self.training:
            return x
        x = widened(x)
        scale, shift = draw_noise(x, *self.sizes)
        return torch.addcmul(shift, x, scale)


class NoisyBatchNorm(BatchNorm):
    """BatchNorm, then noise on its output, after scale and shift. Its parameters and buffers are BatchNorm's.

    Source: paper, section 2.1 and Algorithm 1. See ``draw_noise`` for the distribution and for the random stream.

    Parameters
    ----------
    num_features, eps, momentum, accurate
        See `BatchNorm`.
    n_mu, n_sigma, r_mu, r_sigma
        See ``draw_noise``; the defaults are the paper's.

    Raises
    ------
    UserError
        As in `BatchNorm` and `NoisyStandard`.
    """

    def __init__(
        self,
        num_features: int,
        n_mu: float = 0.5,
        n_sigma: float = 1.25,
        r_mu: float = 0.1,
        r_sigma: float = 0.1,
        eps: float = 1e-5,
        momentum: float = 0.1,
        accurate: bool = False,
    ) -> None:
        super().__init__(num_features, eps, momentum, accurate)
        self.noise = NoisyStandard(num_features, n_mu, n_sigma, r_mu, r_sigma)

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised ``x``, with noise in training mode; errors as in `BatchNorm`."""
        return self.noise(super().forward(x))  # type: ignore[no-any-return]
