"""A catalogue of runs in pieces of limited time: what comes first, what a piece can hold, how many there will be."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from normscape.build import device_of
from normscape.config import RunConfig
from normscape.engines.lanes import in_words, side_by_side
from normscape.errors import UserError
from normscape.launch import begun
from normscape.overview.estimate import kind_of, steps_left, time_steps
from normscape.overview.progress import duration
from normscape.process.provenance import provenance
from normscape.runs import RunDirectory
from normscape.storage.files import read_json

START_SECONDS = 10.0
"""From the decision to begin a run to its first step: a process, the libraries, the data."""

SAVE_SECONDS = 10.0
"""From the end of a step to the end of the process: a checkpoint, and what is packed."""

LONGEST_STEP = 100
"""A step with every measurement that is due takes at most so many plain ones."""

LEAST_SHARE = 0.01
"""What a run must be able to do in a piece to be begun in it: this share of its steps, or its rest."""

MEASURED_EVALUATIONS = 2
"""After so many evaluations on the test set, measurements have their share of a run's time."""

MACHINE = ("processor", "cores", "device")
"""What must be the same for a speed to be known from earlier runs."""


def in_order(runs: Sequence[Sequence[RunConfig]]) -> list[RunConfig]:
    """Return runs in the order in which they are trained: the first seed of all before the second of any.

    Parameters
    ----------
    runs
        For each run in the order of the figures that declare it, its config for each seed. Within a seed, those of the
        network that comes first go before those of the next one.
    """
    nets = list(dict.fromkeys(configs[0].net for configs in runs if configs))
    seeds = max((len(configs) for configs in runs), default=0)
    return [
        configs[seed]
        for seed in range(seeds)
        for net in nets
        for configs in runs
        if seed < len(configs) and configs[0].net == net
    ]


def known_speeds(configs: Sequence[RunConfig]) -> dict[str, float]:
    """Return the seconds per step of the kinds of runs that have been trained on this machine, by `kind_of`."""
    here: dict[str, Mapping[str, Any]] = {}
    speeds: dict[str, tuple[int, float]] = {}
    for config in configs:
        directory, device = RunDirectory.of(config), device_of(config)
        status, origin = directory.status, read_json(directory.path / "provenance.json")
        if origin is None or status["step"] < min(config.steps, MEASURED_EVALUATIONS * config.eval_every):
            continue  # of its first steps, too many had every measurement
        hardware = here.setdefault(str(device), provenance(device)["hardware"])
        last = [origin, *origin.get("resumed", [])][-1]["hardware"]
        if all(last.get(key) == hardware[key] for key in MACHINE):
            seconds = float(status["wall_seconds"]) / status["step"]
            speeds[kind_of(config)] = max(speeds.get(kind_of(config), (0, 0.0)), (status["step"], seconds))
    return {kind: seconds for kind, (_, seconds) in speeds.items()}


def step_seconds(configs: Sequence[RunConfig], seconds: float) -> dict[str, float]:
    """Return the seconds per step of each kind of run, from earlier ones or from timing a few steps.

    Timing ends after about so many ``seconds``; what is left is taken to be as slow as the slowest of its network. A
    run that cannot be timed is taken to cost nothing: it will fail, and say why.
    """
    speeds, began = known_speeds(configs), time.monotonic()
    slowest: dict[str, float] = {}
    for config in configs:
        kind = kind_of(config)
        if kind not in speeds and (config.net not in slowest or time.monotonic() - began < seconds):
            try:
                speeds[kind] = time_steps(config)
            except Exception:
                speeds[kind] = 0.0
        speeds.setdefault(kind, slowest.get(config.net, 0.0))
        slowest[config.net] = max(slowest.get(config.net, 0.0), speeds[kind])
    return speeds


