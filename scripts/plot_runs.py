"""Final accuracy against learning rate per normalisation, or any column of the table of runs against another.

python scripts/plot_runs.py runs
python scripts/plot_runs.py runs --against batch_size --value train_accuracy_best --out batch_size.png
"""

from normscape.process.interrupts import end_at_once

if __name__ == "__main__":  # so that Ctrl-C says one line while the rest is imported
    end_at_once()

import sys
from functools import partial
from pathlib import Path

from normscape.drawing.rates import draw_against
from normscape.drawing.style import save_figure, styled
from normscape.errors import UserError
from normscape.process.entry import Parser, entry_point


def main(arguments: list[str]) -> None:
    """Draw the picture, and say where it is."""
    parser = Parser(prog="plot_runs.py", description="Draw how the runs under a folder ended.")
    parser.add_argument("folder", type=Path, help="folder of the runs, e.g. runs")
    parser.add_argument("--against", default="optimizer.lr", help="the setting on the x axis (default: optimizer.lr)")
    parser.add_argument("--value", default="test_accuracy_final", help="default: test_accuracy_final")
    parser.add_argument(
        "--out", type=Path, default=Path("runs.png"), help="the picture, PNG or PDF (default: runs.png)"
    )
    options = parser.parse_args(arguments)
    from normscape.gather import gather

    if options.out.suffix not in (".png", ".pdf"):
        raise UserError(f"--out {options.out}: expected a name that ends in .png or .pdf")
    table = gather(options.folder, partial(print, file=sys.stderr))
    with styled():
        save_figure(draw_against(table, options.against, options.value), options.out)
    print(options.out)


if __name__ == "__main__":
    with entry_point():
        main(sys.argv[1:])
