"""From finished runs to a figure's table and its manifest."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from normscape.evidence.figure import Figure
from normscape.evidence.finished import FinishedRun
from normscape.evidence.results import by_run
from normscape.evidence.table import write_table
from normscape.files import read_json
from normscape.provenance import provenance
from normscape.runs import RunDirectory
from normscape.schema import RunConfig


def tabulate(figure: Figure, configs: Sequence[RunConfig], folder: Path, scale: str) -> dict[str, Any]:
    """Write a figure's table from its finished runs, and return its manifest: where the numbers come from."""
    directories = [RunDirectory.of(config) for config in configs]
    runs = [FinishedRun(config, directory) for config, directory in zip(configs, directories, strict=True)]
    kept = write_table(figure.module.table(runs), folder, figure.stem)
    return {
        "scale": scale,
        "seeds": sorted({config.seed for config in configs}),
        "tabulated_by": provenance(),
        "table": kept,
        "runs": by_run([_entry(config, directory) for config, directory in zip(configs, directories, strict=True)]),
    }


def _entry(config: RunConfig, directory: RunDirectory) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a run's settings, under the label that the figure knows it by, and where it comes from."""
    facts = {"name": config.name, "net": config.net, "series": config.series}
    settings = {**read_json(directory.path / "config.json"), **facts}
    origin = read_json(directory.path / "provenance.json")
    return settings, {"directory": directory.path.name, **(directory.summary or {}), **origin}
