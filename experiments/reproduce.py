"""Reproduce a figure of the paper: train the runs it declares, draw it, judge its claims.

python experiments/reproduce.py 1                        one seed, at the scale that suits the machine
python experiments/reproduce.py 1 --seeds 0,1,2 --paper  three seeds, with the paper's own curves behind
python experiments/reproduce.py 1 --from-results         redraw from the table in results/, without any run
"""

import argparse
import importlib
import math
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table

from normscape.claims import Verdict, judge, plain
from normscape.config import CONFIGS, RunConfig, compose_run, default_scale
from normscape.entry import entry_point
from normscape.errors import UserError
from normscape.execute import build_component, device_of, dry_build, estimate_seconds
from normscape.plots import save_figure
from normscape.pool import default_workers, execute_all
from normscape.progress import duration
from normscape.provenance import provenance
from normscape.runs import RunDirectory, read_json, write_json
from normscape.tables import FinishedRun, read_original, read_table, write_table

PROJECT = CONFIGS.parent
ORIGINAL = PROJECT / "results" / "original"
SET_BY_FIGURE = {
    "scale": "--scale, e.g. --scale laptop",
    "seed": "--seeds, e.g. --seeds 0,1,2",
    "run": "no run, the figure declares its own; experiments/train.py trains any",
    "name": "no name, the figure knows its runs by theirs",
}
"""Settings that a figure's runs take from its declaration and its options: what to give instead."""

console = Console(highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Figure:
    """What a figure is: its number, ``configs/figure/figNN.yaml`` and its module in ``experiments/figures``."""

    number: int
    title: str
    runs: tuple[str, ...]
    module: ModuleType

    @classmethod
    def of(cls, number: int) -> "Figure":
        """Find a figure by its number."""
        modules = sorted(Path(__file__).parent.glob(f"figures/fig{number:02d}_*.py"))
        if not modules:
            known = sorted(int(path.stem[3:5]) for path in Path(__file__).parent.glob("figures/fig??_*.py"))
            raise UserError(f"figure {number}: not here; known figures: {', '.join(map(str, known))}")
        declared: Any = OmegaConf.load(CONFIGS / "figure" / f"fig{number:02d}.yaml")
        module = importlib.import_module(f"figures.{modules[0].stem}")
        return cls(number, declared["title"], tuple(declared["runs"]), module)

    @property
    def stem(self) -> str:
        """The name of its files."""
        return f"fig{self.number:02d}"


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="reproduce.py", description="Reproduce a figure of the paper.")
    parser.add_argument("figure", type=int, help="the figure's number in the paper")
    parser.add_argument("--scale", default="auto", help="paper, laptop, smoke; auto: paper on a GPU, else laptop")
    parser.add_argument("--seeds", default="0", help="comma-separated, e.g. 0,1,2 (default: 0)")
    parser.add_argument("--workers", type=int, default=0, help="runs side by side (default: one per core, or GPU: 1)")
    parser.add_argument("--paper", action="store_true", help="draw the paper's own curves behind ours")
    parser.add_argument("--from-results", action="store_true", help="redraw from results/, without any run")
    parser.add_argument("--results", type=Path, default=PROJECT / "results", help="where figures go")
    parser.add_argument("overrides", nargs="*", help="settings for every run, e.g. tracker=none device=cpu")
    options = parser.parse_intermixed_args(arguments)
    options.scale = default_scale() if options.scale == "auto" else options.scale
    try:
        options.seeds = [int(seed) for seed in options.seeds.split(",")]
    except ValueError as error:
        raise UserError(f"--seeds {options.seeds}: expected numbers separated by commas, e.g. 0,1,2") from error
    if len(set(options.seeds)) < len(options.seeds):
        raise UserError(f"--seeds {','.join(map(str, options.seeds))}: expected each seed once")
    if options.workers < 0:
        raise UserError(f"--workers {options.workers}: expected 1 or more, or 0 for one per core")
    for override in options.overrides:
        key = override.lstrip("+~").split("=")[0]
        if key in SET_BY_FIGURE:
            raise UserError(f"{override}: expected {SET_BY_FIGURE[key]}")
    return options


def declared_runs(figure: Figure, options: argparse.Namespace) -> list[RunConfig]:
    """Compose and check the runs that a figure declares, for every seed."""
    configs = []
    for seed in options.seeds:
        for run in figure.runs:
            fixed = [f"run={run}", f"seed={seed}", f"scale={options.scale}", f"group={figure.stem}"]
            configs.append(compose_run([*fixed, *options.overrides]))
    for config in configs:
        dry_build(config)
    return configs


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
    seconds = estimate_seconds(missing) / workers
    console.print(f"{done} runs are there, {len(missing)} to train, {workers} at a time: about {duration(seconds)}.")
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
    return {"scale": options.scale, "seeds": options.seeds, "drawn_by": provenance(), "runs": entries}


def publish(figure: Figure, table: pd.DataFrame, origin: dict[str, Any], folder: Path, *, paper: bool) -> list[Verdict]:
    """Draw the figure and judge its claims from its table; write picture and manifest."""
    original = read_original(ORIGINAL, figure.number)
    verdicts = [judge(claim, table, original) for claim in figure.module.CLAIMS]
    drawing = figure.module.draw(table, original if paper else None)
    for suffix in (".png", ".pdf"):
        save_figure(drawing, folder / f"{figure.stem}{suffix}")
    claims = [verdict.to_json() for verdict in verdicts]
    content = {"figure": figure.number, "title": figure.title, "claims": claims, "manifest": origin}
    write_json(folder / f"{figure.stem}.json", content)
    return verdicts


def report(figure: Figure, verdicts: list[Verdict], folder: Path) -> None:
    """Print the verdicts and where everything is."""
    shown = Table(title=f"Figure {figure.number}: {figure.title}", title_justify="left")
    for column in ("the paper's claim", "here", "over seeds", "paper", "must be", "verdict"):
        shown.add_column(column)
    for v in verdicts:
        spread = f"{plain(v.low):.4} to {plain(v.high):.4}" if len(v.values) > 1 else "one seed"
        numbers = [f"{v.value:.4g}", spread, "" if v.paper is None or math.isnan(v.paper) else f"{v.paper:.4g}"]
        shown.add_row(v.claim.paper_says, *numbers, v.claim.threshold, v.verdict)
    if verdicts:
        Console(width=max(110, shutil.get_terminal_size().columns)).print(shown)
    for suffix in (".png", ".pdf", ".csv", ".json"):
        console.print(f"  {_shown(folder / f'{figure.stem}{suffix}')}")


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def main(arguments: list[str]) -> None:
    """Do what the command line asks."""
    options = parse(arguments)
    figure = Figure.of(options.figure)
    folder = options.results / options.scale
    files = folder / f"{figure.stem}.csv", folder / f"{figure.stem}.json"
    if options.from_results:
        if not all(file.exists() for file in files):
            raise UserError(f"--from-results: {_shown(files[0])} is not there; reproduce the figure without it first")
        origin = read_json(files[1])["manifest"]
    else:
        console.print(f"Figure {figure.number} at scale={options.scale}: {figure.title}")
        configs = declared_runs(figure, options)
        train_missing(configs, options.workers)
        runs = [FinishedRun(config, RunDirectory.of(config)) for config in configs]
        folder.mkdir(parents=True, exist_ok=True)
        write_table(figure.module.table(runs), files[0])
        origin = manifest(runs, options)
    verdicts = publish(figure, read_table(files[0]), origin, folder, paper=options.paper)
    report(figure, verdicts, folder)


if __name__ == "__main__":
    with entry_point():
        main(sys.argv[1:])
