"""Reproduce figures of the paper: train the runs they declare, draw them, judge their claims.

python experiments/reproduce.py 1                        one seed, at the scale that suits the machine
python experiments/reproduce.py 1 --seeds 0,1,2 --paper  three seeds, with the paper's own curves behind
python experiments/reproduce.py 1 --from-results         redraw from the table in results/, without any run
python experiments/reproduce.py all --dln-seeds 0-9      every figure, each run trained once
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console

from figures.declared import Figure, known_figures
from normscape.build import device_of, dry_build
from normscape.claims import judge
from normscape.components import build_component
from normscape.config import CONFIGS, RunConfig, compose_run, default_scale
from normscape.entry import entry_point
from normscape.errors import UserError, suggest
from normscape.estimate import estimate_seconds
from normscape.files import read_json, write_json
from normscape.identity import changes, safe_name
from normscape.plots import save_figure
from normscape.pool import default_workers, execute_all
from normscape.progress import duration
from normscape.provenance import provenance
from normscape.report import verdict_table, write_claims
from normscape.runs import RunDirectory
from normscape.tables import FinishedRun, read_original, read_table, table_file, write_table

PROJECT = CONFIGS.parent
ORIGINAL = PROJECT / "results" / "original"
SET_BY_FIGURE = {
    "scale": "--scale, e.g. --scale laptop",
    "seed": "--seeds, e.g. --seeds 0,1,2",
    "run": "no run, the figure declares its own; experiments/train.py trains any",
    "name": "no name, the figure knows its runs by theirs",
    "norm": "no norm, each run that the figure declares has its own",
}
"""Settings that a figure's runs take from its declaration and its options: what to give instead."""

console = Console(highlight=False, soft_wrap=True)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        options = [option for action in self._actions for option in action.option_strings]
        wrong = message.rpartition(" ")[2]
        raise UserError(f"{message}{suggest(wrong, options) if wrong.startswith('-') else ''}")


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = _Parser(prog="reproduce.py", description="Reproduce figures of the paper.")
    parser.add_argument("figure", help=f"its number in the paper: {', '.join(known_figures())}; or all")
    parser.add_argument("--scale", default="auto", help="paper, laptop, smoke; auto: paper on a GPU, else laptop")
    parser.add_argument("--seeds", default="0", help="comma-separated, e.g. 0,1,2, or a range, e.g. 0-9 (default: 0)")
    parser.add_argument("--dln-seeds", default=None, help="the same for the deep linear nets (default: as --seeds)")
    parser.add_argument("--workers", type=int, default=0, help="runs side by side (default: one per core, or GPU: 1)")
    parser.add_argument("--paper", action="store_true", help="draw the paper's own curves behind ours")
    parser.add_argument("--from-results", action="store_true", help="redraw from results/, without any run")
    parser.add_argument("--results", type=Path, default=PROJECT / "results", help="where figures go")
    parser.add_argument("overrides", nargs="*", help="settings for every run, e.g. tracker=none device=cpu")
    options = parser.parse_intermixed_args(arguments)
    if options.scale == "auto":
        options.scale = _drawn_scale(options) if options.from_results else default_scale()
    known = [path.stem for path in CONFIGS.glob("scale/*.yaml")]
    known += _scales_in(options.results) if options.from_results else []
    if options.scale not in known:
        raise UserError(f"--scale {options.scale}: no such scale{suggest(options.scale, known)}")
    if options.from_results and options.overrides:
        raise UserError(f"{options.overrides[0]}: expected no settings to redraw from results")
    options.seeds = seeds("--seeds", options.seeds)
    options.dln_seeds = seeds("--dln-seeds", options.dln_seeds) if options.dln_seeds else options.seeds
    if options.workers < 0:
        raise UserError(f"--workers {options.workers}: expected 1 or more, or 0 for one per core")
    for override in options.overrides:
        key = override.lstrip("+~").split("=")[0]
        if key in SET_BY_FIGURE:
            raise UserError(f"{override}: expected {SET_BY_FIGURE[key]}")
    changed = [] if options.scale == "smoke" else changes(options.overrides)
    options.folder = options.results / safe_name(",".join([options.scale, *changed]))
    return options


