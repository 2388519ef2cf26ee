"""Train all figures' runs in pieces of limited time, on a machine that is lent by the minute.

python scripts/pieces.py --scale paper --minutes 9 --store STORE   a piece; repeat it until all runs are finished
python scripts/pieces.py --store STORE --out FOLDER                the same, and pack the store to be carried out

Each piece takes up where the last one ended, says what it will do, and stops in time with everything saved.
"""

import time

BEGAN = time.time()  # before the libraries are loaded, which takes a part of the piece

import normscape.process.portable  # noqa: E402, F401, I001 - first: torch chooses its kernels when it is imported

from normscape.process.interrupts import end_at_once  # noqa: E402

if __name__ == "__main__":  # so that Ctrl-C says one line while the rest is imported
    end_at_once()

import argparse  # noqa: E402
import math  # noqa: E402
import os  # noqa: E402
import shlex  # noqa: E402
import sys  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import TYPE_CHECKING  # noqa: E402

from normscape.errors import Interrupted, UserError, suggest  # noqa: E402
from normscape.evidence.figure import Figure  # noqa: E402
from normscape.process.entry import Parser, entry_point  # noqa: E402
from normscape.storage.files import require_writable  # noqa: E402
from normscape.storage.parts import MEBIBYTE  # noqa: E402

if TYPE_CHECKING:
    from normscape.config import RunConfig

sys.path.append(str(Path(__file__).resolve().parents[1] / "experiments"))

import reproduce  # noqa: E402


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line; what it shares with reproduce.py is checked there."""
    parser = Parser(description="Train all figures' runs in pieces of limited time.")
    parser.add_argument("--store", type=Path, required=True, help="folder that is carried from piece to piece")
    parser.add_argument("--minutes", type=float, default=9.0, help="length of a piece, all included (default: 9)")
    parser.add_argument("--out", type=Path, help="also pack the store into this folder, in parts, at the end")
    parser.add_argument("--mebibytes", type=float, default=15.0, help="largest part in --out (default: 15)")
    parser.add_argument("--most", type=float, default=math.inf, help="MiB in --out in all (default: whatever there is)")
    parser.add_argument(
        "--figures", help="comma-separated, in their order (default: all, those that decide most first)"
    )
    parser.add_argument("--family", default="santurkar2018", help="the folder of the figures in experiments/")
    parser.add_argument("--scale", default="paper", help="of configs/scale (default: paper)")
    parser.add_argument("--seeds", default="0,1,2", help="comma-separated, or a range (default: 0,1,2)")
    parser.add_argument("--dln-seeds", default="0-9", help="the same for the deep linear nets (default: 0-9)")
    parser.add_argument(
        "--workers", type=int, default=0, help="runs side by side on the GPU if there is one, else on the CPU"
    )
    parser.add_argument("overrides", nargs="*", help="settings for every run, e.g. tracker=wandb")
    options = parser.parse_intermixed_args(arguments)
    for name in ("minutes", "mebibytes", "most"):
        value = getattr(options, name)
        if not value > 0 or (value == math.inf and name != "most"):
            raise UserError(f"--{name} {getattr(options, name):g}: expected a number above 0")
    for override in options.overrides:
        if override.lstrip("+~").startswith("runs_dir="):
            raise UserError(f"{override}: expected --store to say where runs go")
    if options.out:
        require_writable(options.out, "--out")
    shared = [f"--{name.replace('_', '-')}={getattr(options, name)}" for name in ("family", "scale", "seeds")]
    shared += [f"--dln-seeds={options.dln_seeds}", f"--workers={options.workers}", "tracker=none", *options.overrides]
    options.shared = reproduce.parse(["all", *shared])
    return options


def chosen(options: argparse.Namespace) -> list[Figure]:
    """Return the figures whose runs are trained, in the order in which they are."""
    family = options.shared.family
    names = options.figures.split(",") if options.figures else family.first
    for name in names:
        if name not in family.known:
            raise UserError(f"--figures {name}: there is no such figure{suggest(name, family.known)}")
    return [family.figure(name) for name in names]


def main(arguments: list[str]) -> None:
    """Do what the command line asks."""
    options = parse(arguments)
    from normscape.launch import fetch_data
    from normscape.pieces import in_order
    from normscape.process.kernels import use_kernels
    from normscape.runs import RunDirectory
    from normscape.store import only_one, require_whole, runs_in

    store = options.store.absolute()
    os.environ["NORMSCAPE_RUNS"] = str(store / "runs")
    configs = in_order(list(reproduce.asked(options.shared).declared(chosen(options)).values()))
    use_kernels(configs)
    with only_one(store):
        require_whole(store)
        known = {run.path.name for run in runs_in(store) if run.summary is not None}
        fetch_data([config for config in configs if RunDirectory.of(config).summary is None])
        try:
            failures = train(configs, options)
        finally:
            if options.out:
                carry_out(store, known, options)
    if failures:
        raise UserError(f"{len(failures)} runs failed; the others go on. " + "; ".join(failures))


def carry_out(store: Path, known: set[str], options: argparse.Namespace) -> None:
    """Pack the store, or what of it fits; runs of ``known`` names had ended before this piece."""
    from normscape.store import pack_store, that_fit

    chosen, left = that_fit(store, options.most * MEBIBYTE, known)
    parts = pack_store(store, options.out, round(options.mebibytes * MEBIBYTE), chosen)
    size = sum(part.stat().st_size for part in parts) / MEBIBYTE
    print(f"{options.out}: the store in {len(parts)} parts, {size:.1f} MiB", flush=True)
    if left:
        print(f"--most {options.most:g}: {len(left)} runs stay behind in {store}: {', '.join(left)}", flush=True)


def train(configs: "Sequence[RunConfig]", options: argparse.Namespace) -> list[str]:
    """Train what fits into the piece; return a line for each run that failed."""
    from normscape.engines.pool import execute_all
    from normscape.pieces import Piece

    piece = Piece.of(configs, 60 * options.minutes, options.workers)
    until = BEGAN + piece.seconds - piece.reserve
    if piece.missing:
        print("\n".join(piece.lines(until - time.time())), flush=True)
    failures: list[str] = []
    try:
        failures = execute_all(piece.missing, piece.lanes, until, piece.least_seconds)
    except Interrupted:
        if time.time() < until:  # by a signal
            raise
    print(reached(configs, options), flush=True)
    return failures


def reached(configs: "Sequence[RunConfig]", options: argparse.Namespace) -> str:
    """Say how far the catalogue is, and what to do next."""
    from normscape.runs import RunDirectory

    missing = [config for config in configs if RunDirectory.of(config).summary is None]
    if missing:
        begun = sum(RunDirectory.of(config).status["step"] > 0 for config in missing)
        count = f"Runs: {len(configs) - len(missing)} of {len(configs)} finished, {begun} begun"
        return f"{count}; the same command continues."
    asked = {"family": options.family, "scale": options.scale, "seeds": options.seeds, "dln-seeds": options.dln_seeds}
    words = [word for name, value in asked.items() for word in (f"--{name}", str(value))]
    runs = f"NORMSCAPE_RUNS={shlex.quote(str(options.store / 'runs'))} python experiments/reproduce.py"
    figures = options.figures.split(",") if options.figures else ["all"]
    commands = [f"{runs} {shlex.join([figure, *words, *options.overrides])}" for figure in figures]
    return f"Everything is done (runs: {len(configs)}). To draw and judge them: {' && '.join(commands)}"


if __name__ == "__main__":
    with entry_point():
        main(sys.argv[1:])
