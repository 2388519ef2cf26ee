"""From finished runs to a figure's table and its manifest."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from normscape.errors import UserError
from normscape.evidence.added import Kept
from normscape.evidence.figure import Figure
from normscape.evidence.finished import FinishedRun
from normscape.evidence.results import by_run
from normscape.evidence.table import COLUMNS, described, parse_table, table_bytes
from normscape.identity import same_settings
from normscape.process.provenance import provenance
from normscape.runs import AGAIN, RunDirectory
from normscape.schema import RunConfig
from normscape.storage.files import read_json


def tabulate(
    figure: Figure, configs: Sequence[RunConfig], scale: str, kept: Kept | None = None
) -> tuple[bytes, dict[str, Any]]:
    """Return a figure's table, as CSV, and its manifest: where the numbers come from.

    Its runs, ``configs``, have finished, or are among those that are ``kept`` of its results.
    """
    kept = kept or Kept()
    order = [(config.name, config.seed) for config in configs]
    new = [config for config in configs if config not in kept]
    directories = [RunDirectory.of(config) for config in new]
    runs = [FinishedRun(config, directory) for config, directory in zip(new, directories, strict=True)]
    rows = figure.module.table(runs) if new or not configs else pd.DataFrame(columns=COLUMNS)
    text = table_bytes(rows)
    if configs:
        text = table_bytes(kept.with_new(parse_table(text), order))
    entries = dict(kept.entries)
    for config, directory in zip(new, directories, strict=True):
        entries[config.name, config.seed] = _entry(config, directory)
    return text, {
        "scale": scale,
        "seeds": sorted({seed for _, seed in order}),
        "tabulated_by": provenance(),
        "table": described(text),
        "runs": by_run([entries[key] for key in order]),
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
