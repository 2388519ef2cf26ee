"""How runs have ended: a table of all of them."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.table import Table

from normscape.config import RunConfig
from normscape.identity import identity
from normscape.overview.objective import last
from normscape.overview.progress import duration
from normscape.runs import RunDirectory

ACCURACIES = ("test_accuracy", "train_accuracy")
"""The accuracy that is shown: the first that a run has."""


def overview(configs: Sequence[RunConfig], failures: Mapping[str, str]) -> Table:
    """Return a table of runs: status, last accuracy, wall time, directory.

    One that has ended and is among the failures is damaged: none of its numbers is shown.
    """
    table = Table(title_justify="left")
    table.add_column("status")
    table.add_column("last accuracy", justify="right")
    table.add_column("wall time", justify="right")
    table.add_column("directory", overflow="fold")
    for config in {identity(config): config for config in configs}.values():
        directory = RunDirectory.of(config)
        failed = identity(config) in failures
        if failed and (directory.path / "summary.json").exists():
            table.add_row("damaged", "", "", shown(directory.path))
            continue
        status = directory.status
        ended = directory.summary is not None
        words = "failed" if failed else str((directory.summary or status)["status"])
        if words == "diverged" and directory.summary:
            words = f"diverged at step {directory.summary.get('diverged_at')}"
        elif not ended and status["step"]:
            words = f"{words} at step {status['step']}"
        seconds = duration(float(status["wall_seconds"])) if "wall_seconds" in status else ""
        table.add_row(words, _accuracy(directory) if ended else "", seconds, shown(directory.path))
    return table


def _accuracy(directory: RunDirectory) -> str:
    for quantity in ACCURACIES:
        if not math.isnan(value := last(directory, quantity)):
            return f"{value:.4f}" if quantity == ACCURACIES[0] else f"{value:.4f} (training)"
    return "none"


def shown(path: Path) -> str:
    """Return a path as short as it can be typed here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
