"""What a command line asks of figures: which ones, at which scale, of which seeds, with which settings."""

import argparse
import re
from pathlib import Path

from normscape.errors import UserError, suggest
from normscape.evidence.figure import Family, figure_name, stem_of
from normscape.evidence.parsers import figures_parser
from normscape.evidence.results import scales_in
from normscape.storage.names import file_name

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
    "hydra/launcher": "--launcher, e.g. --launcher slurm",
}
"""Settings that a figure's runs take from its declaration and its options: what to give instead."""

MOST_SEEDS = 10_000
"""More are a slip of the keyboard."""


def parse(arguments: list[str], project: Path) -> argparse.Namespace:
    """Read the command line.

    Parameters
    ----------
    arguments
        What stands behind the name of the script.
    project
        The folder that has ``configs``, ``experiments`` and ``results``.

    Returns
    -------
    argparse.Namespace
        The options; ``family`` as a `Family`, ``seeds`` and ``dln_seeds`` as numbers, ``folder`` where results go.

    Raises
    ------
    UserError
        If an option or a setting is not one that figures can have.
    """
    options = figures_parser(project).parse_intermixed_args(arguments)
    if not options.figure:
        raise UserError("expected a figure: its number, text or all, e.g. reproduce.py 1")
    options.figure = figure_name(options.figure)
    options.family = Family.of(options.family, project)
    options.results = options.results.expanduser() / options.family.name
    if options.from_results:
        _require_nothing_to_train(options)
    if options.renew and not options.add:
        raise UserError("--renew: expected with --add, which keeps the other runs; without --add all are made anew")
    if options.config_dir and not options.config_dir.is_dir():
        raise UserError(f"--config-dir {options.config_dir}: no such folder")
    options.seeds = seeds("--seeds", "0" if options.seeds is None else options.seeds)
    options.dln_seeds = seeds("--dln-seeds", options.dln_seeds) if options.dln_seeds else options.seeds
    if options.workers < 0:
        raise UserError(f"--workers {options.workers}: expected 1 or more, or 0 for one per core")
    if options.launcher != "local" and options.workers:
        raise UserError(f"--workers {options.workers}: expected with --launcher local; others have their own settings")
    _require_settings_of_figures(options)
    if options.launcher != "local":
        options.overrides = [f"hydra/launcher={options.launcher}", *options.overrides]
    if options.config_dir:
        from normscape.settings.folders import search_path

        options.overrides = [search_path([f"file://{options.config_dir.absolute()}"]), *options.overrides]
    options.folder = options.results / _folder(options, project)
    return options


def _require_nothing_to_train(options: argparse.Namespace) -> None:
    """Refuse what says how to train where figures are redrawn from their tables."""
    unset = {"dry_run": False, "add": False, "renew": False, "seeds": None, "dln_seeds": None}
    for name, default in (unset | {"workers": 0, "launcher": "local", "config_dir": None}).items():
        if getattr(options, name) != default:
            option = f"--{name.replace('_', '-')}"
            raise UserError(f"{option}: expected without --from-results, which trains nothing and draws what is there")


def _require_settings_of_figures(options: argparse.Namespace) -> None:
    """Refuse settings that are none, and those that a figure's runs have from elsewhere."""
    for override in options.overrides:
        if "=" not in override and not override.startswith("~"):
            figures = "; one figure at a time, or all" if override in options.family.known else ""
            raise UserError(f"{override}: expected key=value{figures}")
        key = override.lstrip("+~").split("=")[0]
        key = "schedule" if key.startswith("schedule.") else key
        if key.startswith("hydra.launcher.") and options.launcher == "local":
            raise UserError(f"{override}: expected with --launcher ray or slurm; here, --workers N")
        if key in SET_BY_FIGURE:
            raise UserError(f"{override}: expected {SET_BY_FIGURE[key]}")
        if options.from_results and not key.startswith("hydra"):
            raise UserError(f"{override}: expected no settings to redraw from results")


def _folder(options: argparse.Namespace, project: Path) -> str:
    """Return the name of the folder of results: the scale, and what the settings change."""
    there = [folder.name for folder in scales_in(options.results)] if options.from_results else []
    if options.scale == "auto" and options.from_results:
        options.scale = _drawn_scale(options)
    if options.scale == "auto":
        from normscape.config import default_scale

        options.scale = default_scale()
    known = [path.stem for path in project.glob("configs/scale/*.yaml")]
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
