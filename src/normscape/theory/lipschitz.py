"""Theorem 4.1: what BatchNorm makes of the squared norm of the gradient w.r.t. a layer's output."""

from torch import Tensor

from normscape.theory.normalised import Normalised
from normscape.theory.statement import Statement


def gradient_terms(g: Tensor, y: Normalised) -> tuple[Tensor, Tensor, Tensor]:
    """Return ||g||^2 and what the theorem's two terms subtract from it, as derived: along 1, and along yhat.

    They are <1, g>^2 / m and (2 - kappa) <g, yhat>^2 / m, each ``(units,)``.
    """
    return g.square().sum(1), g.sum(1).square() / y.m, (2 - y.kappa) * y.along(g).square() / y.m


def theorem_4_1(g: Tensor, h: Tensor, y: Normalised, gamma: Tensor) -> Statement:
    r"""Return both sides of theorem 4.1 for each unit.

    As printed: ||h||^2 <= gamma^2/sigma^2 ( ||g||^2 - <1, g>^2/m - <g, yhat>^2/m ).
    Derived:    ||h||^2  = gamma^2/sigma^2 ( ||g||^2 - <1, g>^2/m - (2 - kappa) <g, yhat>^2/m ).

    With eps = 0 kappa is 1 and the printed inequality is an equality. With eps > 0 it is a true inequality.

    Parameters
    ----------
    g, h
        dLhat/dz and dLhat/dy, ``(units, m)``, z = gamma yhat + beta. The paper writes dL/dy for g, which is the same
        where the layer is inserted with gamma = sigma and beta = mean.
    y
        The normalised output of the layer.
    gamma
        ``(units,)``.
    """
    whole, along_one, along_yhat = gradient_terms(g, y)
    gain = (gamma / y.sigma).square()
    return Statement(
        left=h.square().sum(1),
        printed=gain * (whole - along_one - along_yhat / (2 - y.kappa)),
        derived=gain * (whole - along_one - along_yhat),
        size=gain * whole,
    )
