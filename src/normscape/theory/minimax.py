"""Theorems 4.4 and C.1: how large the gradient w.r.t. a layer's weights, and its curvature, can be over its inputs."""

from dataclasses import dataclass

import torch
from torch import Tensor

from normscape.theory.normalised import Normalised
from normscape.theory.smoothness import Products
from normscape.theory.statement import ROUNDING, Statement


@dataclass(frozen=True, kw_only=True)
class Minimax(Statement):
    """Theorem 4.4, with a third right side: as printed, but with ``powers`` that fit."""

    powers: Tensor


def theorem_4_4(
    x: Tensor, g: Tensor, h: Tensor, y: Normalised, gamma: Tensor, radius: float, largest: Tensor
) -> "Minimax":
    r"""Return both sides of theorem 4.4 for each unit j, at one input X of the layer with ||X|| <= lambda.

    ghat_j and g_j are the maxima over ||X|| <= lambda of ||dLhat/dw_j||^2 and ||dL/dw_j||^2. At an X, dLhat/dw_j = X'h.

    As printed: ghat_j <= gamma^2/sigma^2 ( g_j^2 - m mean(g)^2 - lambda^2 <g, yhat>^2 ), g_j already a square.
    Derived, at every X: ||X'h||^2 <= gamma^2/sigma^2 lambda^2 ( ||g||^2 - m mean(g)^2 - (2 - kappa) <g, yhat>^2/m ),
    with equality where X = lambda h u' / ||h|| for a unit vector u.

    The derived form is about the same X on both sides. Between two maxima, each at an X of its own, nothing follows:
    the printed form does not say at which X sigma, mean(g) and yhat are to be taken; here all are of ``x``. ``powers``
    is the printed form with its powers set right: gamma^2/sigma^2 ( g_j - lambda^2 (m mean(g)^2 + <g, yhat>^2/m) ).

    Parameters
    ----------
    x
        X, ``(m, d)``, a row for each value of the batch.
    g, h, y, gamma
        As in `theorem_4_1`, at X.
    radius
        lambda, 0 or more.
    largest
        g_j, ``(units,)``, or the largest value known, from below.

    Raises
    ------
    ValueError
        If X is outside of the ball: its spectral norm exceeds lambda.
    """
    _require_inside(x, radius)
    gain, square = (gamma / y.sigma).square(), radius**2
    one, yhat = y.m * g.mean(1).square(), y.along(g).square()
    left = (h @ x).square().sum(1)
    derived = gain * square * (g.square().sum(1) - one - (2 - y.kappa) * yhat / y.m)
    size = gain * square * g.square().sum(1)
    powers = gain * (largest - square * (one + yhat / y.m))
    return Minimax(
        left=left,
        printed=gain * (largest.square() - one - square * yhat),
        derived=derived,
        size=size,
        powers=powers,
        conditions={"bound": left <= derived + ROUNDING * size},
    )


def theorem_c_1(
    v: Tensor, left: Tensor, g: Tensor, products: Products, y: Normalised, gamma: Tensor, largest: Tensor
) -> Statement:
    r"""Return both sides of theorem C.1 for each unit j, at one input X of the layer.

    What is maximised is the curvature of the loss w.r.t. w_j along its own gradient X'h, which is v' Hhat v, v = X X'h.

    Derived, an equality at every X: v' Hhat v = gamma^2/sigma^2 (P v)' H (P v)
    - gamma/(m sigma^2) ( <g, yhat> v' P v + 2 <v, P g> <v, yhat> ).

    Our source says only that C.1 is 4.4 for smoothness, so the ``printed`` side is our reading of it, the reading of
    theorem 4.2 between maxima: gamma^2/sigma^2 ( largest - <g, yhat> ||v||^2 / (m gamma) ).

    Parameters
    ----------
    v
        X X'h, ``(units, m)``.
    left
        v' (d^2 Lhat / dy_j dy_j) v, ``(units,)``.
    g, y, gamma
        As in `theorem_4_1`, at X.
    products
        H_jj times v (in the place of g), 1 and yhat.
    largest
        The maximum of the same curvature without BatchNorm, ``(units,)``, or the largest value known, from below.
    """
    gain, twist = (gamma / y.sigma).square(), gamma / (y.m * y.sigma.square())
    pv, form = y.projected(v), products.times(y, v)
    first = gain * (pv * form).sum(1)
    second = twist * (y.along(g) * (v * pv).sum(1) + 2 * (v * y.projected(g)).sum(1) * y.along(v))
    return Statement(
        left=left,
        printed=gain * largest - twist * y.along(g) * v.square().sum(1),
        derived=first - second,
        size=first.abs() + second.abs(),
    )


def _require_inside(x: Tensor, radius: float) -> None:
    norm = float(torch.linalg.matrix_norm(x.detach(), ord=2))
    if norm > radius * (1 + 1e-9):
        raise ValueError(f"||X|| is {norm:g}; theorem 4.4 is about X with ||X|| <= {radius:g}")
