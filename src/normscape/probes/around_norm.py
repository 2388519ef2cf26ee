"""The derivatives of a step's loss on both sides of one BatchNorm layer: what the theorems of section 4 compare."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from normscape.network import WeightLayer
from normscape.probes.units import by_unit, from_units
from normscape.theory import Normalised, Products, batch_norm, neutral, normalised
from normscape.twin.cut import Insertion
from normscape.view import StepView


@dataclass(frozen=True)
class Place:
    """One weight layer and the BatchNorm layer behind it, the network's own or inserted.

    Attributes
    ----------
    layer
        The weight layer, with output y.
    eps
        Of the BatchNorm layer, with output z.
    norm
        Path and module of the network's own; None if it is inserted, with gamma = sigma and beta = mean of the step's
        batch, so that it changes no activation (Observation 4.3). They are constants: no gradient flows through them.
    """

    layer: WeightLayer
    eps: float
    norm: tuple[str, nn.Module] | None = None

    @property
    def behind(self) -> str:
        """The path of the module whose output is z, or y if the layer is inserted, where both are the same."""
        return self.norm[0] if self.norm else self.layer.path

    def insertion(self, gamma: Tensor, beta: Tensor) -> Insertion | None:
        """Return what is put behind the weight layer, None if the network has it itself.

        It has BatchNorm's derivatives and passes on exactly what it is given: by rounding, BatchNorm would move what
        lies on the kink of a ReLU, as zeros do before biases are trained, to one of its sides.
        """

        def insert(output: Tensor) -> Tensor:
            normed = self.normed(output, gamma, beta)
            return output.detach() + (normed - normed.detach())

        return None if self.norm else insert

    def normed(self, output: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        """Return what BatchNorm itself makes of the layer's output."""
        values = by_unit(output, self.layer)
        return from_units(batch_norm(values, gamma.to(values), beta.to(values), self.eps), output, self.layer)


@dataclass(frozen=True)
class Gradients:
    """First derivatives, ``(units, m)``, and what they belong to.

    Attributes
    ----------
    place
        Where.
    y
        The layer's output, normalised.
    gamma, beta
        Of BatchNorm, ``(units,)``.
    g, h
        dLhat/dz and dLhat/dy.
    change
        What an inserted layer changes, relative: of the loss and of the outputs, whichever is more; else None.
    """

    place: Place
    y: Normalised
    gamma: Tensor
    beta: Tensor
    g: Tensor
    h: Tensor
    change: float | None

    def of(self, units: Tensor) -> "Gradients":
        """Return those of some units."""
        parts = (self.gamma[units], self.beta[units], self.g[units], self.h[units])
        return Gradients(self.place, self.y.of(units), *parts, self.change)


def gradients_around(view: StepView, place: Place) -> Gradients:
    """Return the first derivatives around BatchNorm. Two forward-backward passes, and a forward pass if inserted."""
    layer = place.layer
    with view.loss_behind(place.behind) as (output, loss):
        z, g = by_unit(output.detach(), layer), _gradient(loss, output, layer)
    gamma, beta = _scale_and_shift(place.norm[1], z) if place.norm else neutral(z, place.eps)
    with view.loss_behind(layer.path, place.insertion(gamma, beta)) as (output, loss):
        values, h = by_unit(output.detach(), layer), _gradient(loss, output, layer)
    change = None if place.norm else _change(view, place, gamma, beta, loss.detach())
    return Gradients(place, normalised(values, place.eps), gamma, beta, g, h, change)


def _change(view: StepView, place: Place, gamma: Tensor, beta: Tensor, loss: Tensor) -> float:
    """Return how much the inserted layer, by itself, changes outputs and loss, relative; whichever is more."""
    moved: list[Tensor] = []

    def insert(output: Tensor) -> Tensor:
        normed = place.normed(output, gamma, beta)
        moved.append((normed - output).abs().max() / output.abs().max())
        return normed

    with view.loss_behind(place.layer.path, insert) as (_, through):
        return torch.stack([moved[0], ((through - loss) / loss).abs()]).max().item()  # NaN if one is


def _scale_and_shift(norm: nn.Module, z: Tensor) -> tuple[Tensor, Tensor]:
    """Return gamma and beta of a BatchNorm layer with output z, 1 and 0 if it has learned none."""
    weight, bias = (getattr(norm, name, None) for name in ("weight", "bias"))
    gamma = weight.detach().clone() if isinstance(weight, Tensor) else torch.ones_like(z[:, 0])
    return gamma, bias.detach().clone() if isinstance(bias, Tensor) else torch.zeros_like(gamma)


def _gradient(loss: Tensor, output: Tensor, layer: WeightLayer) -> Tensor:
    (gradient,) = torch.autograd.grad(loss, output)
    return by_unit(gradient, layer)


@dataclass(frozen=True)
class Curvatures:
    """Second derivatives of some units.

    Attributes
    ----------
    products
        H_jj, the Hessian w.r.t. z_j, times g, 1 and yhat, ``(units, m)`` each.
    form
        h' (d^2 Lhat / dy_j dy_j) h, through BatchNorm, by autograd, ``(units,)``.
    """

    products: Products
    form: Tensor


def curvatures_around(view: StepView, gradients: Gradients, units: Tensor) -> Curvatures:
    """Return the second derivatives of some units, in the precision of the view.

    Cost per unit: four times the forward-backward pass of a gradient of what follows the layer.
    """
    place, mine, chosen = gradients.place, gradients.of(units), units.tolist()
    with differentiable(view, place.layer, place.behind) as plain:
        vectors = (mine.g, torch.ones_like(mine.g), mine.y.values)
        products = [
            torch.stack([plain.hessian_times(j, v) for j, v in zip(chosen, each, strict=True)]) for each in vectors
        ]
    insert = place.insertion(gradients.gamma, gradients.beta)
    with differentiable(view, place.layer, place.layer.path, insert) as through:
        forms = [h @ through.hessian_times(j, h) for j, h in zip(chosen, mine.h, strict=True)]
    return Curvatures(Products(*products), torch.stack(forms))


@contextmanager
def differentiable(
    view: StepView, layer: WeightLayer, path: str, insert: Insertion | None = None
) -> Iterator["Differentiable"]:
    """Yield the gradient of the loss w.r.t. what a module puts out, to be differentiated once more."""
    with view.loss_behind(path, insert) as (output, loss):
        (gradient,) = torch.autograd.grad(loss, output, create_graph=True)
        yield Differentiable(output, by_unit(gradient, layer), layer)


@dataclass(frozen=True)
class Differentiable:
    """A module's output, the gradient there with its graph, ``(units, m)``, and the layer whose units these are."""

    output: Tensor
    gradient: Tensor
    layer: WeightLayer

    def hessian_times(self, unit: int, v: Tensor) -> Tensor:
        """Return H_jj v for unit j, ``(m,)``, in the precision of v."""
        if not self.gradient.requires_grad:  # linear from here on
            return torch.zeros_like(v)
        along = (self.gradient[unit] * v.to(self.gradient)).sum()
        (product,) = torch.autograd.grad(along, self.output, retain_graph=True)
        return by_unit(product, self.layer)[unit].to(v)
