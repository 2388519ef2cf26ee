"""What every probe has in common: when it measures, and what it is given."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

from normscape.errors import UserError
from normscape.models.layered import LayeredModel
from normscape.records import Row, Snapshot
from normscape.view import StepView


class Probe(ABC):
    """A quantity measured at every ``every``-th step, step 0 included.

    A probe asks the view and keeps nothing between steps, so that a resumed run measures what an unbroken one does.
    """

    def __init__(self, every: int) -> None:
        if every < 1:
            raise UserError(f"probe every={every}: expected a number of steps, 1 or more")
        self.every = every

    def is_due(self, step: int) -> bool:
        """Whether the probe measures the step."""
        return step % self.every == 0

    def check(self, model: LayeredModel) -> None:  # noqa: B027 - most probes accept every model
        """Raise `UserError` if the probe asks what ``model`` does not have; called before training."""

    @abstractmethod
    def measure(self, view: StepView) -> Iterator[Row | Snapshot]:
        """Yield what is measured of the step."""


def check_layers(layers: tuple[int, ...], model: LayeredModel) -> None:
    """Raise `UserError` if one of ``layers`` is no weight layer of ``model``."""
    for layer in layers:
        if str(layer) not in model.layers:
            raise UserError(f"probe layer {layer}: the {type(model).__name__} has layers 1 to {len(model.layers)}")
