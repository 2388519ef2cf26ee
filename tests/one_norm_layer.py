"""A small network with one BatchNorm layer, in float64: what the theorems are about, for autograd to take apart."""

import torch
from torch.autograd.functional import hessian

from normscape.theory import batch_norm, neutral, normalised

UNITS, M = 3, 7


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Layer:
    """The outputs y of three units, the loss as a function of z, and gamma, beta, eps of a BatchNorm layer between."""

    def __init__(self, eps=1e-5, inserted=False, seed=0, spread=1.0):
        self.eps, self.y = eps, 0.3 + spread * drawn(UNITS, M, seed=seed)
        self.mix, self.targets = drawn(UNITS, UNITS, seed=seed + 1), drawn(UNITS, M, seed=seed + 2)
        self.gamma, self.beta = neutral(self.y, eps) if inserted else (drawn(UNITS, seed=3) + 2, drawn(UNITS, seed=4))
        self.normalised = normalised(self.y, eps)

    def loss(self, z):
        """Not convex, and with a Hessian that is not diagonal: units mix, and samples meet in the last term."""
        mixed = torch.tanh(self.mix @ z)
        return 0.5 * (mixed - self.targets).square().sum() + 0.1 * mixed.mean(1).pow(3).sum() + 0.2 * z.sum().sin()

    def loss_with_norm(self, y):
        return self.loss(batch_norm(y, self.gamma, self.beta, self.eps))

    @property
    def z(self):
        return batch_norm(self.y, self.gamma, self.beta, self.eps)

    @property
    def g(self):
        return gradient(self.loss, self.z)

    @property
    def h(self):
        return gradient(self.loss_with_norm, self.y)

    @property
    def blocks(self):
        """H_jj and Hhat_jj of each unit, ``(units, m, m)``, entry by entry."""
        return blocks(self.loss, self.z), blocks(self.loss_with_norm, self.y)


def gradient(function, at):
    leaf = at.detach().clone().requires_grad_()
    return torch.autograd.grad(function(leaf), leaf)[0]


def blocks(function, at):
    whole = hessian(function, at)
    return torch.stack([whole[j, :, j, :] for j in range(len(at))])


def form(matrices, v):
    """Return v' A v of each unit."""
    return torch.einsum("ji,jik,jk->j", v, matrices, v)


def times(matrices, v):
    return torch.einsum("jik,jk->ji", matrices, v)
