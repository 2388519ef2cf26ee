"""Internal covariate shift as the paper defines it: how much updates of earlier layers change a layer's gradient."""

import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from normscape.errors import UserError
from normscape.network import Layers, Network, WeightLayer
from normscape.probes.probe import Probe
from normscape.seeds import kept_streams
from normscape.storage.records import Row, Snapshot
from normscape.twin.replay import fresh
from normscape.view import StepView


class InternalCovariateShift(Probe):
    """Difference and angle between a layer's gradient before and after all earlier layers were updated.

    For layer i, with L the loss of the step's mini-batch, without weight decay, which would cancel from the difference
    but change the cosine:

    - G_i is the gradient of L w.r.t. W_i at (W_1(t), ..., W_k(t));
    - G'_i is the gradient of L w.r.t. W_i at (W_1(t+1), ..., W_{i-1}(t+1), W_i(t), ..., W_k(t)), on the same batch.

    Recorded are ||G_i - G'_i||_2, ideally 0, and the cosine of the angle between them, ideally 1. W(t+1) is what the
    optimiser made of W(t), weight decay included. A layer's block is its weight, bias and normalisation parameters:
    earlier blocks are updated whole; the gradient is w.r.t. the weight ``(out, in)`` or ``(out, in, kH, kW)``, or the
    parameters of its parametrisation. For the first layer G' is G, so the difference is exactly 0. In a network that is
    not a chain, `normscape.network` defines which layers are earlier. Source: paper, section 2.2, Definition 2.1, fig.
    3. Forward mode: the step's own (training), with the step's layer noise.

    Parameters
    ----------
    layers
        Weight layers by number, from 1, or by module path; ``all`` for every layer that trains.
    every
        Measure every so many steps.

    Notes
    -----
    Rows per layer: ``ics_l2``, ``ics_cosine`` (NaN if a gradient is zero), and ``ics_gradient_norm``, ||G_i||_2, which
    gives the difference its scale. Cost on a chain: one forward pass through the updated layers, shared by all asked
    layers, and for each of these a forward-backward pass through the layers from it on. Cost elsewhere: a whole
    forward-backward pass for each asked layer.

    Raises
    ------
    UserError
        If a layer is not one of the network's, is frozen, or shares its weight with an earlier one; if a layer that
        trains is not called as a module.
    """

    def __init__(self, layers: Layers = "all", every: int = 1) -> None:
        super().__init__(every)
        self.layers: Layers = layers if isinstance(layers, str) else tuple(layers)

    def check(self, network: Network) -> None:
        """Raise `UserError` if a layer does not exist, or shares its weight with an earlier one."""
        for layer in network.find(self.layers):
            if self.layers != "all" and _is_tied(layer, network):
                raise UserError(
                    f"probe layer {layer.path}: an earlier layer has the same weight, so it has no W_i of its own"
                )

    def outline(self, network: Network, learning_rate: float) -> Iterator[Row | Snapshot]:
        """Yield the rows of each layer, without their values."""
        for layer in network.find(self.layers):
            for quantity in ("ics_l2", "ics_cosine", "ics_gradient_norm"):
                yield Row(0, quantity, network.label(layer), None, math.nan)

    def measure(self, view: StepView) -> Iterator[Row | Snapshot]:
        """Yield the rows of each layer."""
        _require_placed(view)
        for layer, after in gradients_after_update(view, self._measured(view)).items():
            before = joined([view.gradient[name] for name in layer.weights])
            label, difference = view.network.label(layer), torch.linalg.vector_norm(before - after)
            yield Row(view.step, "ics_l2", label, None, difference.item())
            yield Row(view.step, "ics_cosine", label, None, _cosine(before, after))
            yield Row(view.step, "ics_gradient_norm", label, None, torch.linalg.vector_norm(before).item())

    def _measured(self, view: StepView) -> list[WeightLayer]:
        measured = []
        for layer in view.network.find(self.layers):
            if set(layer.weights) <= view.gradient.keys() and not _is_tied(layer, view.network):
                measured.append(layer)
            elif self.layers != "all":
                raise UserError(f"probe layer {layer.path}: its weight is frozen, so it has no gradient to compare")
        return measured


