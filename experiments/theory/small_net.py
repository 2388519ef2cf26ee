"""A net small enough to search for the worst input of one layer: W, BatchNorm or none, tanh, softmax; in float64."""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from normscape.seeds import generator
from normscape.theory import (
    Minimax,
    Normalised,
    Products,
    Statement,
    batch_norm,
    neutral,
    normalised,
    theorem_4_4,
    theorem_c_1,
)

SAMPLES, FEATURES, UNITS, CLASSES = 16, 8, 4, 3
EPS = 1e-5
UNIT = 0
"""The unit j whose weights the statements are about; all are drawn alike."""


@dataclass(frozen=True)
class SmallNet:
    """Weights and targets of a seed; with ``norm``, BatchNorm behind W, gamma and beta neutral at the first input."""

    seed: int
    norm: bool

    def drawn(self, what: str, *shape: int) -> Tensor:
        """Return standard normal numbers, the same with and without BatchNorm."""
        return torch.randn(*shape, generator=generator(self.seed, "small net", what), dtype=torch.float64)

    @cached_property
    def first(self) -> Tensor:
        """X at which BatchNorm changes nothing, ``(m, d)``."""
        return self.drawn("input", SAMPLES, FEATURES)

    @cached_property
    def radius(self) -> float:
        """Lambda: the Frobenius norm of the first input."""
        return float(torch.linalg.vector_norm(self.first))

    @cached_property
    def weights(self) -> Tensor:
        """W, ``(units, d)``."""
        return self.drawn("weights", UNITS, FEATURES) / math.sqrt(FEATURES)

    @cached_property
    def constants(self) -> tuple[Tensor, Tensor]:
        """Gamma and beta."""
        return neutral(self.weights @ self.first.T, EPS)

    def behind(self, z: Tensor) -> Tensor:
        """Return the loss as a function of what enters the tanh, ``(units, m)``, summed over samples."""
        targets = torch.arange(SAMPLES) % CLASSES
        outputs = (self.drawn("readout", CLASSES, UNITS) @ torch.tanh(z)).T
        loss: Tensor = torch.nn.functional.cross_entropy(outputs, targets, reduction="sum")
        return loss

    def loss(self, y: Tensor) -> Tensor:
        """Return the loss as a function of the layer's output, ``(units, m)``."""
        return self.behind(batch_norm(y, *self.constants, EPS) if self.norm else y)

    def weight_gradient(self, x: Tensor) -> Tensor:
        """Return the gradient w.r.t. the weights of the unit, ``(d,)``, with its graph."""
        weights = self.weights.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(self.loss(weights @ x.T), weights, create_graph=True)
        mine: Tensor = gradient[UNIT]
        return mine

    def gradient_square(self, x: Tensor) -> Tensor:
        """Return ||dL/dw_j||^2, what theorem 4.4 maximises."""
        return self.weight_gradient(x).square().sum()

    def curvature(self, x: Tensor) -> Tensor:
        """Return the curvature along the gradient, (dL/dw_j)' H_w (dL/dw_j), what theorem C.1 maximises."""
        along = self.weight_gradient(x)
        t = torch.zeros((), dtype=torch.float64, requires_grad=True)
        moved = torch.cat([(self.weights[UNIT] + t * along)[None], self.weights[UNIT + 1 :]])
        (slope,) = torch.autograd.grad(self.loss(moved @ x.T), t, create_graph=True)
        (bend,) = torch.autograd.grad(slope, t, create_graph=True)
        return bend

    def shrunk(self, share: float) -> Tensor:
        """Return the first input with its part along w_j, and so the unit's outputs, scaled down."""
        w = self.weights[UNIT]
        return self.first - (1 - share) * torch.outer(self.first @ w, w) / w.square().sum()


@dataclass(frozen=True)
class AtInput:
    """A net with BatchNorm at one input: what its statements need, of the one unit."""

    net: SmallNet
    x: Tensor

    @cached_property
    def y(self) -> Normalised:
        """The unit's normalised output."""
        return normalised(self.net.weights @ self.x.T, EPS).of(torch.tensor([UNIT]))

    @property
    def gamma(self) -> Tensor:
        """The unit's gamma."""
        return self.net.constants[0][UNIT : UNIT + 1]

    @cached_property
    def _outputs(self) -> tuple[Tensor, Tensor]:
        y = (self.net.weights @ self.x.T).requires_grad_()
        z = batch_norm(y.detach(), *self.net.constants, EPS).requires_grad_()
        return y, z

    @cached_property
    def g(self) -> Tensor:
        """The gradient w.r.t. z_j, ``(1, m)``, with its graph."""
        _, z = self._outputs
        return torch.autograd.grad(self.net.behind(z), z, create_graph=True)[0][UNIT : UNIT + 1]

    @cached_property
    def h(self) -> Tensor:
        """The gradient w.r.t. y_j, ``(1, m)``, with its graph."""
        y, _ = self._outputs
        return torch.autograd.grad(self.net.loss(y), y, create_graph=True)[0][UNIT : UNIT + 1]

    def theorem_4_4(self, largest: float) -> Minimax:
        """Return both sides of the theorem, given the largest squared gradient found without BatchNorm."""
        known = torch.tensor([largest], dtype=torch.float64)
        return theorem_4_4(self.x, self.g.detach(), self.h.detach(), self.y, self.gamma, self.net.radius, known)

    def theorem_c_1(self, largest: float) -> Statement:
        """Return both sides of the theorem, given the largest curvature found without BatchNorm."""
        v = self.h.detach() @ self.x @ self.x.T
        y, z = self._outputs
        bent = torch.autograd.grad((self.h * v).sum(), y, retain_graph=True)[0][UNIT]
        vectors = (v, torch.ones_like(v), self.y.values)
        products = [torch.autograd.grad((self.g * u).sum(), z, retain_graph=True)[0][UNIT : UNIT + 1] for u in vectors]
        known = torch.tensor([largest], dtype=torch.float64)
        return theorem_c_1(v, (v * bent).sum(1), self.g.detach(), Products(*products), self.y, self.gamma, known)
