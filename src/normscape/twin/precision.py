"""A step's forward pass in float64: where equality to rounding is claimed, float32 would hide what is wrong."""

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from normscape.twin.replay import Replay
from normscape.twin.replica import ModuleState, NetworkState, Replica


def in_float64(replay: Replay) -> Replay:
    """Return a step's pass with parameters, buffers, inputs, targets and the loss's own tensors in float64.

    The same numbers, computed with more digits, without mixed precision; layer noise that is drawn in the type of what
    it is added to is drawn anew. Plain attributes stay as they are: torch computes in the wider of two types.
    """
    original = replay.replica
    original.place(replay.state.parameters)
    original.restore(replay.state)
    replica = Replica(original.twin, original.loss_function)
    replica.twin.double()
    loss = replica.loss_function
    if isinstance(loss, nn.Module):
        loss.double()
    elif isinstance(loss, partial):
        replica.loss_function = partial(loss.func, *double(list(loss.args)), **double(loss.keywords))
    return replace(
        replay,
        replica=replica,
        state=_state(replay.state),
        autocast=replace(replay.autocast, enabled=False),
        arguments=double(replay.arguments),
        options=double(dict(replay.options)),
        targets=double(replay.targets),
    )


def double(value: Any) -> Any:
    """Return nested lists, tuples and dictionaries with their real floating-point tensors in float64."""
    if isinstance(value, Tensor):
        return value.to(torch.float64) if value.is_floating_point() else value
    if type(value) in (list, tuple):
        return type(value)(map(double, value))
    return {key: double(item) for key, item in value.items()} if type(value) is dict else value


def _state(state: NetworkState) -> NetworkState:
    modules, loss = (
        tuple(ModuleState(kept.fixed, kept.changeable, double(kept.buffers)) for kept in part)
        for part in (state.modules, state.loss)
    )
    return NetworkState(double(state.parameters), modules, loss)
