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

    from pathlib import Path

    from normscape.evidence.parsers import figures_parser
    from normscape.process.entry import show_help

    show_help(figures_parser(Path(__file__).resolve().parents[1]))

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from normscape.errors import UserError
from normscape.evidence import command_line
from normscape.evidence.figure import Family, Figure
from normscape.evidence.results import JudgedFigure, Results, require_readable
from normscape.process.entry import entry_point
from normscape.reports.publish import Publication, publish_all
from normscape.reports.verdicts import verdict_table, write_claims
from normscape.storage.files import require_writable

if TYPE_CHECKING:
    from normscape.config import RunConfig
    from normscape.evidence.asked import Asked

PROJECT = Path(__file__).resolve().parents[1]
console = Console(highlight=False, soft_wrap=True)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    return command_line.parse(arguments, PROJECT)


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
    failures = train_missing(configs, engine, console.print, options.dry_run, all_needed=True)
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
        if options.renew:
            kept = asked(options).renewed(places, kept)
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
