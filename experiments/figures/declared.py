"""Figures as they are declared: found by their files, no registry to edit."""

import importlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from omegaconf import OmegaConf

from normscape.config import CONFIGS
from normscape.errors import UserError
from normscape.report import figure_label


@dataclass(frozen=True)
class Figure:
    """What a figure is: its name, ``configs/figure/<stem>.yaml`` and its module in ``experiments/figures``.

    Its name is its number in the paper, or ``text`` for the claims that the paper makes in its text alone;
    ``original`` names the paper's own curves of its panels, in ``results/original``; ``headline`` the claims that the
    README shows.
    """

    name: int | str
    title: str
    runs: tuple[str, ...]
    original: tuple[str, ...]
    headline: tuple[str, ...]
    module: ModuleType

    @classmethod
    def of(cls, name: str) -> "Figure":
        """Find a figure by its name."""
        if name not in known_figures():
            raise UserError(f"figure {name}: not here; known figures: {', '.join(known_figures())}")
        stem = f"fig{int(name):02d}" if name.isdigit() else name
        modules = sorted(Path(__file__).parent.glob(f"{stem}_*.py"))
        declared: Any = OmegaConf.load(CONFIGS / "figure" / f"{stem}.yaml")
        if len(modules) != 1 or not {"title", "runs"} <= set(declared):
            expected = f"one experiments/figures/{stem}_<what>.py, and title and runs in configs/figure/{stem}.yaml"
            raise UserError(f"figure {name}: expected {expected}")
        key = int(name) if name.isdigit() else name
        original = tuple(declared.get("original", [stem]))
        code = importlib.import_module(f"figures.{modules[0].stem}")
        for part in ("table", "CLAIMS", "draw"):
            if not hasattr(code, part):
                raise UserError(f"figure {name}: expected {part} in experiments/figures/{modules[0].name}")
        headline = tuple(declared.get("headline", ()))
        return cls(key, declared["title"], tuple(declared["runs"]), original, headline, code)

    @property
    def stem(self) -> str:
        """The name of its files."""
        return f"fig{self.name:02d}" if isinstance(self.name, int) else self.name

    @property
    def label(self) -> str:
        """Its name in a sentence."""
        return figure_label(self.name)


def known_figures() -> list[str]:
    """Return the names of all figures, the paper's numbers first."""
    return [path.stem.removeprefix("fig").lstrip("0") for path in sorted((CONFIGS / "figure").glob("*.yaml"))]
