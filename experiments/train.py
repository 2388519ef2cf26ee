"""Train one run, or with -m a sweep of runs: python experiments/train.py run=vgg_batch seed=0 scale=laptop."""

import normscape.portable  # noqa: F401, I001 - first: torch chooses its kernels when it is imported

import hashlib
import re
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from normscape.build import dry_build
from normscape.config import CONFIGS, RunConfig, check, compose_run, jobs, with_scale
from normscape.entry import entry_point
from normscape.errors import UserError
from normscape.execute import execute
from normscape.identity import changes
from normscape.kernels import use_kernels
from normscape.progress import ProgressDisplay
from normscape.worker import failure

sys.path.append(str(Path.cwd()))  # where norm._target_=mypackage.MyNorm finds mypackage

FAILED: list[str] = []
"""What went wrong in the jobs of this process."""


def labelled(config: RunConfig, overrides: list[str]) -> RunConfig:
    """Add to the run's labels what the command line changed of what they name.

    The name takes every change (``vgg_batch,optimizer.lr=0.3``), the net those of the model, the series those of the
    norm (``standard,norm._target_=mypackage.MyNorm``): a table must not call batch what is no longer BatchNorm.
    """
    changed = changes(overrides)
    config.name = ",".join([config.name, *changed])
    config.net = ",".join([config.net, *changes_of("model", changed)])
    config.series = ",".join([config.series, *changes_of("norm", changed)])
    return config


def changes_of(component: str, changed: list[str]) -> list[str]:
    """Return those of some changes that choose a component or set something in it."""
    return [change for change in changed if re.match(rf"(no-)?{component}([.=]|$)", change)]


@hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="train")
def job(composed: DictConfig) -> None:
    """Run what one job of Hydra composed; a sweep continues when one of its jobs fails."""
    hydra_config = HydraConfig.get()
    elsewhere = not hydra_config.launcher._target_.endswith("BasicLauncher")  # another process waits for the outcome
    config = None
    try:
        config = labelled(check(composed), list(hydra_config.overrides.task))
        with ProgressDisplay() as display:
            execute(config, display)
    except Exception as error:
        if elsewhere:
            raise
        FAILED.append(failure(config, error) if config else str(error))


def folders(parsed: Namespace) -> dict[str, Any]:
    """Return where the YAML files are according to Hydra's options, as arguments of `compose_run`."""
    tree: dict[str, Any] = {}
    if parsed.config_dir:
        tree["own"] = Path(parsed.config_dir)
    if parsed.config_path:
        tree["configs"] = Path(__file__).parent / parsed.config_path  # as Hydra reads it
    if parsed.config_name:
        tree["name"] = parsed.config_name
    for option, folder in (("--config-dir", tree.get("own")), ("--config-path", tree.get("configs"))):
        if folder is not None and not folder.is_dir():
            raise UserError(f"{option} {folder}: no such folder")
    return tree


def prepare(arguments: list[str]) -> list[str]:
    """Return the arguments with the scale decided, after checking every job that they ask for."""
    parsed = get_args_parser().parse_intermixed_args(arguments)
    tree = folders(parsed)
    if parsed.help or parsed.hydra_help or parsed.info or parsed.cfg:
        return arguments
    overrides = with_scale(parsed.overrides)
    chosen = overrides[-1] if overrides[-1:] != parsed.overrides[-1:] else None
    if parsed.multirun and not any(override.startswith("group=") for override in overrides):
        overrides.append(f"group=sweep-{hashlib.sha256(' '.join(sorted(overrides)).encode()).hexdigest()[:8]}")
    combinations = jobs(overrides) if parsed.multirun else [overrides]
    configs = [compose_run(combination, **tree) for combination in combinations]
    for config in configs:
        dry_build(config)
    use_kernels(configs)
    if chosen:
        print(f"{chosen}, which suits this machine", file=sys.stderr)
    flags = [argument for argument in arguments if argument not in parsed.overrides]
    return [*flags, *overrides]


if __name__ == "__main__":
    with entry_point():
        sys.argv[1:] = prepare(sys.argv[1:])
        job()
        if FAILED:
            raise UserError("; ".join(FAILED))
