"""What a sweeper of Hydra's has had carried out in this process.

It is kept here and not by the launcher, whose module Hydra executes again whenever it looks for plugins.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from normscape.schema import RunConfig


@dataclass
class Launched:
    """All batches so far.

    Attributes
    ----------
    runs, failures
        The runs with their overrides, and a line for each that failed, by its identity.
    found
        Where the sweeper leaves what it found, if it does.
    """

    runs: "list[tuple[RunConfig, list[str]]]" = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    found: Path | None = None


LAUNCHED = Launched()
