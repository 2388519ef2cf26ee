"""Theorem 4.2: what BatchNorm makes of the quadratic form of the Hessian, along the gradient."""

from dataclasses import dataclass

import torch
from torch import Tensor

from normscape.theory.normalised import Normalised
from normscape.theory.statement import ROUNDING, Statement

KEEPS_NORMS = 1.25
"""The factor within which H_jj is taken to keep the relative norms of two vectors; the paper names none."""


@dataclass(frozen=True)
class Products:
    """H_jj, the Hessian of the loss w.r.t. z_j, times three vectors: g, 1 and yhat; each ``(units, m)``."""

    g: Tensor
    one: Tensor
    yhat: Tensor

    def times(self, y: Normalised, g: Tensor, along_yhat: Tensor | float = 1.0) -> Tensor:
        """Return H_jj (g - mean(g) 1 - along_yhat <g, yhat> yhat / m), ``(units, m)``.

        That is H_jj P g with ``along_yhat`` 1, and H_jj P P g with 2 - kappa.
        """
        rest = along_yhat * y.along(g) / y.m
        return self.g - g.mean(1, keepdim=True) * self.one - rest[:, None] * self.yhat


@dataclass(frozen=True)
class Curvature:
    """The quadratic forms of theorem 4.2 with the factors of gamma / sigma taken out; all ``(units,)``.

    Attributes
    ----------
    whole
        g' H g: the form without BatchNorm, along its own gradient.
    projected
        (P p)' H (P p) with p = P g: what the projection leaves of it.
    second
        What the second term subtracts: <g, yhat> ( (3 - 2 kappa) ||p||^2 - <p, yhat>^2/m ) / (m gamma). A unit with
        gamma = 0 has none: no gradient gets through to y.
    """

    whole: Tensor
    projected: Tensor
    second: Tensor


def curvature(g: Tensor, products: Products, y: Normalised, gamma: Tensor) -> Curvature:
    """Return the forms that theorem 4.2 compares, from the products of `theorem_4_2`."""
    p = y.projected(g)
    pp, form = y.projected(p), products.times(y, g, 2 - y.kappa)
    length = (3 - 2 * y.kappa) * p.square().sum(1) - y.along(p).square() / y.m
    return Curvature(
        (g * products.g).sum(1),
        (pp * form).sum(1),
        torch.where(gamma == 0, 0.0, y.along(g) * length / (y.m * gamma)),
    )


def theorem_4_2(g: Tensor, h: Tensor, left: Tensor, products: Products, y: Normalised, gamma: Tensor) -> Statement:
    r"""Return both sides of theorem 4.2 for each unit.

    As printed: h' Hhat h <= gamma^2/sigma^2 h' H h - gamma/(m sigma^2) <g, yhat> ||h||^2.
    Derived: h' Hhat h = gamma^2/sigma^2 (P h)' H (P h) - gamma/(m sigma^2) <g, yhat> ( (3 - 2 kappa) ||h||^2
    minus <h, yhat>^2/m ).

    With eps = 0 kappa is 1, P h is h, <h, yhat> is 0, and the printed inequality is an equality. With eps > 0 it may
    fail, by terms of the size of 1 - kappa.

    If H keeps the relative norms of g and h, the right side is then read with g' H g in place of h' H h. As h is
    gamma/sigma times as long as p = P g, the reading needs the factor once more than printed:
    gamma^2/sigma^2 ( gamma^2/sigma^2 g' H g - <g, yhat> ||h||^2 / (m gamma) ). Conditions:

    - ``order``: p' H p <= g' H g, the least that the reading needs;
    - ``norms``: ||H p|| / ||H g|| is ||p|| / ||g|| within a factor ``KEEPS_NORMS``, the paper's words taken literally,
      and false where both are 0;
    - ``curved``: g' H g > 0, as always for a convex loss of piecewise linear maps;
    - ``aligned``: <g, yhat> > 0: else the second term adds to the form instead of subtracting from it;
    - ``reading``, ``reading_as_printed``: whether the inequality so read holds, with and without that factor.

    Parameters
    ----------
    g, h, y, gamma
        As in `theorem_4_1`.
    left
        h' (d^2 Lhat / dy dy) h, ``(units,)``.
    products
        H_jj times g, 1 and yhat.
    """
    gain, twist = (gamma / y.sigma).square(), gamma / (y.m * y.sigma.square()) * y.along(g)
    p, forms = y.projected(g), curvature(g, products, y, gamma)
    along_p, length = products.times(y, g), h.square().sum(1)
    form_of_p = (p * along_p).sum(1)
    derived = gain.square() * (forms.projected - forms.second)
    size = gain.square() * forms.projected.abs() + (twist * length).abs()
    read, read_as_printed = (factor * forms.whole - twist * length for factor in (gain.square(), gain))
    return Statement(
        left=left,
        printed=gain.square() * form_of_p - twist * length,
        derived=derived,
        size=size,
        conditions={
            "order": form_of_p <= forms.whole,
            "norms": _alike(_norm(along_p) * _norm(g), _norm(products.g) * _norm(p)) & products.g.any(1),
            "curved": forms.whole > 0,
            "aligned": y.along(g) > 0,
            "reading": left <= read + ROUNDING * size,
            "reading_as_printed": left <= read_as_printed + ROUNDING * size,
        },
    )


def _norm(v: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(v, dim=1)
    return norm


def _alike(one: Tensor, other: Tensor) -> Tensor:
    return (one <= KEEPS_NORMS * other) & (other <= KEEPS_NORMS * one)
