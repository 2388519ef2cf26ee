"""Many runs: what is there, what is missing and how long it will take; then what is missing is trained."""

from collections.abc import Callable, Sequence

from normscape.build import device_of
from normscape.components import build_component
from normscape.config import RunConfig
from normscape.errors import UserError
from normscape.estimate import estimate_seconds
from normscape.pool import default_workers, execute_all
from normscape.progress import duration
from normscape.runs import RunDirectory


def train_missing(configs: Sequence[RunConfig], workers: int, say: Callable[[str], object]) -> None:
    """Say what is there and what is missing with the time it will take, then train what is missing.

    Parameters
    ----------
    configs
        The runs.
    workers
        How many are trained side by side; 0 for as many as suit the machine.
    say
        Takes each line of the plan.

    Raises
    ------
    UserError
        If runs have failed: names them; the others have finished.
    """
    missing = [config for config in configs if RunDirectory.of(config).summary is None]
    done = len(configs) - len(missing)
    if not missing:
        say(f"All {done} runs are finished." if done else "No runs needed: this is a diagram.")
        return
    for config in {str(config.data): config for config in missing}.values():
        build_component("data", config.data)  # fetch it once, before the workers want it
    workers = min(workers or default_workers(device_of(missing[0]).type), len(missing))
    seconds = estimate_seconds(missing)
    time = "time unknown" if seconds is None else f"about {duration(seconds / workers)}"
    say(f"{done} runs are finished, {len(missing)} to train, {workers} at a time: {time}.")
    for config in missing:
        directory = RunDirectory.of(config)
        begun = f", continues from step {directory.status['step']}" if directory.status["step"] else ""
        say(f"  {config.name}, seed {config.seed}: {config.steps} steps{begun}")
    failures = execute_all(missing, workers)
    if failures:
        count = f"{len(failures)} of {len(missing)} runs failed"
        raise UserError(f"{count}; start again to continue. " + "; ".join(failures))
