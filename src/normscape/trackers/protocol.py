"""What a run asks of a tracker, and what it calls its rows by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

SHORT = {"test_accuracy": "accuracy/test", "train_accuracy": "accuracy/train"}
"""What matters first has names that come first: viewers sort by name."""

MILESTONES = (50, 80, 90)
"""Training accuracies in percent to which the steps are counted in a run's summary."""


@dataclass(frozen=True)
class RunInfo:
    """What a tracker may know of a run.

    ``past`` has what was measured before, of a run that is resumed: its mirror is made of all rows.
    """

    run_id: str  # the hash that identifies the run, 12 hex digits; the same whenever the run is resumed
    name: str  # for people, e.g. 'vgg_batch-s0'
    group: str  # figure or sweep that asked for the run, e.g. 'santurkar2018-fig01'
    job_type: str  # e.g. 'train'
    tags: tuple[str, ...]
    config: dict[str, Any]  # resolved: plain dicts, lists and scalars
    directory: Path  # where wandb/ goes unless WANDB_DIR says otherwise; one for all runs, as `wandb leet` wants
    past: Sequence[tuple[int, Mapping[str, float]]] = ()  # as arguments of `Tracker.log`
    note: Path | None = None  # the file in which the tracker keeps where the mirror is, and whether it is whole


class Tracker(Protocol):
    """What the training loop asks of a tracker: one ``start``, any number of rows and images, one ``finish``."""

    def start(self, info: RunInfo) -> None:
        """Begin to mirror a run."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Mirror metrics of a training step; steps never fall."""

    def image(self, step: int, name: str, png: Path) -> None:
        """Mirror a picture; its file may be changed or removed afterwards."""

    def table(self, step: int, name: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Mirror a table of text."""

    def summarize(self, values: Mapping[str, float | str], tags: Sequence[str] = ()) -> None:
        """Mirror what a table of runs sorts by, and add tags."""

    def finish(self, exit_code: int) -> None:
        """End the mirror; an exit code other than 0 marks the run as failed."""


def metric_name(quantity: str, layer: int | str | None = None, step_size: float | None = None) -> str:
    """Return the W&B name of a row of the store; at most one slash, so that a quantity is a section.

    Examples
    --------
    >>> metric_name("train_loss")
    'train_loss'
    >>> metric_name("test_accuracy")
    'accuracy/test'
    >>> metric_name("activation_quantile_50", layer=3)
    'activation_quantile_50/layer03'
    >>> metric_name("gradient_change", layer=3, step_size=0.1)
    'gradient_change/layer03_step_size0.1'
    """
    quantity = SHORT.get(quantity, quantity)
    parts = [] if layer is None else [layer if isinstance(layer, str) else f"layer{layer:02d}"]
    parts += [] if step_size is None else [f"step_size{step_size:g}"]
    return f"{quantity}/{'_'.join(parts)}" if parts else quantity
