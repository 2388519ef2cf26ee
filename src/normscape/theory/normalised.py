"""BatchNorm's normalisation: its statistics, its Jacobian in closed form, and the layer that changes nothing."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Normalised:
    r"""Values of units over a batch, normalised: yhat = (y - mean) / sigma with sigma = sqrt(var + eps).

    Attributes
    ----------
    mean, sigma
        ``(units,)``; the variance is the biased one.
    values
        yhat, ``(units, m)``. Its mean is 0 and its squared norm is m ``kappa``.
    kappa
        var / (var + eps), ``(units,)``: 1 if eps is 0. It is the square of what eps makes of yhat's deviation.
    """

    mean: Tensor
    sigma: Tensor
    values: Tensor
    kappa: Tensor

    @cached_property
    def m(self) -> int:
        """The number of values of a unit."""
        return self.values.shape[1]

    def of(self, units: Tensor) -> "Normalised":
        """Return those of some units."""
        return Normalised(self.mean[units], self.sigma[units], self.values[units], self.kappa[units])

    def along(self, v: Tensor) -> Tensor:
        """Return <v, yhat> of each unit, ``(units,)``, for ``v`` of ``(units, m)``."""
        return (v * self.values).sum(1)

    def projected(self, v: Tensor) -> Tensor:
        r"""Return P v, where P = I - 11'/m - yhat yhat'/m is sigma times the Jacobian of yhat w.r.t. y.

        With eps = 0 it is the orthogonal projection off 1 and yhat. With eps > 0 it is symmetric but no projection: it
        leaves the share 1 - kappa of what lies along yhat.
        """
        return v - v.mean(1, keepdim=True) - (self.along(v) / self.m)[:, None] * self.values


def normalised(y: Tensor, eps: float) -> Normalised:
    """Return the normalised values of units, ``y`` of ``(units, m)``. Source: Ioffe & Szegedy 2015, Algorithm 1."""
    mean = y.mean(1)
    centred = y - mean[:, None]
    variance = centred.square().mean(1)
    sigma = (variance + eps).sqrt()
    return Normalised(mean, sigma, centred / sigma[:, None], variance / (variance + eps))


def batch_norm(y: Tensor, gamma: Tensor, beta: Tensor, eps: float) -> Tensor:
    """Return gamma yhat + beta, ``(units, m)``, by operations that can be differentiated twice."""
    return gamma[:, None] * normalised(y, eps).values + beta[:, None]


def neutral(y: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Return the gamma = sigma and beta = mean with which BatchNorm gives back ``y`` itself (Observation 4.3).

    With sigma = sqrt(var + eps) this is exact for every eps. They are constants: no gradient flows through them.
    """
    statistics = normalised(y.detach(), eps)
    return statistics.sigma, statistics.mean


def jacobian_of_sample(x: Tensor, batch: Tensor, eps: float) -> Tensor:
    r"""Return d Norm(x, X) / dx of each unit, ``(units,)``, X held fixed: 1 / sigma.

    Norm(x, X) = (x - mean(X)) / sqrt(var(X) + eps) normalises one value by the statistics of a set. Source: Ioffe &
    Szegedy 2015, section 2, which asks for both Jacobians.

    Parameters
    ----------
    x
        One value of each unit, ``(units,)``; the Jacobian does not depend on it.
    batch
        X, ``(units, m)``.
    eps
        Added to the variance.
    """
    return torch.ones_like(x) / normalised(batch, eps).sigma


def jacobian_of_set(x: Tensor, batch: Tensor, eps: float) -> Tensor:
    r"""Return d Norm(x, X) / dX of each unit, ``(units, m)``, x held fixed.

    Entry k is -(1 + xhat Xhat_k) / (m sigma), with xhat = Norm(x, X) and Xhat = Norm(X, X): the mean's share and the
    deviation's. Every member of the set has a gradient, whatever x is. Where x is the member i of X, both Jacobians
    add up to row i of (I - 11'/m - Xhat Xhat'/m) / sigma. Parameters as in `jacobian_of_sample`.
    """
    statistics = normalised(batch, eps)
    xhat = (x - statistics.mean) / statistics.sigma
    return -(1 + xhat[:, None] * statistics.values) / (statistics.m * statistics.sigma[:, None])
