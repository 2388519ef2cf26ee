"""Fetch CIFAR-10, check every image, and print where it is: ``python scripts/fetch_data.py [--root FOLDER]``."""

import argparse
import sys
import time

from normscape.data.cifar.load import ARRAY_FILE, load_records
from normscape.data.download import usable_root
from normscape.errors import UserError


def main() -> int:
    """Return the exit code: 0, or 2 for a user error, which is printed as one line."""
    parser = argparse.ArgumentParser(description="Fetch CIFAR-10 and check it.")
    parser.add_argument("--root", help="folder of the data (default: NORMSCAPE_DATA, else .data in this checkout)")
    root = parser.parse_args().root
    start = time.perf_counter()
    try:
        folder = usable_root(root)
        records = load_records(folder)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    wall_seconds = time.perf_counter() - start
    print(f"CIFAR-10: {len(records)} images in {folder / ARRAY_FILE}, all checked ({wall_seconds:.1f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
