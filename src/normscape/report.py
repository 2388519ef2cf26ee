"""Verdicts for people: a table on the terminal, and ``results/CLAIMS.md`` from the manifests of all figures."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from normscape.claims import Verdict
from normscape.runs import read_json

VERDICTS = ("holds", "does not hold", "undecided")


def verdict_table(title: str, verdicts: Sequence[Verdict]) -> Table:
    """Return the verdicts of one figure as a table for the terminal."""
    table = Table(title=title, title_justify="left")
    for column in ("the paper's claim", "here", "over seeds", "paper", "must be", "verdict"):
        table.add_column(column)
    for verdict in (v.to_json() for v in verdicts):
        table.add_row(*_cells(verdict), verdict["threshold"], verdict["verdict"])
    return table


def _cells(claim: dict[str, Any]) -> list[str]:
    spread = f"{_short(claim['spread']['low'])} to {_short(claim['spread']['high'])}" if claim["n"] > 1 else "one seed"
    paper = claim["paper_value"]
    return [claim["claim"], _short(claim["value"]), spread, "" if paper in (None, "nan") else _short(paper)]


def _short(value: float | str) -> str:
    """Return a manifest's number with four digits; ``inf`` is what never happens."""
    number = float(value)
    return {math.inf: "inf (never)", -math.inf: "-inf"}.get(number, f"{number:.4g}")


def figures_in(folder: Path) -> list[dict[str, Any]]:
    """Return the manifests of all figures in a folder of results, in order."""
    return [read_json(file) for file in sorted(folder.glob("*.json"))]


def claims_markdown(results: Path) -> str:
    """Return ``CLAIMS.md``: every claim of every committed figure, one row each, scale by scale."""
    lines = [
        "# Claims of the paper, judged",
        "",
        "Made by `experiments/reproduce.py` from the manifests beside the figures; do not edit. Thresholds stand in",
        "`experiments/figures/`. *Paper* is the same statistic, by the same code, on the paper's own curves.",
        "*Ours* is the median over n seeds with its interval: the range for fewer than 5 seeds, else a 95 %",
        "bootstrap interval of the median. A claim holds if the whole interval meets the threshold.",
        "Our gradient differences and beta are Euclidean; the paper's seem to be sums of tensor norms",
        "(see `ORIGINAL_NAMES` in `src/normscape/tables.py`).",
    ]
    for folder in _folders(results):
        lines += ["", f"## scale={folder.name}", "", summary(figures_in(folder)), ""]
        lines += [
            "| figure | the paper says | statistic | paper | ours | n | must be | verdict |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for figure in figures_in(folder):
            name = figure["figure"]
            for claim in figure["claims"]:
                _, value, spread, paper = _cells(claim)
                ours = f"{value} ({spread})"
                cells = [f"`reproduce-fig{name}`" if isinstance(name, int) else f"`reproduce-{name}`", claim["claim"]]
                cells += [
                    claim["statistic"],
                    paper,
                    ours,
                    str(claim["n"]),
                    claim["threshold"],
                    f"**{claim['verdict']}**",
                ]
                lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
        if notes := _notes(figures_in(folder)):
            lines += ["", "Notes on what does not hold:", "", *notes]
    return "\n".join(lines) + "\n"


def _notes(figures: Iterable[dict[str, Any]]) -> list[str]:
    """Return the notes on claims that do not hold, each once."""
    notes: dict[str, list[str]] = {}
    for figure in figures:
        for claim in figure["claims"]:
            if claim["verdict"] != "holds" and claim.get("note"):
                notes.setdefault(claim["note"], []).append(f"`{claim['name']}`")
    return [f"- {', '.join(names)}: {note}" for note, names in notes.items()]


def summary(figures: Iterable[dict[str, Any]]) -> str:
    """Return how many claims hold, in a sentence."""
    counts = Counter(claim["verdict"] for figure in figures for claim in figure["claims"])
    held, failed, open_ = (counts[verdict] for verdict in VERDICTS)
    return f"Of {counts.total()} claims, {held} hold, {failed} do not hold, {open_} are undecided."


def _folders(results: Path) -> list[Path]:
    """Return the folders of results that say something of the paper."""
    return [path.parent for path in sorted(results.glob("*/fig01.json")) if path.parent.name != "smoke"]


def write_claims(results: Path) -> Path | None:
    """Write ``CLAIMS.md`` beside the figures' folders, if there is a figure that says something of the paper."""
    if not _folders(results):
        return None
    path = results / "CLAIMS.md"
    path.write_text(claims_markdown(results))
    return path
