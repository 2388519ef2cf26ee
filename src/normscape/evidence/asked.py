"""The runs that are asked for: of figures, at a scale, with seeds and settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from normscape.build import dry_build
from normscape.config import compose_seeds
from normscape.evidence.added import Kept
from normscape.evidence.figure import Figure
from normscape.evidence.preflight import planned, require_evidence
from normscape.evidence.results import Results
from normscape.schema import RunConfig

Declared = Mapping[str, Sequence[RunConfig]]
"""Runs by the labels that figures know them by, one for each seed."""


@dataclass(frozen=True)
class Asked:
    """What is asked of the runs that figures declare.

    Attributes
    ----------
    scale, overrides
        The scale, and settings for every run.
    seeds, dln_seeds
        The seeds, and those of the deep linear nets.
    here
        Whether they are trained on this machine, whose device they must then suit.
    """

    scale: str
    seeds: Sequence[int]
    dln_seeds: Sequence[int]
    overrides: Sequence[str]
    here: bool

    def declared(self, figures: Sequence[Figure], kept: Sequence[Kept] = ()) -> dict[str, list[RunConfig]]:
        """Compose and check the runs of figures, for each seed that is asked for or kept, the lowest first.

        A run of several figures is composed once.

        Raises
        ------
        UserError
            If one cannot be built, or would not measure what a figure needs.
        """
        declared: dict[str, list[RunConfig]] = {}
        for figure in figures:
            for run, own in figure.runs.items():
                if run not in declared:
                    of_seed = compose_seeds([*own, f"scale={self.scale}", f"group={figure.group}", *self.overrides])
                    first = of_seed(self.seeds[0])
                    dry_build(first, device_too=self.here)
                    others = (seed for each in kept for seed in each.seeds(first.name))
                    seeds = sorted({*self.seeds_of(first), *others})
                    declared[run] = [first if seed == first.seed else of_seed(seed) for seed in seeds]
        firsts = {run: configs[0] for run, configs in declared.items()}
        plans = {run: planned(config) for run, config in firsts.items()}
        for figure in figures:
            require_evidence(figure, firsts, plans)
        return declared

    def renewed(self, places: Sequence[Results], kept: Sequence[Kept]) -> list[Kept]:
        """Return what is kept of each figure without the runs that would be others today (`Kept.of_today`)."""
        declared = self.declared([results.figure for results in places], kept)
        runs = [[config for run in results.figure.runs for config in declared[run]] for results in places]
        return [each.of_today(configs) for each, configs in zip(kept, runs, strict=True)]

    def planned(self, places: Sequence[Results], kept: Sequence[Kept]) -> tuple[list[list[RunConfig]], list[RunConfig]]:
        """Return the runs that each figure is made from, and those that are not kept, each once.

        Raises
        ------
        UserError
            If a run cannot be built or would not measure what is needed, or if what is kept of it was another run.
        """
        declared = self.declared([results.figure for results in places], kept)
        wanted = [self._wanted(results.figure, each, declared) for results, each in zip(places, kept, strict=True)]
        missing: dict[tuple[str, int], RunConfig] = {}
        for results, each, configs in zip(places, kept, wanted, strict=True):
            each.require_same(results, configs)
            missing |= {(config.name, config.seed): config for config in configs if config not in each}
        return wanted, list(missing.values())

    def _wanted(self, figure: Figure, kept: Kept, declared: Declared) -> list[RunConfig]:
        """Return what a figure is made from: of the runs it declares the seeds asked for, and those that are kept."""
        runs = [config for run in figure.runs for config in declared[run]]
        return [
            config for config in runs if config.seed in self.seeds_of(config) or config.seed in kept.seeds(config.name)
        ]

    def seeds_of(self, config: RunConfig) -> Sequence[int]:
        """Return the seeds that are asked for of a run."""
        return self.dln_seeds if config.net == "dln" else self.seeds
