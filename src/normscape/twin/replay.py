"""The forward pass and loss of an optimisation step, to be repeated at any point in weight space on a twin."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from normscape.errors import UserError, first_line
from normscape.seeds import Streams, kept_streams
from normscape.twin.copies import tensors_in
from normscape.twin.replica import NetworkState, Replica

LossFunction = Callable[[Any, Any], Tensor]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Autocast:
    """The mixed precision of a forward pass: whether it is on, and its type."""

    device_type: str
    enabled: bool
    dtype: torch.dtype

    @classmethod
    def now(cls, device: torch.device) -> "Autocast":
        """Record the current setting."""
        kind = device.type
        return cls(kind, torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind))

    def again(self) -> Any:
        """Return a context in which it is on or off again; without its cache, which does not see weights change."""
        if not self.enabled and not torch.is_autocast_enabled(self.device_type):
            return nullcontext()
        return torch.autocast(self.device_type, self.dtype, self.enabled, cache_enabled=False)


def fresh(value: Any) -> Any:
    """Return a copy of the tensors in nested lists, tuples and dictionaries: a pass may write into what it is given."""
    if isinstance(value, Tensor):
        return value.detach().clone().requires_grad_(value.requires_grad)
    if type(value) in (list, tuple):
        return type(value)(map(fresh, value))
    return {key: fresh(item) for key, item in value.items()} if type(value) is dict else value


def part_of(value: Any, samples: slice, count: int) -> Any:
    """Return some samples of what a network is called with: of each tensor that has ``count`` of them."""
    if isinstance(value, Tensor):
        return value[samples] if value.dim() and len(value) == count else value
    if type(value) in (list, tuple):
        return type(value)(part_of(item, samples, count) for item in value)
    return {key: part_of(item, samples, count) for key, item in value.items()} if type(value) is dict else value


@dataclass(frozen=True)
class Replay:
    """A step's forward pass and loss, to be repeated at any point on the twin of the network.

    Attributes
    ----------
    state, streams, autocast
        Of the network and the process at the start of the step's forward pass.
    arguments, options
        What the network was called with, as copies; its mini-batch is the first argument.
    targets
        What the loss takes besides the output, as a copy.
    cast_loss
        Whether the loss is evaluated in the forward pass's mixed precision too, or outside of it.
    """

    replica: Replica
    state: NetworkState
    streams: Streams
    autocast: Autocast
    arguments: tuple[Any, ...]
    options: Mapping[str, Any]
    targets: Any
    cast_loss: bool = True

    @contextmanager
    def forward_pass(self) -> Iterator[nn.Module]:
        """Make the block a forward pass of the step, with state, modes and streams as they were; yield the twin.

        Run a backward pass in the block too, since it may draw random numbers.
        """
        with kept_streams(self.streams.device):
            self.streams.restore()
            self.replica.restore(self.state)
            yield self.replica.twin

    def run(self) -> Tensor:
        """Return the loss at the point where the twin is; within `forward_pass`."""
        with self.autocast.again():
            outputs = self.replica.twin(*fresh(self.arguments), **fresh(dict(self.options)))
            if self.cast_loss:
                return self.loss(outputs)
        return self.loss(outputs)

    def loss(self, outputs: Any) -> Tensor:
        """Return the loss of some outputs; within `forward_pass`, since a loss may draw from the streams too."""
        loss: Tensor = self.replica.loss_function(outputs, fresh(self.targets))
        return loss

    @property
    def inputs(self) -> Tensor:
        """The mini-batch: the first tensor with a sample per row that the network was called with.

        Raises
        ------
        UserError
            If it was called with none.
        """
        first = next((tensor for tensor in tensors_in([self.arguments, dict(self.options)]) if tensor.dim()), None)
        if first is None:
            raise UserError("the network is called with no tensor that has a sample per row, so there is no mini-batch")
        return first

    @property
    def samples(self) -> int:
        """How many samples the mini-batch has; `UserError` if there is none."""
        return len(self.inputs)

    def run_part(self, samples: slice) -> None:
        """Run the network, without the loss, on some samples of the mini-batch alone; within `forward_pass`."""
        count = self.samples
        arguments, options = (part_of(given, samples, count) for given in (self.arguments, dict(self.options)))
        with self.autocast.again():
            self.replica.twin(*fresh(arguments), **fresh(options))

    def without_graph(self, *passes: Callable[[], Result]) -> list[Result]:
        """Return what passes give in one `forward_pass`, one after another, without graphs if the network can."""
        try:
            with torch.no_grad(), self.forward_pass():
                return [each() for each in passes]
        except torch.OutOfMemoryError:
            raise
        except RuntimeError:  # a network that differentiates in its forward pass
            with _repeatable(), torch.enable_grad(), self.forward_pass():
                return [each() for each in passes]

    def gradient(self, leaves: list[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the loss at the point where the twin is, and its gradient w.r.t. some of the twin's parameters."""
        with _repeatable(), torch.enable_grad(), self.forward_pass():
            loss = self.run()
            if not loss.requires_grad:  # none of the leaves takes part
                return loss, tuple(map(torch.zeros_like, leaves))
            gradients = torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)
        return loss.detach(), gradients

    @contextmanager
    def differentiable_gradient(self, leaves: list[Tensor]) -> Iterator[tuple[Tensor, ...]]:
        """Yield the gradient at the point where the twin is with its own graph; differentiate it within the block."""
        with _repeatable(), torch.enable_grad(), self.forward_pass():
            loss = self.run()
            yield torch.autograd.grad(loss, leaves, create_graph=True, allow_unused=True, materialize_grads=True)


@contextmanager
def _repeatable() -> Iterator[None]:
    """Say in one line that a step cannot be repeated, e.g. with checkpoint(use_reentrant=True) or grad in the loss."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise UserError(f"the step cannot be repeated on a copy; {first_line(error)}") from error
