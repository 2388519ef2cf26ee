"""W&B's folders on disk: one per W&B run that was opened, ``wandb/[offline-]run-<date>_<time>-<id>``."""

import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from normscape.errors import UserError
from normscape.storage.files import read_json, write_json

_NAME = re.compile(r"(?P<offline>offline-)?run-(?P<begun>\d{8}_\d{6})-(?P<run_id>.+)")
LABELS = "normscape.json"
"""The file that we add: what people call the run, which W&B keeps in its own file alone."""


@dataclass(frozen=True)
class Fragment:
    """One such folder."""

    path: Path
    begun: str
    run_id: str
    offline: bool

    @classmethod
    def at(cls, path: Path) -> "Fragment":
        """Read a folder's name; `ValueError` if it is none of W&B's."""
        match = _NAME.fullmatch(path.name)
        if match is None:
            raise ValueError(f"{path}: not a run of W&B's")
        file = next(iter(path.glob("run-*.wandb")), None)  # two of one second have one id, and a number behind it
        run_id = file.stem.removeprefix("run-") if file else match["run_id"]
        return cls(path, match["begun"], run_id, bool(match["offline"]))

    @property
    def file(self) -> Path:
        """The file that holds the run."""
        return self.path / f"run-{self.run_id}.wandb"

    @property
    def synced(self) -> bool:
        """Whether `wandb sync` has sent all that is in it now."""
        mark = self.file.with_name(f"{self.file.name}.synced")
        return mark.exists() and mark.stat().st_mtime >= self.file.stat().st_mtime

    @property
    def labels(self) -> dict[str, str]:
        """Its ``name``, ``group`` and ``job_type``; the id where they are not known."""
        try:
            known: Mapping[str, Any] = read_json(self.path / LABELS) or {}
        except UserError:  # people can tell runs apart by their ids, too
            known = {}
        unknown = {"name": self.run_id, "group": "other", "job_type": "train"}
        return {label: str(known.get(label, value)) for label, value in unknown.items()}

    def label(self, name: str, group: str, job_type: str) -> None:
        """Keep what people call it."""
        write_json(self.path / LABELS, {"name": name, "group": group, "job_type": job_type})


def fragments(wandb_folder: Path) -> Iterator[Fragment]:
    """Yield the fragments in a folder ``wandb``, the oldest first; without those that hold nothing."""
    for path in sorted(wandb_folder.glob("*run-*"), key=lambda path: path.name.removeprefix("offline-")):
        if _NAME.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            fragment = Fragment.at(path)
            if fragment.file.exists():
                yield fragment


def remove_others(kept: Fragment) -> None:
    """Remove all other fragments of the run that ``kept`` is one of: it has, or gets, all their rows."""
    for fragment in [*fragments(kept.path.parent)]:
        if fragment.run_id == kept.run_id and fragment.path.resolve() != kept.path.resolve():
            shutil.rmtree(fragment.path, ignore_errors=True)
