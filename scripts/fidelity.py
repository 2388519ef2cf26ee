"""Say how near the results are to the paper's own curves, number by number: python scripts/fidelity.py.

Writes FIDELITY.md and a picture per scale into results/santurkar2018/, from the tables of the figures.
"""

from normscape.process.interrupts import end_at_once

if __name__ == "__main__":  # so that Ctrl-C says one line while the rest is imported
    end_at_once()

import sys
from pathlib import Path

from normscape.drawing.style import save_figure
from normscape.errors import UserError
from normscape.evidence.figure import Family
from normscape.evidence.results import scales_in
from normscape.process.entry import Parser, entry_point
from normscape.reports.fidelity import compare, draw_fidelity, fidelity_markdown

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT / "experiments"))

FAMILY = "santurkar2018"
PICTURE = "{}/fidelity.png"


def write(results: Path) -> None:
    """Write page and pictures for every scale of results that bears on the paper."""
    from santurkar2018.fidelity import PANELS

    family = Family.of(FAMILY, PROJECT)
    if not results.is_dir():
        raise UserError(f"--results {results}: no such folder")
    scales = [(folder, compare(family, folder, PANELS)) for folder in scales_in(results) if "," not in folder.name]
    for folder, compared in scales:
        save_figure(draw_fidelity(compared), results / PICTURE.format(folder.name))
    page = fidelity_markdown(family.title, [(folder.name, compared) for folder, compared in scales], PICTURE)
    (results / "FIDELITY.md").write_text(page, encoding="utf-8")


def main(arguments: list[str]) -> None:
    """Write what the command line asks for."""
    parser = Parser(description="Say how near the results are to the paper's own curves.")
    parser.add_argument("--results", type=Path, default=PROJECT / "results" / FAMILY, help="folder with the scales")
    write(parser.parse_args(arguments).results)


if __name__ == "__main__":
    with entry_point():
        main(sys.argv[1:])