def _drawn_scale(options: argparse.Namespace) -> str:
    """Return the scale that suits this machine if its results are there, else another whose results are."""
    there, wanted = _scales_in(options.results), default_scale()
    return wanted if wanted in there or not there else sorted(set(there) - {"smoke"} or there)[0]


def _scales_in(results: Path) -> list[str]:
    """Return the folders of results that have a figure."""
    return sorted({path.parent.name for path in results.glob("*/*.json")})


def seeds(option: str, text: str) -> list[int]:
    """Read ``0,1,2`` or ``0-9``."""
    try:
        first, dash, last = text.partition("-")
        values = [*range(int(first), int(last) + 1)] if dash else [int(seed) for seed in text.split(",")]
    except ValueError as error:
        raise UserError(f"{option} {text}: expected numbers separated by commas, e.g. 0,1,2") from error
    if not values:
        raise UserError(f"{option} {text}: expected numbers from low to high, e.g. 0-9")
    if len(set(values)) < len(values):
        raise UserError(f"{option} {text}: expected each seed once")
    return values


def declared_runs(figures: Sequence[Figure], options: argparse.Namespace) -> dict[str, list[RunConfig]]:
    """Compose and check the runs that figures declare, for every seed; a run of several figures is composed once."""
    declared: dict[str, list[RunConfig]] = {}
    for figure in figures:
        for run in figure.runs:
            if run not in declared:
                fixed = [f"run={run}", f"scale={options.scale}", f"group={figure.stem}", *options.overrides]
                wanted = options.dln_seeds if run.startswith("dln") else options.seeds
                declared[run] = [compose_run([*fixed, f"seed={seed}"]) for seed in wanted]
                dry_build(declared[run][0])
    return declared


def train_missing(configs: list[RunConfig], workers: int) -> None:
    """Print what is there and what is missing with the time it will take, then train what is missing."""
    missing = [config for config in configs if RunDirectory.of(config).summary is None]
    done = len(configs) - len(missing)
    if not missing:
        console.print(f"All {done} runs are there." if done else "No runs: it is a diagram.")
        return
    for config in {str(config.data): config for config in missing}.values():
        build_component("data", config.data)  # fetch it once, before the workers want it
    workers = min(workers or default_workers(device_of(missing[0]).type), len(missing))
    seconds = estimate_seconds(missing)
    time = "for how long is not known" if seconds is None else f"about {duration(seconds / workers)}"
    console.print(f"{done} runs are there, {len(missing)} to train, {workers} at a time: {time}.")
    for config in missing:
        directory = RunDirectory.of(config)
        begun = f", goes on from step {directory.status['step']}" if directory.status["step"] else ""
        console.print(f"  {config.name}, seed {config.seed}: {config.steps} steps{begun}")
    failures = execute_all(missing, workers)
    if failures:
        raise UserError(f"{len(failures)} of {len(missing)} runs failed; start again to go on. " + "; ".join(failures))


def manifest(runs: list[FinishedRun], options: argparse.Namespace) -> dict[str, Any]:
    """Return where the figure's numbers come from, run by run."""
    entries = []
    for run in runs:
        origin = read_json(run.directory.path / "provenance.json")
        config = read_json(run.directory.path / "config.json")
        entries.append(
            {"directory": run.directory.path.name, **(run.directory.summary or {}), **origin, "config": config}
        )
    seeds_used = sorted({run.config.seed for run in runs})
    return {"scale": options.scale, "seeds": seeds_used, "tabulated_by": provenance(), "runs": entries}


