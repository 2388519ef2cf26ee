"""A figure's results on disk: table, pictures, and the manifest that says where each number comes from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from normscape.errors import UserError
from normscape.evidence.claims import Verdict
from normscape.evidence.figure import Family, Figure
from normscape.evidence.table import RESTORE, read_table, table_file
from normscape.storage.files import json_bytes, read_json

SCALES = ("paper", "paper_tf32", "desk", "laptop", "smoke")
"""From the paper's own setup down to what only shows that everything runs."""


@dataclass(frozen=True)
class JudgedFigure:
    """A figure with the verdicts on its claims and the manifest of its runs."""

    figure: Figure
    verdicts: tuple[Verdict, ...]
    manifest: Mapping[str, Any]

    def verdict(self, claim: str) -> Verdict:
        """Return the verdict on a claim by its name."""
        return next(verdict for verdict in self.verdicts if verdict.claim.name == claim)


@dataclass(frozen=True)
class Results:
    """The results of one figure in a folder: ``<stem>.csv``, ``<stem>.json``, pictures, and, of some, a page."""

    folder: Path
    figure: Figure

    @property
    def file(self) -> Path:
        """Its manifest."""
        return self.folder / f"{self.figure.stem}.json"

    @property
    def table_file(self) -> Path | None:
        """The file of its table, None if there is none."""
        return table_file(self.folder, self.figure.stem)

    @property
    def pictures(self) -> list[Path]:
        """The files of its picture."""
        return [self.folder / f"{self.figure.stem}{suffix}" for suffix in (".png", ".pdf")]

    @property
    def page(self) -> Path:
        """The file of its page in Markdown, which only some figures have."""
        return self.folder / f"{self.figure.stem}.md"

    @property
    def files(self) -> list[Path]:
        """All its files that are there."""
        return [file for file in (*self.pictures, self.page, self.table_file, self.file) if file and file.exists()]

    def kept(self) -> dict[str, Any] | None:
        """Return what its manifest says, None if there is none; `UserError` if it is no manifest of this figure."""
        content = read_json(self.file)
        if content is None:
            return None
        reason = _misfit(content, self)
        if reason:
            raise UserError(f"{self.file}: {reason}; {RESTORE}")
        whole: dict[str, Any] = content
        return whole

    def manifest(self) -> dict[str, Any]:
        """Return where its numbers come from; `UserError` if it has no results."""
        kept = self.kept()
        if kept is None or self.table_file is None:
            missing = self.file if kept is None else self.folder / f"{self.figure.stem}.csv"
            raise UserError(f"--from-results: {missing} not found; reproduce the figure without it first")
        manifest: dict[str, Any] = kept["manifest"]
        return manifest

    def table(self, manifest: Mapping[str, Any]) -> pd.DataFrame:
        """Return its table; `UserError` if it is not the one that its manifest describes."""
        assert self.table_file is not None
        return read_table(self.table_file, manifest["table"])

    def content(self) -> bytes | None:
        """Return what its manifest's file holds now, None if there is none."""
        return self.file.read_bytes() if self.file.is_file() else None

    def judged_content(self, verdicts: Sequence[Verdict], manifest: Mapping[str, Any], *, with_paper: bool) -> bytes:
        """Return what the manifest's file holds, with the numbers of the verdicts."""
        claims = {verdict.claim.name: verdict.to_json() for verdict in verdicts}
        content = {"figure": self.figure.name, "with_paper": with_paper, "claims": claims, "manifest": manifest}
        return json_bytes(content)

    def judged(self) -> JudgedFigure:
        """Return the verdicts that were written, with the words that the code has for them now.

        Raises
        ------
        UserError
            If they are of other claims than the figure has now.
        """
        kept = self.kept()
        assert kept is not None
        numbers, claims = kept["claims"], self.figure.claims
        try:
            if set(numbers) != {claim.name for claim in claims}:
                raise ValueError("other claims")
            verdicts = tuple(Verdict.from_json(claim, numbers[claim.name]) for claim in claims)
        except (ValueError, KeyError, TypeError) as error:
            again = f"judge them again: make redraw-all SCALE={self.folder.name}"
            raise UserError(f"{self.file}: its claims are not those of the code ({error}); {again}") from error
        return JudgedFigure(self.figure, verdicts, kept["manifest"])