@dataclass(frozen=True)
class Piece:
    """What is missing, in order, and what of it a piece of so many seconds can hold.

    Attributes
    ----------
    missing
        The runs that have not ended.
    done
        How many have.
    speeds
        Seconds per step by `kind_of`.
    lanes
        How many runs go side by side on each type of device.
    seconds
        How long the piece is, until its process has ended.
    """

    missing: Sequence[RunConfig]
    done: int
    speeds: Mapping[str, float]
    lanes: Mapping[str, int]
    seconds: float

    @classmethod
    def of(cls, configs: Sequence[RunConfig], seconds: float, workers: int) -> "Piece":
        """Plan a piece; it takes about a thirtieth of its time to measure how fast this machine is."""
        missing = [config for config in configs if RunDirectory.of(config).summary is None]
        speeds = {**known_speeds(configs), **step_seconds(missing, seconds / 30)}
        return cls(missing, len(configs) - len(missing), speeds, side_by_side(missing, workers), seconds)

    @property
    def reserve(self) -> float:
        """The seconds that are kept to end the longest step and to save."""
        return SAVE_SECONDS + LONGEST_STEP * max((self.speeds[kind_of(config)] for config in self.missing), default=0)

    def rest(self, config: RunConfig) -> float:
        """Return the seconds that a run will still take."""
        return self.speeds[kind_of(config)] * steps_left(config)

    def least_seconds(self, config: RunConfig) -> float:
        """Return the seconds in which a run, once begun, gets somewhere."""
        return START_SECONDS + min(self.rest(config), LEAST_SHARE * self.speeds[kind_of(config)] * config.steps)

    def trained(self, seconds: float) -> list[tuple[RunConfig, float]]:
        """Return the runs that will be trained in so many seconds from now, and for how long."""
        free = {device: [0.0] * count for device, count in self.lanes.items()}
        plan = []
        for config in self.missing:
            lane = free[device_of(config).type]
            begin = min(lane)
            if begin + self.least_seconds(config) <= seconds:
                given = min(self.rest(config), seconds - begin - START_SECONDS)
                lane[lane.index(begin)] = begin + START_SECONDS + given
                plan.append((config, given))
        return plan

    @property
    def left(self) -> int:
        """How many pieces as long as this one there are left, this one included."""
        total = dict.fromkeys(self.lanes, 0.0)
        for config in self.missing:
            total[device_of(config).type] += START_SECONDS + self.rest(config)
        usable = max(1.0, self.seconds - self.reserve)
        return max((math.ceil(total[device] / (usable * count)) for device, count in self.lanes.items()), default=0)

    def lines(self, seconds: float) -> list[str]:
        """Say what is done, what comes in the seconds that are left, and how many pieces there will be.

        Raises
        ------
        UserError
            If none of the runs would get anywhere.
        """
        plan = self.trained(seconds)
        if self.missing and not plan:
            first = min(self.missing, key=self.least_seconds)
            needed = math.ceil((self.seconds - seconds + self.least_seconds(first)) / 6) / 10
            raise UserError(
                f"--minutes {self.seconds / 60:g}: no run would get anywhere; {first.name}, seed {first.seed}, takes "
                f"{self.speeds[kind_of(first)]:.3g} s a step here, and a piece needs {needed:g} minutes at least"
            )
        pieces = f"{self.left} piece{'s' if self.left > 1 else ''} of {duration(self.seconds)}"
        head = f"Runs: {self.done} finished, {len(self.missing)} to train, {in_words(self.lanes)} at a time: {pieces}."
        return [head, *(self._line(config, given) for config, given in plan), *self._after(plan)]

    def _line(self, config: RunConfig, given: float) -> str:
        speed, rest = self.speeds[kind_of(config)], self.rest(config)
        how = f"about {duration(rest)}" if given >= rest else f"{duration(given)} of {duration(rest)}"
        where = f"{1000 * speed:.3g} ms a step on {device_of(config).type}"
        return f"  {config.name}, seed {config.seed}: {config.steps} steps{begun(config)}; {where}, {how}"

    def _after(self, plan: Sequence[tuple[RunConfig, float]]) -> list[str]:
        later = len(self.missing) - len(plan)
        return [f"  in later pieces: {later} more"] if later else []
