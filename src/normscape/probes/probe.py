"""What every probe has in common: when it measures, and what it is given."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Protocol

import torch

from normscape.errors import UserError, check_count
from normscape.network import Layers, Network
from normscape.storage.records import Row, Snapshot
from normscape.view import StepView


class Moment(Protocol):
    """What a probe's own choices and the names of its rows depend on; a `StepView` is one."""

    @property
    def step(self) -> int:
        """The step that is measured."""

    @property
    def network(self) -> Network:
        """The network's weight layers."""

    @property
    def learning_rate(self) -> float:
        """The rate of the step's update."""

    def generator(self, *purpose: str | int) -> torch.Generator:
        """Return a CPU generator for random choices, the same at every step of the run."""


class Probe(ABC):
    """A quantity measured at every ``every``-th step, step 0 included.

    A probe asks the view and keeps nothing between steps, so that a resumed run measures what an uninterrupted one
    does.
    """

    every = 1
    """Also of a probe whose constructor does not call this one's."""

    def __init__(self, every: int = 1) -> None:
        check_count("probe every", every, ", a number of steps")
        self.every = every

    def is_due(self, step: int) -> bool:
        """Whether the probe measures the step."""
        return step % self.every == 0

    def check(self, network: Network) -> None:  # noqa: B027 - most probes accept every network
        """Raise `UserError` if the probe asks for what the network lacks; called before anything is measured."""

    def outline(self, network: Network, learning_rate: float) -> Iterator[Row | Snapshot]:
        """Yield, with any values and step 0, what `measure` yields at each due step of a network that is a chain.

        Figures are checked against it before anything is trained; a probe that no figure uses may leave it out.
        """
        return iter(())

    @abstractmethod
    def measure(self, view: StepView) -> Iterator[Row | Snapshot]:
        """Yield what is measured of the step."""


def require_single_runs(network: Network, layers: Layers) -> None:
    """Raise `UserError` if a layer does not exist, or one that is asked for runs more than once in a pass."""
    for layer in network.find(layers):
        if layer.runs > 1 and layers != "all":
            raise UserError(f"probe layer {layer.path}: it runs {layer.runs} times in a pass; ask for others")
