"""The options that Hydra takes on a command line, as its documentation lists them, and one of ours."""

import sys
from argparse import SUPPRESS, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from normscape.errors import UserError
from normscape.process.entry import Parser, entry_point

DRY_RUN = "--dry-run"
SHOWING = ("help", "hydra_help", "version", "cfg", "info", "shell_completion")
"""Options with which Hydra shows something and trains nothing."""

HELP = ("--help", "-h", "--hydra-help", "--version")


def show_help(script: str) -> None:
    """If Hydra's own help is all that a script is started for, print it and end: it needs no torch."""
    if len(sys.argv) != 2 or sys.argv[1] not in HELP:
        return
    import hydra

    sys.argv.append(f"hydra.job.name={Path(sys.argv[0]).stem}")  # what the help says is powered by Hydra
    configs = Path(script).resolve().parents[1] / "configs"
    with entry_point():
        hydra.main(version_base="1.3", config_path=str(configs), config_name="train")(_nothing)()
    sys.exit()


def _nothing(_config: object) -> None:
    raise AssertionError("asked for help, Hydra carries out no job")


def parse(arguments: Sequence[str]) -> Namespace:
    """Read a command line for `experiments/train.py`; what is no option is in ``overrides``."""
    parser = Parser(prog="train.py", add_help=False, allow_abbrev=False)
    parser.add_argument("overrides", nargs="*")
    for names in (("--help", "-h"), ("--hydra-help",), ("--version",), ("--resolve",), ("--shell-completion", "-sc")):
        parser.add_argument(*names, action="store_true")
    for names in (("--run", "-r"), ("--multirun", "-m"), (DRY_RUN,)):
        parser.add_argument(*names, action="store_true")
    for names in (("--cfg", "-c"), ("--package", "-p"), ("--config-path", "-cp"), ("--config-name", "-cn")):
        parser.add_argument(*names)
    parser.add_argument("--config-dir", "-cd")
    parser.add_argument("--experimental-rerun", help=SUPPRESS)
    parser.add_argument("--info", "-i", nargs="?", const="all")
    return parser.parse_intermixed_args([*arguments])


def folders(parsed: Namespace, script: Path) -> dict[str, Any]:
    """Return where the YAML files are according to Hydra's options, as arguments of `normscape.config.compose_run`."""
    tree: dict[str, Any] = {}
    if parsed.config_dir:
        tree["own"] = Path(parsed.config_dir)
    if parsed.config_path:
        tree["configs"] = script.parent / parsed.config_path  # as Hydra reads it
    if parsed.config_name:
        tree["name"] = parsed.config_name
    for option, folder in (("--config-dir", tree.get("own")), ("--config-path", tree.get("configs"))):
        if folder is not None and not folder.is_dir():
            raise UserError(f"{option} {folder}: no such folder")
    return tree


def only_shows(parsed: Namespace) -> bool:
    """Whether Hydra is asked to show something only."""
    return any(getattr(parsed, name) for name in SHOWING)