def tabulate(figure: Figure, declared: dict[str, list[RunConfig]], options: argparse.Namespace) -> dict[str, Any]:
    """Write the figure's table from its runs, which are all over, and return its manifest."""
    runs = [FinishedRun(config, RunDirectory.of(config)) for name in figure.runs for config in declared[name]]
    folder = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    made = manifest(runs, options)
    _warn_of_fewer_seeds(figure, made, options)
    write_table(figure.module.table(runs), folder, figure.stem)
    return made


def _warn_of_fewer_seeds(figure: Figure, made: dict[str, Any], options: argparse.Namespace) -> None:
    """Say so where results of more seeds are about to be replaced: in a clone they are the committed evidence."""
    kept = read_json(options.folder / f"{figure.stem}.json")
    before = len(kept["manifest"]["seeds"]) if kept else 0
    if before > len(made["seeds"]):
        back = f"git checkout {_shown(options.results)} brings back what is committed"
        console.print(f"{figure.label}: replaces results of {before} seeds by {len(made['seeds'])}; {back}")


def kept_manifest(figure: Figure, options: argparse.Namespace) -> dict[str, Any]:
    """Return the manifest of a figure whose table is in the results."""
    folder = options.folder
    kept: dict[str, Any] | None = read_json(folder / f"{figure.stem}.json")
    if kept is None or table_file(folder, figure.stem) is None:
        missing = _shown(folder / f"{figure.stem}.csv")
        raise UserError(f"--from-results: {missing} is not there; reproduce the figure without it first")
    origin: dict[str, Any] = kept["manifest"]
    return origin


def publish(figure: Figure, origin: dict[str, Any], options: argparse.Namespace) -> None:
    """Draw the figure and judge its claims from its table; write picture and manifest, and print what they say."""
    folder = options.folder
    source = table_file(folder, figure.stem)
    assert source is not None
    table, original = read_table(source), read_original(ORIGINAL, *figure.original)
    verdicts = [judge(claim, table, original) for claim in figure.module.CLAIMS]
    drawing = figure.module.draw(table, original if options.paper else None)
    pictures = [folder / f"{figure.stem}{suffix}" for suffix in (".png", ".pdf")]
    for picture in pictures:
        save_figure(drawing, picture)
    claims = [verdict.to_json() for verdict in verdicts]
    labels = {"figure": figure.name, "title": figure.title, "headline": figure.headline, "with_paper": options.paper}
    write_json(folder / f"{figure.stem}.json", {**labels, "claims": claims, "manifest": origin})
    if verdicts:
        shown = verdict_table(f"{figure.label}: {figure.title}", verdicts)
        Console(width=None if sys.stdout.isatty() else 110).print(shown)
    for file in (*pictures, source, folder / f"{figure.stem}.json"):
        console.print(f"  {_shown(file)}")


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def main(arguments: list[str]) -> None:
    """Do what the command line asks."""
    options = parse(arguments)
    names = known_figures() if options.figure == "all" else [options.figure]
    figures = [Figure.of(name) for name in names]
    if options.from_results:
        if options.figure == "all":
            figures = [figure for figure in figures if table_file(options.folder, figure.stem)]
            console.print(f"In {_shown(options.folder)}: {', '.join(figure.stem for figure in figures) or 'no figure'}")
        origins = [kept_manifest(figure, options) for figure in figures]
    else:
        title = f"{figures[0].label} at scale={options.scale}: {figures[0].title}"
        declared = declared_runs(figures, options)
        console.print(f"All figures at scale={options.scale}" if len(figures) > 1 else title)
        train_missing([config for configs in declared.values() for config in configs], options.workers)
        origins = [tabulate(figure, declared, options) for figure in figures]
    for figure, origin in zip(figures, origins, strict=True):
        publish(figure, origin, options)
    if options.scale == "smoke":
        console.print("scale=smoke shows that everything runs; its verdicts say nothing of the paper.")
    elif claims := write_claims(options.results):
        console.print(f"  {_shown(claims)}")


if __name__ == "__main__":
    with entry_point():
        main(sys.argv[1:])
