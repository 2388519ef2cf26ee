"""Whether MLPs would pay as one, as the deep linear nets do: seeds stacked beside one after another."""

import copy
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

from bench.networks import Net
from bench.timing import Answer, compared, in_turn
from normscape.loop import Batches

NAME = "MLP"
MLP = ["run=mlp_batch", "scale=laptop", "data=synthetic", "data.train_images=1024", "optimizer.weight_decay=0"]


def as_one(seeds: int, rounds: int) -> Iterator[Answer]:
    """Compare a step of so many seeds as one batched network with as many steps of one network."""
    net = Net.of(NAME, *MLP)
    batch = Batches(net.plan.dataset, net.plan.seed, net.plan.batch_size).at(0)
    stacked = Stacked(net, batch, seeds)
    state, loss_function = net.fresh(), net.plan.loss_function
    inputs, targets = batch

    def one() -> None:
        state.optimizer.zero_grad()
        loss_function(state.model(inputs), targets).backward()  # type: ignore[no-untyped-call]
        state.optimizer.step()

    together, alone = in_turn(rounds, stacked.step, one, clock=net.clock)
    yield compared(f"a step of {seeds} seeds as one / one after another", NAME, together, alone, times=seeds)


class Stacked:
    """Copies of a network whose parameters are stacked, to be trained on a mini-batch each (`torch.func.vmap`)."""

    def __init__(self, net: Net, batch: tuple[Tensor, Tensor], seeds: int) -> None:
        model = net.state.model.train()
        parameters, self._buffers = stack_module_state([copy.deepcopy(model) for _ in range(seeds)])
        self.parameters = {name: p.detach().requires_grad_() for name, p in parameters.items()}
        self._inputs, self._targets = (part.expand(seeds, *part.shape).clone() for part in batch)
        self._optimizer = torch.optim.SGD([*self.parameters.values()], lr=net.config.optimizer["lr"])

        def loss(p: dict[str, Tensor], b: dict[str, Tensor], inputs: Tensor, targets: Tensor) -> Tensor:
            return net.plan.loss_function(functional_call(model, (p, b), (inputs,)), targets)

        self._losses = vmap(loss)

    def step(self) -> None:
        """Take a step with all."""
        self._optimizer.zero_grad()
        losses: Tensor = self._losses(self.parameters, self._buffers, self._inputs, self._targets)
        losses.sum().backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
