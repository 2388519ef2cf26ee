"""One optimisation step as a frozen object, with pure functions of its own mini-batch.

Everything a probe may ask is a function of a point in weight space, evaluated on the batch, the buffers and the random
streams of the step. Nothing of the network in training is touched: not its parameters, buffers, gradients or modes, nor
the global random stream (DESIGN: measuring never changes training).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from normscape.models.layered import LayeredModel
from normscape.seeds import derive, generator

Parameters = Mapping[str, Tensor]
"""A point in weight space: every parameter of the network by its name."""

LossFunction = Callable[[Tensor, Tensor], Tensor]


def seed_layer_noise(seed: int, step: int) -> None:
    """Set the global random stream to where it stands at the start of ``step``'s forward pass.

    Layers that draw (noise, dropout) draw from the global stream, so every forward pass of a step that starts here
    draws the same numbers.
    """
    torch.manual_seed(derive(seed, "layer_noise", step))


@contextmanager
def kept_streams(device: torch.device) -> Iterator[None]:
    """Let the block draw from the global random streams and put them back afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


@contextmanager
def random_streams(seed: int, step: int, device: torch.device) -> Iterator[None]:
    """Give the block the layer noise of ``step`` and put the global random streams back afterwards."""
    with kept_streams(device):
        seed_layer_noise(seed, step)
        yield


@contextmanager
def forward_mode(model: nn.Module, *, training: bool) -> Iterator[None]:
    """Put every submodule in training or evaluation mode for the block, and each back into its own afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.train(training)
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


@dataclass(frozen=True)
class StepStart:
    """What must be kept of a step before it is taken: W(t) and the buffers, as copies, and the batch.

    Parameters
    ----------
    step, seed
        Which step of which run: they fix the layer noise and the random choices of probes.
    inputs, targets
        The mini-batch of the step: ``(N, C, H, W)`` or ``(N, D)``, and ``(N,)`` or ``(N, D)``.
    """

    step: int
    seed: int
    model: LayeredModel
    loss_function: LossFunction
    inputs: Tensor
    targets: Tensor
    parameters: dict[str, Tensor]
    buffers: dict[str, Tensor]

    @classmethod
    def open(
        cls, step: int, seed: int, model: LayeredModel, loss_function: LossFunction, inputs: Tensor, targets: Tensor
    ) -> "StepStart":
        """Copy parameters and buffers; call before the step's forward pass, which moves running statistics."""
        parameters = {name: p.detach().clone() for name, p in model.named_parameters()}
        buffers = {name: b.clone() for name, b in model.named_buffers()}
        return cls(step, seed, model, loss_function, inputs, targets, parameters, buffers)

    def copied_gradient(self) -> dict[str, Tensor]:
        """Copy the gradient; call after the backward pass, before the optimiser's update, which may write into it."""
        named = self.model.named_parameters()
        return {name: torch.zeros_like(p) if p.grad is None else p.grad.clone() for name, p in named}

    def close(self, loss: Tensor, gradient: dict[str, Tensor], learning_rate: float) -> "StepView":
        """Return the view of the whole step; call when the optimiser has made its update."""
        updated = {name: p.detach().clone() for name, p in self.model.named_parameters()}
        return StepView(
            **vars(self), loss=loss.detach(), gradient=gradient, updated=updated, learning_rate=learning_rate
        )


@dataclass(frozen=True)
class StepView(StepStart):
    """A whole optimisation step t: W(t), the loss and gradient there, W(t+1), and oracles on the step's batch.

    Attributes
    ----------
    parameters, updated
        W(t) and W(t+1), by parameter name; the update is the optimiser's own, weight decay included.
    loss, gradient
        L and its gradient at W(t), as the training step computed them (without the optimiser's weight decay).
    learning_rate
        The rate of the update, eta in the paper.

    Notes
    -----
    All oracles run the forward pass in training mode (batch statistics) on copies of the buffers at W(t), and with the
    step's own layer noise.
    """

    loss: Tensor
    gradient: dict[str, Tensor]
    updated: dict[str, Tensor]
    learning_rate: float

    @contextmanager
    def forward_pass(self) -> Iterator[None]:
        """Make the block a forward pass of the step: training mode, and the random streams from where they stood."""
        with random_streams(self.seed, self.step, self.inputs.device), forward_mode(self.model, training=True):
            yield

    def layer_at(self, layer: int, x: Tensor, parameters: Parameters) -> Tensor:
        """Return the output of one layer for input ``x``; within `forward_pass`, layer by layer in forward order."""
        prefix = f"layers.{layer}."
        own = {name.removeprefix(prefix): p for name, p in parameters.items() if name.startswith(prefix)}
        buffers = {name.removeprefix(prefix): b.clone() for name, b in self.buffers.items() if name.startswith(prefix)}
        return functional_call(self.model.layers[str(layer)], (own, buffers), (x,))  # type: ignore[no-any-return]

    def _forward(self, parameters: Parameters, taps: dict[int, Tensor] | None = None) -> Tensor:
        buffers = {name: b.clone() for name, b in self.buffers.items()}
        with self.forward_pass():
            return functional_call(self.model, ({**parameters}, buffers), (self.inputs,), {"taps": taps})  # type: ignore[no-any-return]

    @torch.no_grad()
    def loss_at(self, parameters: Parameters) -> Tensor:
        """Return L at a point, a scalar. One forward pass."""
        return self.loss_function(self._forward(parameters), self.targets)

    @torch.enable_grad()
    def loss_and_gradient_at(self, parameters: Parameters) -> tuple[Tensor, dict[str, Tensor]]:
        """Return L and its gradient at a point. One forward-backward pass."""
        leaves = {name: p.detach().requires_grad_() for name, p in parameters.items()}
        loss = self.loss_function(self._forward(leaves), self.targets)
        gradients = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True, materialize_grads=True)
        return loss.detach(), dict(zip(leaves, gradients, strict=True))

    @torch.no_grad()
    def activations_at(self, parameters: Parameters, layers: Iterable[int]) -> dict[int, Tensor]:
        """Return what enters the nonlinearity of each layer, ``(N, C, H, W)`` or ``(N, F)``. One forward pass."""
        taps = {layer: torch.empty(0) for layer in layers}
        self._forward(parameters, taps)
        return taps

    def generator(self, *purpose: str | int) -> torch.Generator:
        """Return a CPU generator for a probe's own random choices, the same at every step of the run."""
        return generator(self.seed, "probe", *purpose)
