"""Reproduce figures of a paper: train the runs they declare, draw them, judge their claims.

python experiments/reproduce.py 1                        one seed, at the scale that suits the machine
python experiments/reproduce.py 1 --seeds 0,1,2 --paper  three seeds, with the paper's own curves behind
python experiments/reproduce.py 1 --from-results         redraw from the table in results/, without any run
python experiments/reproduce.py 1 --seeds 1,2 --add      two seeds more than the results have
python experiments/reproduce.py all --dln-seeds 0-9      every figure, each run trained once
python experiments/reproduce.py all --launcher ray       the same on Ray; --dry-run says what it would do
"""

import normscape.process.portable  # noqa: F401, I001 - first: torch chooses its kernels when it is imported

from normscape.process.interrupts import end_at_once

if __name__ == "__main__":  # from here on, so that Ctrl-C says one line while torch is imported
    end_at_once()

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from normscape.errors import UserError, suggest
from normscape.evidence.figure import Family, Figure, figure_name, stem_of
from normscape.evidence.results import JudgedFigure, Results, require_readable, scales_in
from normscape.process.entry import Parser, entry_point
from normscape.reports.publish import Publication, publish_all
from normscape.reports.report import verdict_table, write_claims
from normscape.storage.files import require_writable
from normscape.storage.names import file_name

if TYPE_CHECKING:
    from normscape.config import RunConfig
    from normscape.evidence.asked import Asked

PROJECT = Path(__file__).resolve().parents[1]
SET_BY_FIGURE = {
    "scale": "--scale, e.g. --scale laptop",
    "seed": "--seeds, e.g. --seeds 0,1,2",
    "run": "no run, the figure declares its own; experiments/train.py trains others",
    "name": "no name, the figure knows its runs by theirs",
    "net": "no net, each run that the figure declares has its own",
    "series": "no series, each run that the figure declares has its own",
    "norm": "no norm, each run that the figure declares has its own",
    "norm._target_": "no norm, each run that the figure declares has its own",
    "schedule": "no schedule, figures tell their runs apart by a constant rate; experiments/train.py takes one",
    "scale.name": "--scale, e.g. --scale laptop",
}
"""Settings that a figure's runs take from its declaration and its options: what to give instead."""

MOST_SEEDS = 10_000
"""More are a slip of the keyboard."""

console = Console(highlight=False, soft_wrap=True)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(prog="reproduce.py", description="Reproduce figures of a paper.")
    parser.add_argument("figure", nargs="?", help="figure number, text (claims without a figure) or all")
    parser.add_argument("--family", default="santurkar2018", help="the folder of its figures in experiments/")
    parser.add_argument("--scale", default="auto", help="of configs/scale; auto: paper on a GPU, else laptop")
    parser.add_argument("--seeds", help="comma-separated, e.g. 0,1,2, or a range, e.g. 0-9 (default: 0)")
    parser.add_argument("--dln-seeds", help="the same for the deep linear nets (default: as --seeds)")
    parser.add_argument(
        "--workers", type=int, default=0, help="runs side by side on the GPU if there is one, else on the CPU"
    )
    parser.add_argument("--launcher", default="local", help="local, ray or slurm: what trains the runs, as in a sweep")
    parser.add_argument("--dry-run", action="store_true", help="say what would be trained, and stop")
    parser.add_argument("--add", action="store_true", help="keep the runs that the results have, and add seeds")
    parser.add_argument("--paper", action="store_true", help="draw the paper's own curves behind ours")
    parser.add_argument("--from-results", action="store_true", help="redraw from results/, without any run")
    parser.add_argument("--results", type=Path, default=PROJECT / "results", help="where figures go")
    parser.add_argument("overrides", nargs="*", help="settings for every run, e.g. tracker=none device=cpu")
    options = parser.parse_intermixed_args(arguments)
    if not options.figure:
        raise UserError("expected a figure: its number, text or all, e.g. reproduce.py 1")
    options.figure = figure_name(options.figure)
    options.family = Family.of(options.family, PROJECT)
    options.results = options.results.expanduser() / options.family.name
    if options.from_results:
        _require_nothing_to_train(options)
    options.seeds = seeds("--seeds", "0" if options.seeds is None else options.seeds)
    options.dln_seeds = seeds("--dln-seeds", options.dln_seeds) if options.dln_seeds else options.seeds
    if options.workers < 0:
        raise UserError(f"--workers {options.workers}: expected 1 or more, or 0 for one per core")
    if options.launcher != "local":
        if options.workers:
            raise UserError(
                f"--workers {options.workers}: expected with --launcher local; others have their own settings"
            )
        options.overrides = [f"hydra/launcher={options.launcher}", *options.overrides]
    for override in options.overrides:
        if "=" not in override and not override.startswith("~"):
            figures = "; one figure at a time, or all" if override in options.family.known else ""
            raise UserError(f"{override}: expected key=value{figures}")
        key = override.lstrip("+~").split("=")[0]
        key = "schedule" if key.startswith("schedule.") else key
        if key in SET_BY_FIGURE:
            raise UserError(f"{override}: expected {SET_BY_FIGURE[key]}")
        if options.from_results and not key.startswith("hydra"):
            raise UserError(f"{override}: expected no settings to redraw from results")
    options.folder = options.results / _folder(options)
    return options


