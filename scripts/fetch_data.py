"""Fetch the data sets, check every file and image, and print where they are.

python scripts/fetch_data.py                  CIFAR-10 and MNIST
python scripts/fetch_data.py cifar10          one of them
python scripts/fetch_data.py --root FOLDER    to another folder than .data, or than NORMSCAPE_DATA names
"""

from normscape.process.interrupts import end_at_once

if __name__ == "__main__":  # so that Ctrl-C says one line while the rest is imported
    end_at_once()

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from normscape.errors import UserError, suggest
from normscape.process.entry import Parser, entry_point


def _cifar10(root: Path) -> str:
    from normscape.data.cifar.load import ARRAY_FILE, load_records

    return f"CIFAR-10: {len(load_records(root))} images in {root / ARRAY_FILE}, all checked"


def _mnist(root: Path) -> str:
    from normscape.data.digits import load_files

    folder = root / "mnist"
    return f"MNIST: {len(load_files(folder))} files in {folder}, all checked"


DATA: dict[str, Callable[[Path], str]] = {"cifar10": _cifar10, "mnist": _mnist}
"""What can be fetched; each is given the folder of all data, and returns a line on what is there now."""


def main(arguments: Sequence[str]) -> None:
    """Do what the command line asks."""
    parser = Parser(prog="fetch_data.py", description="Fetch the data sets and check them.")
    parser.add_argument("names", nargs="*", help=f"of {', '.join(DATA)} (default: all)")
    parser.add_argument("--root", help="folder of the data (default: NORMSCAPE_DATA, else .data in this checkout)")
    options = parser.parse_args(arguments)
    for name in options.names:
        if name not in DATA:
            raise UserError(f"{name}: no such data set{suggest(name, DATA)}; expected {' or '.join(DATA)}")
    from normscape.data.download import usable_root

    root = usable_root(options.root)
    for name in options.names or DATA:
        start = time.perf_counter()
        said = DATA[name](root)
        print(f"{said} ({time.perf_counter() - start:.1f} s)", flush=True)


if __name__ == "__main__":
    with entry_point():
        main(sys.argv[1:])
