"""The tracker of a run that a test kills in its middle: it mirrors, and holds after a step."""

from collections.abc import Mapping

from holding_tracker import Holding
from normscape.trackers import WandbTracker


class HeldWandb(WandbTracker):
    """Mirrors in W&B until it is held."""

    def __init__(self, step: int, folder: str, **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]
        self._holding = Holding(step, folder)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        super().log(step, values)
        self._holding.log(step, values)
