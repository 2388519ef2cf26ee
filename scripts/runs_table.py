"""One table of all runs under a folder: what differs between them, and how they ended.

python scripts/runs_table.py runs                    on the terminal
python scripts/runs_table.py runs --csv runs.csv     and as a file
"""

from normscape.process.interrupts import end_at_once

if __name__ == "__main__":  # so that Ctrl-C says one line while the rest is imported
    end_at_once()

import sys
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from normscape.process.entry import Parser, entry_point
from normscape.storage.files import replacing

SHORT = ("run", "name", "scale", "diverged", "train_accuracy_best", "train_loss_best")
"""Columns that the terminal does without; the file has all."""


def main(arguments: list[str]) -> None:
    """Print the table, and write it if asked to."""
    parser = Parser(prog="runs_table.py", description="One table of all runs under a folder.")
    parser.add_argument("folder", type=Path, help="folder of the runs, e.g. runs")
    parser.add_argument("--csv", type=Path, help="write the table there, with all columns")
    options = parser.parse_args(arguments)
    from normscape.gather import gather

    table = gather(options.folder, partial(print, file=sys.stderr))
    shown = table.drop(columns=[*SHORT])
    printed = Table(show_lines=False)
    for column in shown:
        printed.add_column(str(column), overflow="fold")
    for row in shown.itertuples(index=False):
        printed.add_row(*("" if value != value or value is None else _cell(value) for value in row))
    Console(width=None if sys.stdout.isatty() else 200).print(printed)
    if options.csv:
        with replacing(options.csv) as file:
            table.to_csv(file, index=False)
        print(options.csv)


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    with entry_point():
        main(sys.argv[1:])