def _require_placed(view: StepView) -> None:
    """Refuse a step in which a parameter takes part whose module does not run: no layer is before or behind it."""
    for name in sorted(view.network.unplaced & view.gradient.keys()):
        if bool(view.gradient[name].any()):
            module = name.rpartition(".")[0]
            raise UserError(
                f"{name}: it takes part in the pass, and {module} is not called, so which layers come before it cannot "
                f"be told; call {module}(x), not its forward or a function with its weight"
            )


def _is_tied(layer: WeightLayer, network: Network) -> bool:
    return any(network.block[name] < layer.number for name in layer.weights)


def gradients_after_update(view: StepView, layers: Sequence[WeightLayer]) -> dict[WeightLayer, Tensor]:
    """Return G'_i for each asked layer, of the shape of W_i, or flat if W_i is several parameters."""
    if view.network.chain:
        found = along_the_chain(view, layers, view.updated)
        return dict(sorted(found.items(), key=lambda item: layers.index(item[0])))
    return {layer: _with_earlier_blocks_updated(view, layer) for layer in layers}


def _with_earlier_blocks_updated(view: StepView, layer: WeightLayer) -> Tensor:
    earlier = {name: view.updated[name] for name, number in view.network.block.items() if number < layer.number}
    if not earlier:  # the same point
        return joined([view.gradient[name] for name in layer.weights])
    _, gradient = view.loss_and_gradient_at({**view.parameters, **earlier}, layer.weights)
    return joined([gradient[name] for name in layer.weights])


def along_the_chain(
    view: StepView, layers: Sequence[WeightLayer], updated: Mapping[str, Tensor]
) -> dict[WeightLayer, Tensor]:
    """Return the gradient of each asked layer with all earlier blocks at ``updated``.

    Walks forward once through the updated layers and, from the input of each asked layer, through the old ones.
    """
    gradients: dict[WeightLayer, Tensor] = {}
    replica, x = view.replay.replica, fresh(view.inputs)
    last = max((layer.number for layer in layers), default=0)
    replica.place(view.parameters)
    with view.replay.forward_pass():
        for layer in view.network.layers[:last]:
            if layer in layers:
                walked = replica.now(view.replay.state.loss)  # norms may share state that earlier layers have written
                with kept_streams(x.device):  # the updated layer draws the noise that the old one is about to draw
                    gradients[layer] = gradient_from(view, layer, x)
                replica.restore(walked)
            if layer.number < last:
                block = [name for name, number in view.network.block.items() if number == layer.number]
                replica.place({name: updated[name] for name in block})
                with torch.no_grad(), view.replay.autocast.again():
                    x = replica.twin.get_submodule(f"layers.{layer.number}")(x)
    return gradients


def gradient_from(view: StepView, layer: WeightLayer, x: Tensor) -> Tensor:
    """Return the gradient w.r.t. the old weight of ``layer``, given that layer's input; within a forward pass."""
    twin, number = view.replay.replica.twin, layer.number
    leaves = [view.replay.replica.parameters[name].requires_grad_() for name in layer.weights]
    with torch.enable_grad():
        with view.replay.autocast.again():
            x = fresh(x)
            for later in view.network.layers[number - 1 :]:
                x = twin.get_submodule(f"layers.{later.number}")(x)
            loss = view.replay.loss(x) if view.replay.cast_loss else None
        loss = view.replay.loss(x) if loss is None else loss
        gradients = torch.autograd.grad(loss, leaves)
    for leaf in leaves:
        leaf.requires_grad_(False)
    return joined(gradients)


def joined(tensors: Sequence[Tensor]) -> Tensor:
    """Return the gradients that make one layer's: as it is if it is one, else all of them, flat."""
    return tensors[0] if len(tensors) == 1 else torch.cat([tensor.flatten() for tensor in tensors])


def _cosine(a: Tensor, b: Tensor) -> float:
    """Return the cosine of the angle between two gradients, in double precision; NaN if one is zero."""
    a, b = a.double().flatten(), b.double().flatten()
    unit_a, unit_b = a / torch.linalg.vector_norm(a), b / torch.linalg.vector_norm(b)
    return float(torch.dot(unit_a, unit_b).clamp(-1.0, 1.0))
