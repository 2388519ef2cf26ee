"""Where a run stands before it is carried out: new, resumable, cached, damaged, or running elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from normscape.config import RunConfig
from normscape.errors import UserError
from normscape.identity import identity
from normscape.runs import RunDirectory
from normscape.storage.directories import said_of_others

Kind = Literal["cached", "damaged", "elsewhere", "resumable", "new"]

ORDER: tuple[Kind, ...] = ("resumable", "new", "elsewhere")
"""What is begun first: a run that another process trains is waited for last, while there is nothing else to do."""


@dataclass(frozen=True)
class Standing:
    """Where one run stands; ``damage`` says what is wrong with the files of one that has ended."""

    config: RunConfig
    kind: Kind
    step: int
    damage: str = ""

    @classmethod
    def of(cls, config: RunConfig) -> "Standing":
        """Look at the run's directory and its lock."""
        directory = RunDirectory.of(config)
        try:
            if (summary := directory.summary) is not None:
                directory.require_whole()
        except UserError as error:
            return cls(config, "damaged", 0, str(error))
        if summary is not None:
            return cls(config, "cached", int(summary.get("step", config.steps)))
        step = int(directory.status["step"])
        if directory.taken:
            return cls(config, "elsewhere", step)
        return cls(config, "resumable" if step else "new", step)

    @property
    def described(self) -> str:
        """How long the run is and where it stands, in words."""
        config = self.config
        more = {
            "cached": "",
            "damaged": f"; {self.damage}",
            "elsewhere": f", another process trains it (step {self.step} saved)",
            "resumable": f", continues from step {self.step}",
            "new": "",
        }[self.kind]
        kind = "running elsewhere" if self.kind == "elsewhere" else self.kind
        directory = RunDirectory.of(config)
        others = said_of_others(directory.path, directory.identity)
        return f"{config.steps} steps, {kind}{more}{others}"


def plan_lines(found: Sequence[Standing]) -> list[str]:
    """Return the lines of a plan: one for each run, and for those that differ by their seeds alone."""
    alike: dict[tuple[str, str, str], list[int]] = {}
    for each in found:
        others = repr(replace(each.config, seed=0))
        alike.setdefault((each.config.name, each.described, others), []).append(each.config.seed)
    return [f"  {name}, {_in_words(seeds)}: {described}" for (name, described, _), seeds in alike.items()]


def _in_words(seeds: Sequence[int]) -> str:
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    if len(seeds) > 2 and list(seeds) == [*range(seeds[0], seeds[-1] + 1)]:
        return f"seeds {seeds[0]} to {seeds[-1]}"
    return f"seeds {', '.join(map(str, seeds))}"


def standings(configs: Sequence[RunConfig]) -> list[Standing]:
    """Return where some runs stand, each once: settings that make the same run count as one."""
    return [Standing.of(config) for config in {identity(config): config for config in reversed(configs)}.values()][::-1]
