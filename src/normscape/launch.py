"""Many runs: what is there, what is missing and how long it will take; then what is missing is trained."""

from collections.abc import Callable, Mapping, Sequence

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
        How many are trained side by side on each device; 0 for as many as suit the machine.
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
        say(f"All {done} runs are finished." if done else "No runs needed.")
        return
    fetch_data(missing)
    lanes = side_by_side(missing, workers)
    seconds = estimate_seconds(missing)
    time = "time unknown" if seconds is None else f"about {duration(lane_seconds(missing, seconds, lanes))}"
    say(f"{done} runs are finished, {len(missing)} to train, {in_words(lanes)} at a time: {time}.")
    for config in missing:
        say(f"  {config.name}, seed {config.seed}: {config.steps} steps{begun(config)}")
    if failures := execute_all(missing, lanes):
        count = f"{len(failures)} of {len(missing)} runs failed"
        raise UserError(f"{count}; start again to continue. " + "; ".join(failures))


def fetch_data(configs: Sequence[RunConfig]) -> None:
    """Fetch the data of some runs once, before their workers want it."""
    for config in {str(config.data): config for config in configs}.values():
        build_component("data", config.data)


def side_by_side(configs: Sequence[RunConfig], workers: int = 0) -> dict[str, int]:
    """Return how many runs go side by side on each type of device: ``workers``, or as many as suit the machine.

    Beside runs on a GPU, each of which keeps a core busy, those on the CPU get the other cores.
    """
    count: dict[str, int] = {}
    for config in configs:
        device = device_of(config).type
        count[device] = count.get(device, 0) + 1
    elsewhere = sum(min(default_workers(device), runs) for device, runs in count.items() if device != "cpu")
    suited = {device: max(1, default_workers(device) - (elsewhere if device == "cpu" else 0)) for device in count}
    return {device: min(workers or suited[device], count[device]) for device in count}


def lane_seconds(configs: Sequence[RunConfig], seconds: Sequence[float], lanes: Mapping[str, int]) -> float:
    """Return how long the runs on the device that is busy longest will take."""
    total = dict.fromkeys(lanes, 0.0)
    for config, needed in zip(configs, seconds, strict=True):
        total[device_of(config).type] += needed
    return max(total[device] / lanes[device] for device in lanes)


def in_words(lanes: Mapping[str, int]) -> str:
    """Return how many runs go side by side, e.g. ``2``, or ``1 (cuda) and 7 (cpu)``."""
    if len(lanes) == 1:
        return str(*lanes.values())
    return " and ".join(f"{count} ({device})" for device, count in lanes.items())


def begun(config: RunConfig) -> str:
    """Return from where a run will continue, in words; nothing if it has not begun."""
    step = RunDirectory.of(config).status["step"]
    return f", continues from step {step}" if step else ""
