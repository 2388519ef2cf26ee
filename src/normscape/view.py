"""One optimisation step as a frozen object, with pure functions of its own mini-batch.

Everything a probe may ask is a function of a point in weight space, evaluated on the batch, the state, the modes and
the random streams of the step, on a twin of the network. Nothing of the network in training is touched: not its
parameters, buffers, attributes, gradients or modes, nor the global random streams: measuring never changes training.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from normscape.errors import UserError
from normscape.network import Network, WeightLayer
from normscape.preactivations import norms_behind, recorded_preactivations
from normscape.seeds import generator
from normscape.twin.cut import Insertion, cut_behind
from normscape.twin.precision import double, in_float64
from normscape.twin.replay import LossFunction, Replay
from normscape.twin.replica import Parameters
from normscape.update_rule import UpdateRule


@contextmanager
def forward_mode(model: nn.Module, *, training: bool) -> Iterator[None]:
    """Put every submodule in training or evaluation mode for the block, and each back into its own afterwards."""
    before, modes = model.training, [(module, module.training) for module in model.modules()]
    model.train(training)
    try:
        yield
    finally:
        model.train(before)  # a network may do more than set the mode
        for module, mode in modes:
            module.training = mode


@dataclass(frozen=True, eq=False)
class StepView:
    """A whole optimisation step t: W(t), the loss and gradient there, W(t+1), and oracles on the step's batch.

    Attributes
    ----------
    step, seed
        Which step of which run; they fix the random choices of probes.
    network
        The network's weight layers and blocks.
    updated
        W(t+1), by parameter name; the update is the optimiser's own, weight decay included.
    loss, gradient
        L and its gradient at W(t), as the training step computed them (without the optimiser's weight decay). The
        gradient has the parameters that train; frozen ones are part of every point, and of no direction.
    rule
        The settings of the optimiser's update, read before it.
    replay
        The step's forward pass.
    first
        Whether no step of the run was measured before: probes then check what they rely on.

    Notes
    -----
    All oracles run the forward pass in the step's own modes (training: batch statistics), on the state that the network
    had when the step began, and with the step's own layer noise; the loss is evaluated inside the same streams.
    """

    step: int
    seed: int
    network: Network
    updated: dict[str, Tensor]
    loss: Tensor
    gradient: dict[str, Tensor]
    rule: UpdateRule
    replay: Replay = field(repr=False)
    first: bool = False

    @property
    def parameters(self) -> dict[str, Tensor]:
        """W(t), by parameter name, frozen parameters included."""
        return self.replay.state.parameters

    @property
    def inputs(self) -> Tensor:
        """The mini-batch, the first tensor that the network was called with; `UserError` if there is none."""
        return self.replay.inputs

    @property
    def targets(self) -> Any:
        """The targets of the mini-batch."""
        return self.replay.targets

    @property
    def loss_function(self) -> LossFunction:
        """L as a function of the network's output and the targets."""
        function: LossFunction = self.replay.replica.loss_function
        return function

    @property
    def learning_rate(self) -> float:
        """The rate of the update, eta in the paper.

        Raises
        ------
        UserError
            If parameters have different rates, or the optimiser has none.
        """
        rates = set(self.rule.learning_rates.values())
        if len(rates) == 1 and max(rates) > 0:
            return max(rates)
        found = ", ".join(sorted({f"{rate:g}" for rate in rates})) or "none"
        raise UserError(
            f"step {self.step}: step sizes are multiples of one learning rate above 0, the optimiser's are {found}; "
            "give a Landscape absolute step sizes, e.g. step_sizes=[0.01, 0.1]"
        )

    def _place(self, point: Parameters, differentiated: Sequence[str] = ()) -> list[Tensor]:
        """Put the twin at a whole point: a parameter that is left out would stay wherever it was last."""
        if point.keys() != self.parameters.keys():
            wrong = sorted(point.keys() ^ self.parameters.keys())
            raise UserError(f"probe point: expected every parameter of the network; check {', '.join(wrong)}")
        return self.replay.replica.place(point, differentiated)

    def uncast(self) -> "StepView":
        """Return the view with its loss, gradient and oracles from the modules as they are, without mixed precision.

        One forward-backward pass, at W(t); W(t+1) stays what the step has made.
        """
        replay = replace(self.replay, autocast=replace(self.replay.autocast, enabled=False))
        view = replace(self, replay=replay)
        loss, gradient = view.loss_and_gradient_at(view.parameters)
        return replace(view, loss=loss, gradient=gradient)

    def loss_at(self, parameters: Parameters) -> Tensor:
        """Return L at a point, a scalar. One forward pass."""
        self._place(parameters)
        (loss,) = self.replay.without_graph(self.replay.run)
        return loss.detach()

    def loss_and_gradient_at(
        self, parameters: Parameters, names: Sequence[str] | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return L and its gradient at a point, w.r.t. all that trains or some of it. One forward-backward pass."""
        names = list(self.gradient) if names is None else list(names)
        loss, gradients = self.replay.gradient(self._place(parameters, names))
        return loss, dict(zip(names, map(dense, gradients), strict=True))

    @contextmanager
    def hessian_at(self, parameters: Parameters) -> Iterator[Callable[[Parameters], dict[str, Tensor]]]:
        """Yield, for the block, the Hessian of L at a point: from a direction to its product, over all that trains.

        One forward-backward pass, whose graph is kept, and for each product a backward pass through it.
        """
        names = list(self.gradient)
        leaves = self._place(parameters, names)
        with self.replay.differentiable_gradient(leaves) as gradients:
            moving = [g for g in gradients if g.requires_grad]  # the others are constant: all of it, if L is linear

            def product(direction: Parameters) -> dict[str, Tensor]:
                if not moving:
                    return {name: torch.zeros_like(direction[name]) for name in names}
                along = [direction[n] for n, g in zip(names, gradients, strict=True) if g.requires_grad]
                products = torch.autograd.grad(
                    moving, leaves, along, retain_graph=True, allow_unused=True, materialize_grads=True
                )
                return dict(zip(names, map(dense, products), strict=True))

            yield product

    def preactivations_at(self, parameters: Parameters, layers: Iterable[WeightLayer]) -> dict[WeightLayer, Tensor]:
        """Return what enters the nonlinearity of each layer, ``(N, C, H, W)`` or ``(N, F)``. One forward pass."""
        self._place(parameters)
        with recorded_preactivations(self.replay.replica.twin, list(layers)) as recorded:
            self.replay.without_graph(self.replay.run)
        return recorded

    def in_float64(self) -> "StepView":
        """Return the same step in float64, its loss and gradient computed anew. One forward-backward pass.

        Parameters, buffers, inputs and targets are the step's own, to which float64 adds digits. Layer noise is drawn
        anew where a layer draws it in the type of its input.
        """
        wide = replace(self, replay=in_float64(self.replay), updated=double(self.updated))
        loss, gradient = wide.loss_and_gradient_at(wide.parameters)
        return replace(wide, loss=loss, gradient=gradient)

    @contextmanager
    def loss_behind(self, path: str, insert: Insertion | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield what a module puts out at W(t), as a leaf, and L as a function of it, to be differentiated by.

        Differentiate within the block, as often as you like. One forward pass.

        Parameters
        ----------
        path
            The module's path, e.g. that of a weight layer (``WeightLayer.path``); it must run once in a pass.
        insert
            Put behind the module, before all that follows: a function of its output that can be differentiated.

        Raises
        ------
        UserError
            If the module does not run exactly once.
        """
        self._place(self.parameters)
        with cut_behind(self.replay, path, insert) as cut:
            yield cut

    def norms_behind(self, layers: Iterable[WeightLayer]) -> dict[WeightLayer, tuple[str, nn.Module]]:
        """Return path and module, in the twin, of the normalisation behind each layer that has one. One forward pass.

        It is the module that takes exactly the layer's output; what it holds is to be read, not changed.
        """
        self._place(self.parameters)
        twin = self.replay.replica.twin
        with norms_behind(twin, list(layers)) as found:
            self.replay.without_graph(self.replay.run)
        return {layer: (path, twin.get_submodule(path)) for layer, path in found.items()}

    def preactivations_of_halves(
        self, layers: Iterable[WeightLayer]
    ) -> tuple[dict[WeightLayer, Tensor], dict[WeightLayer, Tensor]]:
        """Return what enters the nonlinearity of each layer at W(t), on either half of the mini-batch by itself.

        They are two mini-batches of half the size at the same weights: each has statistics of its own, and layer noise
        of its own. What has as many entries along its first axis as the inputs is halved. One forward pass in all.

        Raises
        ------
        UserError
            If the mini-batch has fewer than four samples, or the network cannot run on half of it.
        """
        first_half, second_half = halves_of(self.replay.samples)
        self._place(self.parameters)
        halves: list[dict[WeightLayer, Tensor]] = []

        def run(samples: slice) -> None:
            self.replay.run_part(samples)
            halves.append(dict(recorded))

        try:
            with recorded_preactivations(self.replay.replica.twin, list(layers)) as recorded:
                self.replay.without_graph(partial(run, first_half), partial(run, second_half))
        except UserError as error:
            raise UserError(f"noise_floor: {error}; {WITHOUT_FLOOR}") from error
        first, second = halves[-2:]
        return first, second

    def generator(self, *purpose: str | int) -> torch.Generator:
        """Return a CPU generator for a probe's own random choices, the same at every step of the run."""
        return generator(self.seed, "probe", *purpose)


WITHOUT_FLOOR = "measure.noise_floor=false or noise_floor=False leaves it out"


def halves_of(samples: int) -> tuple[slice, slice]:
    """Return the halves of a mini-batch, of two samples or more each; what is left of an odd number is in neither."""
    half = samples // 2
    if half < 2:
        raise UserError(
            f"noise_floor: the mini-batch has {samples} samples; expected 4 or more to halve; {WITHOUT_FLOOR}"
        )
    return slice(half), slice(half, 2 * half)


def dense(gradient: Tensor) -> Tensor:
    """Return a gradient as an ordinary tensor; that of an embedding may be sparse."""
    return gradient.to_dense() if gradient.layout is not torch.strided else gradient
