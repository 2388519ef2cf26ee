"""A step's forward pass in float64: where equality to rounding is claimed, float32 would hide what is wrong."""

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from normscape.twin.copies import tensors_in
from normscape.twin.replay import Replay
from normscape.twin.replica import ModuleState, NetworkState, Replica


def in_float64(replay: Replay) -> Replay:
    """Return a step's pass with parameters, buffers, inputs, targets and the loss's own tensors in float64.

    The same numbers, computed with more digits, without mixed precision; layer noise that is drawn in the type of what
    it is added to is drawn anew.
    """
    original = replay.replica
    original.place(replay.state.parameters)
    original.restore(replay.state)
    replica = original.wide = original.wide or _widened(original)
    loss = original.loss_function
    if isinstance(loss, partial):
        replica.loss_function = partial(loss.func, *double(list(loss.args)), **double(loss.keywords))
    return replace(
        replay,
        replica=replica,
        state=_state(replica.capture()),
        autocast=replace(replay.autocast, enabled=False),
        arguments=double(replay.arguments),
        options=double(dict(replay.options)),
        targets=double(replay.targets),
    )


def _widened(original: Replica) -> Replica:
    """Return a twin of the twin, in float64; what the first one holds by other names than torch's is the second's."""
    replica = Replica(original.twin, original.loss_function)
    for module in (replica.twin, replica.loss_function):
        if isinstance(module, nn.Module):
            module.double()
    return replica


def double(value: Any) -> Any:
    """Return nested lists, tuples and dictionaries with their real floating-point tensors in float64."""
    if isinstance(value, Tensor):
        return value.to(torch.float64) if value.is_floating_point() else value
    if type(value) in (list, tuple):
        return type(value)(map(double, value))
    return {key: double(item) for key, item in value.items()} if type(value) is dict else value


def _state(state: NetworkState) -> NetworkState:
    modules, loss = (
        tuple(ModuleState(kept.fixed, _wide(kept.changeable), double(kept.buffers)) for kept in part)
        for part in (state.modules, state.loss)
    )
    return NetworkState(double(state.parameters), modules, loss)


def _wide(held: dict[str, Any]) -> dict[str, Any]:
    """Return plain attributes with their tensors in float64; others are the objects that they were, aliases too."""
    return {
        name: double(value) if any(double(tensor) is not tensor for tensor in tensors_in(value)) else value
        for name, value in held.items()
    }
