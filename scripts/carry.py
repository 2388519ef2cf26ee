"""Carry data, runs and the name of the commit to a machine that reaches no network, and runs back, in parts.

python scripts/carry.py pack .data/cifar10.npy .carry/data --mebibytes 45   a file, in parts of at most 45 MiB
python scripts/carry.py join .carry/data .data                              the same file, there
python scripts/carry.py pack STORE .carry/store                             what scripts/pieces.py has trained
python scripts/carry.py join FOLDER STORE                                   takes it over, wherever it was packed
python scripts/carry.py stamp                                               what commit the code is that travels

Parts are checked when they are joined: one that is missing or damaged is named, and nothing is changed.
"""

from normscape.process.interrupts import end_at_once

if __name__ == "__main__":  # so that Ctrl-C says one line while the rest is imported
    end_at_once()

import sys
from pathlib import Path

from normscape.errors import UserError
from normscape.process.entry import Parser, entry_point
from normscape.storage.files import write_json
from normscape.storage.parts import LIST, MEBIBYTE, join, pack, packed

PROJECT = Path(__file__).resolve().parents[1]
NEEDED = {"pack": ("what", "folder"), "join": ("folder with parts", "where"), "stamp": ()}


def main(arguments: list[str]) -> None:
    """Do what the command line asks."""
    parser = Parser(description="Carry data and runs to a machine that reaches no network, and back.")
    parser.add_argument("action", choices=tuple(NEEDED))
    parser.add_argument("places", type=Path, nargs="*", help="pack: a file or a store, and a folder; join: the reverse")
    parser.add_argument("--mebibytes", type=float, default=60.0, help="largest part (default: 60)")
    options = parser.parse_intermixed_args(arguments)
    if len(options.places) != len(NEEDED[options.action]):
        raise UserError(f"{options.action}: expected {' and '.join(NEEDED[options.action]) or 'nothing more'}")
    if not 1 / MEBIBYTE <= options.mebibytes < float("inf"):
        raise UserError(f"--mebibytes {options.mebibytes:g}: expected a number above 0")
    if options.action == "pack":
        what, folder = options.places
        pack_either(what, folder, round(options.mebibytes * MEBIBYTE))
    elif options.action == "join":
        folder, where = options.places
        join_all(folder, where)
    else:
        stamp()


def pack_either(what: Path, folder: Path, part_bytes: int) -> None:
    """Pack a file, or a store of runs."""
    from normscape.data.cifar.load import ARRAY_FILE, is_whole
    from normscape.store import only_one, pack_store

    if what.is_file():
        if what.name == ARRAY_FILE and not is_whole(what):
            raise UserError(f"{what}: not CIFAR-10 as it is known; scripts/fetch_data.py makes it again")
        parts = pack(what, folder, part_bytes)
    elif (what / "runs").is_dir():
        with only_one(what):
            parts = pack_store(what, folder, part_bytes)
    else:
        raise UserError(f"{what}: expected a file, or a store with a folder runs")
    for part in parts:
        print(f"{part}: {part.stat().st_size / MEBIBYTE:.1f} MiB")


def join_all(folder: Path, where: Path) -> None:
    """Join whatever lies in parts in a folder."""
    from normscape.data.cifar.load import ARRAY_FILE, is_whole
    from normscape.store import ARCHIVE, join_store

    names = packed(folder)
    if not names:
        raise UserError(f"{folder}: expected a folder with parts and their list (*{LIST})")
    for name in names:
        if name == ARCHIVE:
            print(f"{where}: took over {join_store(folder, where)} runs")
            continue
        join(folder, name, where / name)
        if name == ARRAY_FILE and not is_whole(where / name):
            (where / name).unlink()
            raise UserError(f"{folder}: its {name} is not CIFAR-10 as it is known; pack it again")
        print(f"{where / name}: joined and checked")


def stamp() -> None:
    """Write down the commit of the code, for a copy that travels without its history."""
    from normscape.process.provenance import STAMP, code_digest, commit

    revision = commit()
    if revision is None:
        raise UserError("stamp: expected a checkout with git, which knows the commit")
    write_json(PROJECT / STAMP, {"commit": revision, "sha256": code_digest(PROJECT)})
    print(f"{STAMP}: {revision}")


if __name__ == "__main__":
    with entry_point():
        main(sys.argv[1:])