def _misfit(content: Any, results: Results) -> str:
    """Return why a file's content is not the manifest of some results; empty if it is."""
    try:
        manifest = content["manifest"]
        parts = content["claims"].items(), manifest["seeds"], manifest["table"]["sha256"], manifest["table"]["rows"]
        runs = [(run["config"]["optimizer"]["lr"], run["seeds"].items()) for run in manifest["runs"].values()]
        whose, scale = content["figure"], manifest["scale"]
    except (KeyError, TypeError, AttributeError) as error:
        return f"not a manifest of this version ({type(error).__name__}: {error})"
    del parts, runs
    if whose != results.figure.name:
        return f"of figure {whose}, not of {results.figure.label}"
    if scale != results.folder.name.split(",")[0]:
        return f"of scale={scale}, in the folder of {results.folder.name}"
    return ""


def configs_of(manifest: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the settings of each run of a manifest, by its label."""
    return {name: run["config"] for name, run in manifest["runs"].items()}


def require_readable(family: Family, family_results: Path, replaced: Sequence[Results]) -> None:
    """Raise `UserError` if results that CLAIMS.md is made of cannot be read, but for those about to be replaced."""
    files = {results.file for results in replaced}
    for folder in scales_in(family_results):
        for results in (Results(folder, figure) for figure in family.figures()):
            if results.file.exists() and results.file not in files:
                results.judged()


def run_entries(manifest: Mapping[str, Any]) -> Iterator[tuple[str, int, Mapping[str, Any]]]:
    """Yield label, seed and origin of each run of a manifest."""
    for name, run in manifest["runs"].items():
        for seed, entry in run["seeds"].items():
            yield name, int(seed), entry


def judged_figures(family: Family, folder: Path) -> list[JudgedFigure]:
    """Return the judged figures of a family in a folder of results."""
    there = [Results(folder, figure) for figure in family.figures()]
    return [results.judged() for results in there if results.file.exists()]


def scales_in(family_results: Path) -> list[Path]:
    """Return the folders of results of a family that bear on the paper (all but smoke), the largest scale first.

    Folders with changed settings, e.g. ``laptop,steps=3000``, come after all others.
    """
    folders = {path.parent for path in family_results.glob("*/*.json")}
    told = [folder for folder in folders if folder.name.split(",")[0] != "smoke"]
    return sorted(told, key=lambda folder: ("," in folder.name, _rank(folder.name.split(",")[0]), folder.name))


def at_largest_scale(family: Family, family_results: Path) -> list[JudgedFigure]:
    """Return each judged figure of a family at the largest scale, without changed settings, that it is there at."""
    scales = [folder for folder in scales_in(family_results) if "," not in folder.name]
    there = [[Results(folder, figure) for folder in scales] for figure in family.figures()]
    first = [next((found for found in places if found.file.exists()), None) for places in there]
    return [found.judged() for found in first if found]


def missing_in(family: Family, folder: Path) -> list[str]:
    """Return what a sentence calls the figures with claims that are not in a folder of results."""
    figures = [figure for figure in family.figures() if figure.claims]
    return [figure.label.lower() for figure in figures if not Results(folder, figure).file.exists()]


def _rank(scale: str) -> int:
    return SCALES.index(scale) if scale in SCALES else len(SCALES)


def by_run(entries: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> dict[str, Any]:
    """Return the runs of a manifest from settings and origin of each: settings once per run, seeds below it.

    Settings in which a seed differs are kept with it, e.g. the seed of the data.
    """
    runs: dict[str, Any] = {}
    for config, origin in entries:
        plain = {key: value for key, value in config.items() if key not in ("name", "seed", "scale")}
        run = runs.setdefault(config["name"], {"config": plain, "seeds": {}})
        own = {key: value for key, value in plain.items() if run["config"].get(key) != value}
        run["seeds"][str(config["seed"])] = {**origin, **({"config": own} if own else {})}
    return runs
