"""How many runs go side by side on each device of this machine, and how long that takes."""

from collections.abc import Mapping, Sequence

from normscape.build import device_of
from normscape.config import RunConfig
from normscape.engines.pool import default_workers


def side_by_side(configs: Sequence[RunConfig], workers: int = 0) -> dict[str, int]:
    """Return how many runs go side by side on each type of device: ``workers``, or as many as suit the machine.

    Beside runs on a GPU, of which ``workers`` go side by side then and each keeps a core busy, those on the CPU get the
    other cores.
    """
    count: dict[str, int] = {}
    for config in configs:
        device = device_of(config).type
        count[device] = count.get(device, 0) + 1
    lanes = {device: min(workers or default_workers(device), runs) for device, runs in count.items()}
    elsewhere = sum(lanes[device] for device in lanes if device != "cpu")
    if elsewhere and "cpu" in lanes:
        lanes["cpu"] = min(max(1, default_workers("cpu") - elsewhere), count["cpu"])
    return lanes


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
