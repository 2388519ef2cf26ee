"""Lemma 4.5: how far the nearest optimum is from the initial weights, with BatchNorm and without."""

import torch
from torch import Tensor

from normscape.theory.statement import Statement


def lemma_4_5(initial: Tensor, optimum: Tensor) -> Statement:
    r"""Return both sides of lemma 4.5 for each unit (or layer), a row of weights each.

    With BatchNorm a W* is as good an optimum as W*, for any a > 0. What* is the one of them that is nearest to W0.

    As printed: ||W0 - What*||^2 <= ||W0 - W*||^2 - ( ||W*||^2 - <W*, W0> )^2 / ||W*||^2, if <W0, W*> > 0.
    Derived: ||W0 - What*||^2 = ||W0||^2 - <W0, W*>^2 / ||W*||^2 if <W0, W*> > 0, which is the same number, and
    ||W0||^2 otherwise, an infimum that no a > 0 attains.

    So the printed form is an equality under its condition, and fails without it unless <W0, W*> is 0. Conditions:

    - ``positive``: <W0, W*> > 0.

    Where gamma is learned, the condition can go: gamma -> -gamma makes up for a < 0 (and for eps, which makes
    BN(a W x) differ from BN(W x)), so the printed right side is attained whatever the sign.

    Parameters
    ----------
    initial, optimum
        W0 and W*, ``(units, d)``.
    """
    inner, square = (initial * optimum).sum(1), optimum.square().sum(1)
    nearest = (inner.clamp(min=0) / square)[:, None] * optimum
    length = initial.square().sum(1)
    without = (initial - optimum).square().sum(1)
    return Statement(
        left=(initial - nearest).square().sum(1),
        printed=without - (square - inner).square() / square,
        derived=length - inner.clamp(min=0).square() / square,
        size=torch.maximum(without, length),
        conditions={"positive": inner > 0},
    )
