"""Each measure as it is usually written: copy the network, set its weights, a full pass for each point or layer."""

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from normscape.twin.replay import LossFunction
from normscape.view import StepView

Weights = Mapping[str, Tensor]


class Naive:
    """The measures of one step, on the network as it was before it.

    Parameters
    ----------
    model
        The network at W(t), with the buffers that it had then.
    view
        The step, from which come the batch, W(t+1) and the gradient at W(t).
    """

    def __init__(self, model: nn.Module, view: StepView) -> None:
        self._model, self._view = copy.deepcopy(model), view
        self._loss: LossFunction = view.loss_function

    def passes(self, count: int) -> None:
        """Take so many forward and backward passes at W(t): the least that so many points of a landscape cost."""
        for _ in range(count):
            self._model.zero_grad()
            self._loss(self._model(self._view.inputs), self._view.targets).backward()  # type: ignore[no-untyped-call]

    def _at(self, weights: Weights) -> tuple[float, dict[str, Tensor]]:
        model = copy.deepcopy(self._model)
        model.load_state_dict({**model.state_dict(), **weights})
        model.zero_grad()
        loss = self._loss(model(self._view.inputs), self._view.targets)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.item(), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}

    def landscape(self, sizes: Sequence[float], weight_decay: Mapping[str, float]) -> dict[str, list[float]]:
        """Return loss and gradient difference at W(t) - s g, with the L2 term in both, for each s."""
        W, decay = self._view.parameters, weight_decay
        g = {name: slope + decay[name] * W[name] for name, slope in self._view.gradient.items()}
        found: dict[str, list[float]] = {"loss_landscape": [], "gradient_difference": []}
        for s in sizes:
            point = {name: W[name] - s * g[name] for name in W}
            loss, gradient = self._at(point)
            penalty = sum(0.5 * decay[name] * float(w.square().sum()) for name, w in point.items())
            change = sum(float((gradient[n] + decay[n] * point[n] - g[n]).square().sum()) for n in g)
            found["loss_landscape"].append(loss + penalty)
            found["gradient_difference"].append(change**0.5)
        return found

    def shift(self) -> dict[str, list[float]]:
        """Return ||G - G'|| and the cosine between them for every weight layer, one full pass for each."""
        found: dict[str, list[float]] = {"ics_l2": [], "ics_cosine": []}
        for layer in self._view.network.layers:
            (weight,) = layer.weights
            earlier = [name for name, number in self._view.network.block.items() if number < layer.number]
            _, gradient = self._at({**self._view.parameters, **{name: self._view.updated[name] for name in earlier}})
            G, after = self._view.gradient[weight].flatten(), gradient[weight].flatten()
            found["ics_l2"].append(float(torch.linalg.vector_norm(G - after)))
            found["ics_cosine"].append(float(nn.functional.cosine_similarity(G, after, dim=0)))
        return found
