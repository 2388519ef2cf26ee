"""Train one run, or with -m a sweep of runs.

python experiments/train.py run=vgg_batch seed=0 scale=laptop
python experiments/train.py -m run=vgg_standard,vgg_batch seed=0,1 hydra/launcher=local
python experiments/train.py -m run=vgg_standard,vgg_batch seed=0,1 --dry-run
"""

import normscape.process.portable  # noqa: F401, I001 - first: torch chooses its kernels when it is imported

from normscape.process.interrupts import end_at_once

if __name__ == "__main__":  # from here on, so that Ctrl-C says one line while torch is imported
    end_at_once()

    from normscape.settings.hydra_options import show_help

    show_help(__file__)

import math
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from normscape.config import CONFIGS, RunConfig, check, compose_hydra, jobs, with_scale
from normscape.engines.engine import Engine, engine_of
from normscape.engines.here import LocalEngine
from normscape.engines.worker import failure
from normscape.errors import UserError
from normscape.execute import execute
from normscape.identity import identity
from normscape.labels import labelled
from normscape.launch import train_missing, unknown_commit
from normscape.launched import LAUNCHED
from normscape.overview.ended import overview
from normscape.overview.objective import objective, require_objective
from normscape.overview.progress import ProgressDisplay
from normscape.process.entry import entry_point
from normscape.process.kernels import use_kernels
from normscape.settings.hydra_options import DRY_RUN, folders, only_shows, parse
from normscape.sweep import composed, examples, for_sweeper, from_sweeper, is_plain, require_plugins, with_group

sys.path.append(str(Path.cwd()))  # where norm._target_=mypackage.MyNorm finds mypackage

FULL_ERROR = "HYDRA_FULL_ERROR"
"""Hydra's variable by which it passes errors on, rather than printing them and ending the process."""


@hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="train")
def job(from_hydra: DictConfig) -> float:
    """Carry out the run that Hydra composed, and return its objective."""
    config = labelled(check(from_hydra), list(HydraConfig.get().overrides.task))
    try:
        with ProgressDisplay() as display:
            execute(config, display)
    except Exception as error:
        said = UserError(failure(config, error))
        if HydraConfig.get().mode == RunMode.RUN:  # Hydra would put a line of its own before it
            FAILED.append(said)
            return math.nan
        raise said from error
    return objective(config)


FAILED: list[UserError] = []
"""What went wrong in a single run."""


@dataclass(frozen=True)
class Asked:
    """What a command line asks for.

    Attributes
    ----------
    arguments
        What Hydra is given where it does the work, with the scale decided.
    configs, commands
        The runs of a plain sweep, and the overrides of each; of another sweep, those that were checked as examples.
    engine
        What carries a sweep out; None where Hydra does: a single run, another sweeper, a launcher that is not ours.
    sweeper
        What chooses the runs of a sweep as it goes, in words; nothing for all combinations.
    """

    arguments: Sequence[str]
    configs: Sequence[RunConfig] = ()
    commands: Sequence[Sequence[str]] = ()
    engine: Engine | None = None
    sweeper: str = ""
    dry_run: bool = False


def prepare(arguments: Sequence[str]) -> Asked:
    """Read a command line, and check every job that it asks for."""
    parsed = parse(arguments)
    tree = folders(parsed, Path(__file__))
    if only_shows(parsed):
        return Asked(arguments)
    overrides = with_scale(parsed.overrides)
    chosen = overrides[-1] if overrides[-1:] != parsed.overrides[-1:] else None
    flags = [argument for argument in arguments if argument not in (*parsed.overrides, DRY_RUN)]
    asked = _sweep(with_group(overrides), flags, tree) if parsed.multirun else _single(overrides, flags, tree)
    if any(override.lstrip("+").startswith("objective=") for override in overrides):
        for config in asked.configs:
            require_objective(config)
    use_kernels(asked.configs)
    if chosen:
        print(f"{chosen}, which suits this machine", file=sys.stderr)
    return replace(asked, dry_run=parsed.dry_run)


def _single(overrides: list[str], flags: list[str], tree: Mapping[str, Any]) -> Asked:
    configs = composed([overrides], tree, None)
    for line in unknown_commit():
        print(line, file=sys.stderr)
    return Asked([*flags, *overrides], configs, [overrides])


def _sweep(overrides: list[str], flags: list[str], tree: Mapping[str, Any]) -> Asked:
    require_plugins(overrides)
    chosen = compose_hydra(examples(overrides)[0], **tree)
    engine = engine_of(chosen.launcher)
    if not is_plain(chosen.sweeper):
        checked = examples(overrides)
        configs = composed(checked, tree, engine)
        for config in configs:
            require_objective(config)
        trials = chosen.sweeper.get("n_trials")
        name = str(chosen.sweeper["_target_"]).rpartition(".")[2]
        words = f"{name} chooses the settings of {f'{trials} runs' if trials else 'the runs'} as it goes"
        return Asked([*flags, *for_sweeper(overrides, configs[0].objective)], configs, checked, sweeper=words)
    combinations = jobs([*from_sweeper(chosen.sweeper), *overrides])
    return Asked([*flags, *overrides], composed(combinations, tree, engine), combinations, engine)


def train_all(asked: Asked, engine: Engine) -> None:
    """Carry out the runs of a plain sweep; of another one, say what its examples would cost."""
    if asked.sweeper:
        print(f"{asked.sweeper}; what follows is of one run with each value and each end of a range", flush=True)
    failures = train_missing(asked.configs, engine, partial(print, flush=True), asked.dry_run)
    if not asked.dry_run:
        report(asked.configs, asked.commands, failures)


def by_hydra(asked: Asked) -> None:
    """Let Hydra do it, and pass on what goes wrong as it is."""
    os.environ[FULL_ERROR] = "1"
    sys.argv[1:] = asked.arguments
    try:
        job()
    except (HydraException, OmegaConfBaseException, ValueError, NotImplementedError) as error:
        raise UserError(" ".join(str(error).split())) from error
    if FAILED:
        raise FAILED[0]
    if (found := LAUNCHED.found) is not None and found.exists():
        print(f"What {asked.configs[0].objective} was best with, in {found}:\n{found.read_text().strip()}")
    if LAUNCHED.runs:
        configs, commands = zip(*LAUNCHED.runs, strict=True)
        report(configs, commands, LAUNCHED.failures)


def report(configs: Sequence[RunConfig], commands: Sequence[Sequence[str]], failures: Mapping[str, str]) -> None:
    """Print a table of all runs; raise `UserError` if some failed, after saying how each is carried out again."""
    Console(width=None if sys.stdout.isatty() else 200).print(overview(configs, failures))
    if not failures:
        return
    print("To run again what failed, the same command, or one of these:")
    for config, overrides in zip(configs, commands, strict=True):
        if identity(config) in failures:
            own = [override for override in overrides if not override.startswith("hydra")]
            print(f"  python experiments/train.py {shlex.join(own)}")
    raise UserError(f"{len(failures)} of {len(configs)} runs failed: {'; '.join(failures.values())}")


def main(arguments: Sequence[str]) -> None:
    """Do what the command line asks."""
    asked = prepare(arguments)
    if asked.engine is not None:
        train_all(asked, asked.engine)
    elif asked.dry_run:
        train_all(asked, LocalEngine(runs_at_once=1))
    else:
        by_hydra(asked)


if __name__ == "__main__":
    with entry_point():
        main(sys.argv[1:])