def _require_nothing_to_train(options: argparse.Namespace) -> None:
    """Refuse what says how to train where figures are redrawn from their tables."""
    defaults = {"dry_run": False, "add": False, "seeds": None, "dln_seeds": None, "workers": 0, "launcher": "local"}
    for name, default in defaults.items():
        if getattr(options, name) != default:
            option = f"--{name.replace('_', '-')}"
            raise UserError(f"{option}: expected without --from-results, which trains nothing and draws what is there")


def _folder(options: argparse.Namespace) -> str:
    """Return the name of the folder of results: the scale, and what the settings change."""
    there = [folder.name for folder in scales_in(options.results)] if options.from_results else []
    if options.scale == "auto" and options.from_results:
        options.scale = _drawn_scale(options)
    if options.scale == "auto":
        from normscape.config import default_scale

        options.scale = default_scale()
    known = [path.stem for path in PROJECT.glob("configs/scale/*.yaml")]
    if options.scale not in [*known, *there]:
        raise UserError(f"--scale {options.scale}: no such scale{suggest(options.scale, [*known, *there])}")
    if options.from_results:
        return str(options.scale)
    from normscape.identity import changes

    return file_name(",".join([options.scale, *([] if options.scale == "smoke" else changes(options.overrides))]))


def _drawn_scale(options: argparse.Namespace) -> str:
    """Return the largest scale that there are results of the figure at."""
    wanted = "*.json" if options.figure == "all" else f"{stem_of(options.figure)}.json"
    return next((folder.name for folder in scales_in(options.results) if any(folder.glob(wanted))), "laptop")


def seeds(option: str, text: str) -> list[int]:
    """Read ``0,1,2`` or ``0-9``."""
    try:
        first, dash, last = text.partition("-")
        if dash and _number(last) - _number(first) >= MOST_SEEDS:
            raise UserError(f"{option} {text}: expected at most {MOST_SEEDS} seeds")
        values = [*range(_number(first), _number(last) + 1)] if dash else [*map(_number, text.split(","))]
    except ValueError as error:
        raise UserError(f"{option} {text}: expected numbers separated by commas, e.g. 0,1,2") from error
    if not values:
        raise UserError(f"{option} {text}: expected numbers from low to high, e.g. 0-9")
    if max(values) >= 2**63:
        raise UserError(f"{option} {text}: expected seeds below 2^63, which tables can hold")
    if len(set(values)) < len(values):
        raise UserError(f"{option} {text}: expected each seed once")
    return values


def _number(text: str) -> int:
    """Read digits, and nothing else that Python takes for a number."""
    if not re.fullmatch(r" *[0-9]+ *", text):
        raise ValueError(text)
    return int(text)


def asked(options: argparse.Namespace) -> "Asked":
    """Return what the command line asks of the runs of figures."""
    from normscape.evidence.asked import Asked

    local = options.launcher == "local"
    return Asked(options.scale, options.seeds, options.dln_seeds, options.overrides, here=local)


Made = tuple[dict[str, Any], bytes | None, "RunConfig | None"]
"""A manifest; of a new figure, its table and one of its runs, if it has any."""


