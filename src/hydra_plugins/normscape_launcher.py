"""The launcher by which Hydra's sweepers reach the engines of `normscape.engines`; named in configs/hydra/launcher.

A plain sweep, of lists of values, is not launched by Hydra: all its runs are known beforehand, and go to the engine
together. A sweeper that chooses values by what came out, as Optuna's, launches one batch after the other.

Hydra imports every plugin whatever it is asked for, so what takes long to import is imported when a batch is launched.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from normscape.launched import LAUNCHED

if TYPE_CHECKING:
    from normscape.schema import RunConfig


class NormscapeLauncher(Launcher):
    """Hands the jobs of a batch to an engine, returns their objectives, and keeps them in `LAUNCHED`."""

    def __init__(self, **settings: Any) -> None:
        self._settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what Hydra gives; runs are not carried out by its task function, but by the engine."""
        self._context, self._config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Compose, check and carry out a batch of runs."""
        from normscape.config import check
        from normscape.engines.engine import engine_of
        from normscape.labels import labelled
        from normscape.launch import train_missing

        engine = engine_of(self._settings)
        assert engine is not None
        loader = self._context.config_loader
        composed = [loader.load_sweep_config(self._config, [*overrides]) for overrides in job_overrides]
        configs = [labelled(check(config), config.hydra.overrides.task) for config in composed]
        folder = Path(self._config.hydra.sweep.dir)
        LAUNCHED.found = folder / "optimization_results.yaml"
        folder.mkdir(parents=True, exist_ok=True)  # where a sweeper leaves what it found
        whole = OmegaConf.select(self._config, "hydra.sweeper.n_trials") or "?"
        print(f"Jobs {initial_job_idx + 1} to {initial_job_idx + len(configs)} of {whole}:", flush=True)
        failures = train_missing(configs, engine, partial(print, flush=True))
        LAUNCHED.runs.extend(zip(configs, map(list, job_overrides), strict=True))
        LAUNCHED.failures.update(failures)
        return [
            _returned(config, overrides, failures) for config, overrides in zip(configs, job_overrides, strict=True)
        ]


def _returned(config: "RunConfig", overrides: Sequence[str], failures: dict[str, str]) -> JobReturn:
    from normscape.identity import identity
    from normscape.overview.objective import objective

    returned = JobReturn(overrides=overrides, status=JobStatus.COMPLETED)
    if (failure := failures.get(identity(config))) is not None:
        returned.status = JobStatus.FAILED
        returned.return_value = RuntimeError(failure)
    else:
        returned.return_value = objective(config)
    return returned
