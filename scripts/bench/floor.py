"""The floor: a training loop with nothing else in it. It takes the steps of `normscape.loop.train`, bit for bit."""

import torch
from torch import Tensor

from normscape.loop import Plan, State
from normscape.seeds import generator


def floor(plan: Plan, state: State, until: int) -> None:
    """Train to a step on the mini-batches of the plan, in place, with its loss and the state's optimiser."""
    model, optimizer, data = state.model, state.optimizer, plan.dataset
    stored, targets = data.train.inputs, data.train.targets
    model.train()
    if plan.batch_size is None:
        inputs = data.network_inputs(stored)
        for _ in range(state.step, until):
            _step(model, optimizer, plan, inputs, targets)
        state.step = until
        return
    per_epoch = -(-len(targets) // plan.batch_size)
    while state.step < until:
        epoch, position = divmod(state.step, per_epoch)
        order = torch.randperm(len(targets), generator=generator(plan.seed, "order", epoch)).to(stored.device)
        for chosen in torch.split(order, plan.batch_size)[position : position + until - state.step]:
            _step(model, optimizer, plan, data.network_inputs(stored[chosen]), targets[chosen])
            state.step += 1


def _step(
    model: torch.nn.Module, optimizer: torch.optim.Optimizer, plan: Plan, inputs: Tensor, targets: Tensor
) -> None:
    optimizer.zero_grad()
    plan.loss_function(model(inputs), targets).backward()  # type: ignore[no-untyped-call]
    optimizer.step()
