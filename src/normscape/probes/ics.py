"""Internal covariate shift as the paper defines it: how far updates of earlier layers turn a layer's gradient."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from normscape.models.layered import LayeredModel
from normscape.probes.probe import Probe, check_layers
from normscape.records import Row, Snapshot
from normscape.view import StepView, kept_streams


class InternalCovariateShift(Probe):
    """Difference and angle between a layer's gradient before and after all earlier layers were updated.

    For layer i, with L the loss of the step's mini-batch, without weight decay, which would cancel from the
    difference and turn both gradients alike:

    - G_i is the gradient of L w.r.t. W_i at (W_1(t), ..., W_k(t));
    - G'_i is the gradient of L w.r.t. W_i at (W_1(t+1), ..., W_{i-1}(t+1), W_i(t), ..., W_k(t)), on the same batch.

    Recorded are ||G_i - G'_i||_2, ideally 0, and the cosine of the angle between them, ideally 1. W(t+1) is what the
    optimiser made of W(t), weight decay included. A layer's block is its weight, bias and normalisation parameters:
    earlier blocks are updated whole; the gradient is w.r.t. the weight ``(out, in)`` or ``(out, in, kH, kW)``. For the
    first layer G' is G, so the difference is exactly 0. Source: paper, section 2.2, Definition 2.1, fig. 3. Forward
    mode: training, with the step's layer noise.

    Parameters
    ----------
    layers
        Numbers of the weight layers, from 1; ``all`` for every layer.
    every
        Measure every so many steps.

    Notes
    -----
    Rows per layer: ``ics_l2``, ``ics_cosine`` (NaN if a gradient is zero), and ``ics_gradient_norm``, ||G_i||_2, which
    gives the difference its scale. Cost: one forward pass through the updated layers, shared by all asked layers, and
    for each of these a forward-backward pass through the layers from it on.

    Raises
    ------
    UserError
        If a layer is not one of the network's.
    """

    def __init__(self, layers: Sequence[int] | str, every: int) -> None:
        super().__init__(every)
        self.layers = None if layers == "all" else tuple(int(layer) for layer in layers)

    def check(self, model: LayeredModel) -> None:
        """Raise `UserError` if a layer does not exist."""
        check_layers(self.layers or (), model)

    def measure(self, view: StepView) -> Iterator[Row | Snapshot]:
        """Yield the rows of each layer."""
        layers = self.layers if self.layers is not None else tuple(range(1, len(view.model.layers) + 1))
        for layer, after in gradients_after_update(view, layers).items():
            before = view.gradient[f"layers.{layer}.affine.weight"]
            difference = torch.linalg.vector_norm(before - after)
            yield Row(view.step, "ics_l2", layer, None, difference.item())
            yield Row(view.step, "ics_cosine", layer, None, _cosine(before, after))
            yield Row(view.step, "ics_gradient_norm", layer, None, torch.linalg.vector_norm(before).item())


def gradients_after_update(view: StepView, layers: Sequence[int]) -> dict[int, Tensor]:
    """Return G'_i for each asked layer, of the shape of W_i.

    Walks forward once through the updated layers and, from the input of each asked layer, through the old ones.
    """
    gradients: dict[int, Tensor] = {}
    x = view.inputs
    with view.forward_pass():
        for layer in range(1, max(layers) + 1):
            if layer in layers:
                with kept_streams(x.device):  # the updated layer draws the noise that the old one is about to draw
                    gradients[layer] = _gradient_from(view, layer, x)
            if layer < max(layers):
                x = view.layer_at(layer, x, view.updated)
    return {layer: gradients[layer] for layer in layers}


@torch.enable_grad()
def _gradient_from(view: StepView, layer: int, x: Tensor) -> Tensor:
    """Return the gradient w.r.t. the old weight of ``layer``, given that layer's input."""
    name = f"layers.{layer}.affine.weight"
    weight = view.parameters[name].detach().requires_grad_()
    parameters = {**view.parameters, name: weight}
    for number in range(layer, len(view.model.layers) + 1):
        x = view.layer_at(number, x, parameters)
    (gradient,) = torch.autograd.grad(view.loss_function(x, view.targets), weight)
    return gradient


def _cosine(a: Tensor, b: Tensor) -> float:
    """Return the cosine of the angle between two gradients, in double precision; NaN if one is zero."""
    a, b = a.double().flatten(), b.double().flatten()
    unit_a, unit_b = a / torch.linalg.vector_norm(a), b / torch.linalg.vector_norm(b)
    return float(torch.dot(unit_a, unit_b).clamp(-1.0, 1.0))
