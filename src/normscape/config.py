"""From a command line to a checked configuration; `schema` has its keys, `settings.checks` what is checked."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from normscape.errors import UserError, first_line
from normscape.schema import COMPONENTS, RunConfig
from normscape.settings.checks import check
from normscape.settings.explain import check_choices, explained, parsed
from normscape.settings.folders import further_folders, search_path, searched, shapeless, undecodable
from normscape.settings.hints import accepts
from normscape.settings.limits import check_threads
from normscape.storage.directories import runs_folder

__all__ = [
    "COMPONENTS",
    "CONFIGS",
    "RunConfig",
    "accepts",
    "check",
    "check_threads",
    "compose_hydra",
    "compose_run",
    "compose_seeds",
    "default_scale",
    "jobs",
    "with_scale",
]

CONFIGS = Path(__file__).resolve().parents[2] / "configs"

OmegaConf.register_new_resolver("through", lambda steps, parts: int(steps) // int(parts) + 1, replace=True)
"""``steps: ${through:${scale.vgg.steps},2}`` trains half of the steps, and one, so that the last is measured too."""


OmegaConf.register_new_resolver("folder", runs_folder, replace=True)
"""``runs_dir: ${folder:${oc.env:NORMSCAPE_RUNS,null}}``: a variable that is empty is one that is not set."""


def default_scale() -> str:
    """Return ``paper`` where there is a GPU and ``laptop`` elsewhere."""
    return "paper" if torch.cuda.is_available() else "laptop"


def with_scale(overrides: Sequence[str]) -> list[str]:
    """Replace ``scale=auto``, or a scale that is not given, by the one that suits this machine."""
    others = [override for override in overrides if override != "scale=auto"]
    if any(override.startswith("scale=") for override in others):
        return others
    return [*others, f"scale={default_scale()}"]


def jobs(overrides: Sequence[str]) -> list[list[str]]:
    """Expand the sweeps in Hydra overrides (``seed=0,1 norm=l1,l2``) to one list of overrides per job."""
    choices: list[list[str]] = []
    for override in parsed(overrides):
        if override.is_sweep_override():
            try:
                values = list(override.sweep_string_iterator())
            except HydraException as error:  # interval() and glob(), which only some sweepers know
                line = override.input_line
                instead = "a list of values to sweep, e.g. seed=0,1,2; hydra/sweeper=optuna takes ranges"
                raise UserError(f"{line}: expected {instead}") from error
            choices.append([f"{override.get_key_element()}={value}" for value in values])
        else:
            choices.append([override.input_line or ""])
    return [list(combination) for combination in itertools.product(*choices)]


def compose_run(
    overrides: Sequence[str], configs: Path = CONFIGS, own: Path | None = None, name: str = "train"
) -> RunConfig:
    """Compose and check the configuration of one run.

    Parameters
    ----------
    overrides
        Hydra overrides, e.g. ``["run=vgg_l1", "seed=1"]``.
    configs
        Folder of the YAMLs.
    own
        A folder of further YAML files with the same layout, as Hydra's ``--config-dir`` takes it.
    name
        The YAML file to start from.

    Raises
    ------
    UserError
        For any key or value that the suite does not know, wherever it was written.
    """
    return check(_composed(overrides, configs, own, name))


def compose_seeds(overrides: Sequence[str]) -> Callable[[int], RunConfig]:
    """Compose the configuration of a run for any seed; return what gives it, checked, for one.

    Gives what `compose_run` gives with ``seed=...`` as well, in less time: Hydra reads two dozen files, once.
    """
    composed = _composed([*overrides, "seed=0"], CONFIGS, None, "train")

    def of_seed(seed: int) -> RunConfig:
        composed.seed = seed
        return check(composed)

    return of_seed


def compose_hydra(
    overrides: Sequence[str], configs: Path = CONFIGS, own: Path | None = None, name: str = "train"
) -> DictConfig:
    """Compose Hydra's own settings for a command line: its launcher and its sweeper. Arguments of `compose_run`."""
    hydra: DictConfig = _composed(overrides, configs, own, name, return_hydra_config=True).hydra
    return hydra


def _composed(
    overrides: Sequence[str], configs: Path, own: Path | None, name: str, return_hydra_config: bool = False
) -> DictConfig:
    name = name.removesuffix(".yaml")
    further = [*([f"file://{own.absolute()}"] if own else []), *searched(overrides)]
    folders = [configs, *further_folders(further, configs)]
    main = configs
    if own:
        if not (configs / f"{name}.yaml").exists():  # Hydra starts from its main folder
            main, further[0] = own, f"file://{configs.absolute()}"
        overrides = [search_path(further), *overrides]
    with initialize_config_dir(version_base="1.3", config_dir=str(main.absolute())):
        check_choices(overrides, folders)
        try:
            return compose(name, list(overrides), return_hydra_config)
        except (HydraException, OmegaConfBaseException) as error:
            raise explained(error, overrides, folders, name) from error
        except YAMLError as error:
            raise UserError(" ".join(str(error).split())) from error
        except UnicodeDecodeError as error:
            raise UserError(f"{undecodable(folders)}: expected text in UTF-8 ({error.reason})") from error
        except (OSError, ValueError, TypeError, AttributeError, AssertionError, RecursionError) as error:
            where = shapeless(folders) or " ".join(overrides)  # OmegaConf does not say where
            raise UserError(f"{where}: expected keys and values ({first_line(error)})") from error
