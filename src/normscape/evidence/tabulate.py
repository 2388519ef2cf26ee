"""From finished runs to a figure's table and its manifest."""

from collections.abc import Sequence
from typing import Any

from normscape.errors import UserError
from normscape.evidence.figure import Figure
from normscape.evidence.finished import FinishedRun
from normscape.evidence.results import by_run
from normscape.evidence.table import described, table_bytes
from normscape.files import read_json
from normscape.identity import same_settings
from normscape.provenance import provenance
from normscape.runs import AGAIN, RunDirectory
from normscape.schema import RunConfig


def tabulate(figure: Figure, configs: Sequence[RunConfig], scale: str) -> tuple[bytes, dict[str, Any]]:
    """Return a figure's table from its finished runs, as CSV, and its manifest: where the numbers come from."""
    directories = [RunDirectory.of(config) for config in configs]
    runs = [FinishedRun(config, directory) for config, directory in zip(configs, directories, strict=True)]
    text = table_bytes(figure.module.table(runs))
    return text, {
        "scale": scale,
        "seeds": sorted({config.seed for config in configs}),
        "tabulated_by": provenance(),
        "table": described(text),
        "runs": by_run([_entry(config, directory) for config, directory in zip(configs, directories, strict=True)]),
    }


def _entry(config: RunConfig, directory: RunDirectory) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a run's settings, under the label that the figure knows it by, and where it comes from."""
    facts = {"name": config.name, "net": config.net, "series": config.series}
    files = [directory.path / f"{name}.json" for name in ("config", "provenance")]
    kept, origin = map(read_json, files)
    for file, content in zip(files, (kept, origin), strict=True):
        if not isinstance(content, dict):
            raise UserError(f"{file}: missing, or not what the run wrote; {AGAIN}")
    if not same_settings(config, kept):
        raise UserError(f"{files[0]}: not the settings of this run; {AGAIN}")
    settings = {**kept, **facts}
    return settings, {"directory": directory.path.name, **(directory.summary or {}), **origin}