def train(configs: "Sequence[RunConfig]", options: argparse.Namespace) -> bool:
    """Train what is missing of some runs; return whether all are there, which after ``--dry-run`` is not known."""
    from normscape.config import compose_hydra
    from normscape.engines.engine import engine_of
    from normscape.engines.here import LocalEngine
    from normscape.launch import train_missing
    from normscape.overview.ended import overview

    local = options.launcher == "local"
    engine = LocalEngine(options.workers) if local else engine_of(compose_hydra(options.overrides).launcher)
    if engine is None:
        raise UserError(f"--launcher {options.launcher}: expected local, ray or slurm")
    failures = train_missing(configs, engine, console.print, options.dry_run)
    if failures:
        Console(width=None if sys.stdout.isatty() else 200).print(overview(configs, failures))
        count = f"{len(failures)} of {len(configs)} runs failed"
        raise UserError(f"{count}; start again to continue. " + "; ".join(failures.values()))
    return not options.dry_run


def from_runs(figures: Sequence[Figure], options: argparse.Namespace) -> list[Made] | None:
    """Train what is missing of the runs of figures, and return their manifests and tables; None if it was only dry."""
    from normscape.evidence.added import Kept
    from normscape.evidence.tabulate import tabulate
    from normscape.process.kernels import use_kernels

    places = [Results(options.folder, figure) for figure in figures]
    trained = False
    while not trained:
        manifests = [results.content() for results in places]
        kept = [Kept.of(results) if options.add else Kept() for results in places]
        wanted, missing = asked(options).planned(places, kept)
        use_kernels(missing)
        require_readable(options.family, options.results, places)
        require_writable(options.folder, "--results", make=not options.dry_run)
        title = f"{figures[0].label} at scale={options.scale}: {figures[0].title}"
        console.print(f"All figures at scale={options.scale}" if len(figures) > 1 else title)
        if not train(missing, options):
            return None
        trained = not options.add or manifests == [results.content() for results in places]
        if not trained:
            console.print("--add: the results have changed meanwhile; what has come is kept too")
    made: list[Made] = []
    for results, configs, each in zip(places, wanted, kept, strict=True):
        text, manifest = tabulate(results.figure, configs, options.scale, each)
        made.append((manifest, text, configs[0] if configs else None))
        if lost := sorted(_seeds_kept(results) - {*manifest["seeds"]}):  # in a clone they are the committed evidence
            seeds = f"seed{'s' * (len(lost) > 1)} {', '.join(map(str, lost))}"
            cure = f"--add keeps them; git checkout {_shown(options.results)} brings back what is committed"
            console.print(f"{results.figure.label}: replaces results that have {seeds} too; {cure}")
    return made


def _seeds_kept(results: Results) -> set[int]:
    """Return the seeds that results are of; none if they are damaged, as they are to be replaced."""
    try:
        kept = results.kept()
    except UserError:
        return set()
    return {*kept["manifest"]["seeds"]} if kept else set()


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def main(arguments: list[str]) -> None:
    """Do what the command line asks."""
    options = parse(arguments)
    family: Family = options.family
    figures = family.figures() if options.figure == "all" else [family.figure(options.figure)]
    if options.from_results:
        if options.figure == "all":
            figures = [figure for figure in figures if Results(options.folder, figure).files]
            console.print(f"In {_shown(options.folder)}: {', '.join(figure.stem for figure in figures)}")
            if not figures:
                again = f"make reproduce-all SCALE={options.scale}"
                raise UserError(f"{_shown(options.folder)}: no figure to redraw; expected results, e.g. of {again}")
        made: list[Made] = [(Results(options.folder, figure).manifest(), None, None) for figure in figures]
        require_writable(options.folder, "--results")
    elif (new := from_runs(figures, options)) is None:
        return
    else:
        made = new
    asked = [
        Publication(family, str(figure.name), options.folder, manifest, text, options.paper)
        for figure, (manifest, text, _) in zip(figures, made, strict=True)
    ]
    for figure, (manifest, _, run), verdicts in zip(figures, made, publish_all(asked), strict=True):
        results = Results(options.folder, figure)
        if verdicts:
            table = verdict_table(f"{figure.label}: {figure.title}", verdicts)
            Console(width=None if sys.stdout.isatty() else 110).print(table)
        for file in results.files:
            console.print(f"  {_shown(file)}")
        if run is not None:
            from normscape.reports.mirrored import mirror_figure

            mirror_figure(JudgedFigure(figure, verdicts, manifest), results, run)
    if options.scale == "smoke":
        console.print("scale=smoke shows that everything runs; its verdicts mean nothing.")
    elif claims := write_claims(family, options.results):
        console.print(f"  {_shown(claims)}")


if __name__ == "__main__":
    with entry_point():
        main(sys.argv[1:])
