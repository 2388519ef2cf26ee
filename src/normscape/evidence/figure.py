"""Figures as they are declared: found by their files, family by family; there is no registry to edit."""

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import yaml  # type: ignore[import-untyped]

from normscape.errors import UserError, suggest
from normscape.evidence.claims import Claim
from normscape.evidence.declaration import declared_runs


@dataclass(frozen=True)
class Shown:
    """What a figure is drawn from.

    Attributes
    ----------
    rows
        Its table.
    original
        The paper's own curves, to be drawn faintly behind; None to leave them out.
    configs
        The settings of each run, by its label.
    """

    rows: pd.DataFrame
    original: pd.DataFrame | None = None
    configs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Family:
    """A family of experiments: ``experiments/<name>/`` and ``configs/figure/<name>/`` of a project."""

    name: str
    project: Path

    @classmethod
    def of(cls, name: str, project: Path) -> "Family":
        """Find a family by its name."""
        known = [folder.name for folder in sorted((project / "configs" / "figure").glob("*/"))]
        if name not in known:
            raise UserError(f"--family {name}: there is no such family{suggest(name, known)}")
        return cls(name, project)

    @property
    def title(self) -> str:
        """The paper, or the question: the first sentence of its package's docstring."""
        said = (importlib.import_module(self.name).__doc__ or self.name).strip().splitlines()[0]
        return said.rstrip(".").removesuffix(": its figures and claims")

    @property
    def notes(self) -> list[str]:
        """Its ``NOTES`` on how to read its claims, line by line; empty if it has none."""
        return str(getattr(importlib.import_module(self.name), "NOTES", "")).splitlines()

    @property
    def first(self) -> list[str]:
        """The names of its figures, those that decide most first: its ``FIRST``, then the others."""
        first = [str(name) for name in getattr(importlib.import_module(self.name), "FIRST", ())]
        return [*first, *(name for name in self.known if name not in first)]

    @property
    def declarations(self) -> list[Path]:
        """The YAMLs of its figures, the paper's numbers first."""
        return sorted((self.project / "configs" / "figure" / self.name).glob("*.yaml"))

    @property
    def known(self) -> list[str]:
        """The names of its figures."""
        return [path.stem.removeprefix("fig").lstrip("0") for path in self.declarations]

    @property
    def original(self) -> Path:
        """The folder of the paper's own curves."""
        return self.project / "results" / self.name / "original"

    def figure(self, name: str) -> "Figure":
        """Find a figure by its name: its number in the paper, or a word.

        Raises
        ------
        UserError
            If there is no such figure, or its YAML or its module lacks something.
        """
        if name not in self.known:
            raise UserError(f"figure {name}: no such figure; expected one of {', '.join(self.known)}, or all")
        stem = stem_of(name)
        declared = self._declared(stem)
        modules = sorted((self.project / "experiments" / self.name).glob(f"{stem}_*.py"))
        if len(modules) != 1 or not isinstance(declared, dict) or not {"title", "runs"} <= set(declared):
            files = f"experiments/{self.name}/{stem}_<what>.py, and title and runs in configs/figure/{self.name}/"
            raise UserError(f"figure {name}: expected one {files}{stem}.yaml")
        code = importlib.import_module(f"{self.name}.{modules[0].stem}")
        for part in ("table", "CLAIMS", "draw"):
            if not hasattr(code, part):
                raise UserError(f"figure {name}: expected {part} in experiments/{self.name}/{modules[0].name}")
        return Figure(
            family=self.name,
            name=int(name) if name.isdigit() else name,
            title=declared["title"],
            runs=declared_runs(declared["runs"], f"configs/figure/{self.name}/{stem}.yaml"),
            original=tuple(declared.get("original", [stem])),
            headline=tuple(declared.get("headline", ())),
            module=code,
            called=declared.get("called"),
        )

    def _declared(self, stem: str) -> Any:
        """Return what the YAML of a figure says."""
        file = self.project / "configs" / "figure" / self.name / f"{stem}.yaml"
        try:
            return yaml.safe_load(file.read_bytes())
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserError(f"{file}: not YAML ({' '.join(str(error).split())})") from error

    def figures(self) -> list["Figure"]:
        """Return all its figures."""
        return [self.figure(name) for name in self.known]


def figure_name(text: str) -> str:
    """Return the name of a figure that may be given as its files are called: ``4`` for ``fig04``, a word as it is."""
    numbered = re.fullmatch(r"(?:fig(?:ure)?)?0*([1-9][0-9]*)", text.lower())
    return numbered[1] if numbered else text


def stem_of(name: int | str) -> str:
    """Return the name of a figure's files: ``fig04`` for figure 4, a word as it is."""
    return f"fig{int(name):02d}" if str(name).isdigit() else str(name)


@dataclass(frozen=True)
class Figure:
    """What a figure is: its family, name, title and runs, and the module that tabulates, judges and draws it.

    ``runs`` says by label how each run is composed (`normscape.evidence.declaration`). ``original`` names the paper's
    own curves of its panels, ``headline`` the claims that the README shows, ``called`` what a sentence calls it, where
    that is neither its number nor a part of the paper.
    """

    family: str
    name: int | str
    title: str
    runs: Mapping[str, tuple[str, ...]]
    original: tuple[str, ...]
    headline: tuple[str, ...]
    module: ModuleType
    called: str | None = None

    @property
    def claims(self) -> list[Claim]:
        """Its claims."""
        return list(self.module.CLAIMS)

    @property
    def stem(self) -> str:
        """The name of its files."""
        return stem_of(self.name)

    @property
    def group(self) -> str:
        """The W&B group of its runs, and of the figure itself."""
        return f"{self.family}-{self.stem}"

    @property
    def label(self) -> str:
        """Its name in a sentence."""
        return self.called or (f"Figure {self.name}" if isinstance(self.name, int) else f"The paper's {self.name}")
