"""Many runs: what is there, what is missing and what it will cost; then what is missing is carried out by an engine."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from normscape.components import build_component
from normscape.config import RunConfig
from normscape.engines.engine import Engine
from normscape.errors import UserError
from normscape.execute import require_same_data
from normscape.identity import identity
from normscape.mirror import hint
from normscape.overview import disk
from normscape.overview.estimate import RefusedError
from normscape.overview.progress import duration
from normscape.overview.standing import ORDER, Standing, plan_lines, standings
from normscape.overview.tally import Tally
from normscape.process.provenance import commit_of_code
from normscape.runs import RunDirectory
from normscape.storage.files import require_writable

DRY_RUN = "Nothing was trained (--dry-run)."


@dataclass(frozen=True)
class Plan:
    """What is to be done for some runs, in the order in which it is begun.

    Attributes
    ----------
    cached
        The runs that have ended.
    missing
        Those that are carried out.
    damaged
        Those that have ended, and whose files are not what they wrote: a failure of each, by its identity.
    seconds
        About how long each of the missing takes; None if that is not known.
    """

    cached: Sequence[Standing]
    missing: Sequence[Standing]
    damaged: Mapping[str, str]
    seconds: Sequence[float] | None
    lines: Sequence[str]

    @classmethod
    def of(cls, configs: Sequence[RunConfig], engine: Engine, all_needed: bool = False) -> "Plan":
        """Look at what is there, fetch the data once, and see what the rest will cost.

        Raises
        ------
        UserError
            If the engine, the data or the disk will not do; or one of the runs, if ``all_needed``.
        """
        found = standings(configs)
        damaged = [each for each in found if each.kind == "damaged"]
        if damaged and all_needed:
            raise UserError(damaged[0].damage)
        failures = {identity(each.config): f"{each.config.label}: {each.damage}" for each in damaged}
        cached = [each for each in found if each.kind == "cached"]
        require_same_data([each.config for each in cached])
        missing = [each for kind in ORDER for each in found if each.kind == kind]
        unmirrored = [line for line in [hint(each.config for each in cached)] if line]
        told = [*plan_lines(damaged), *unmirrored]
        ended = f"{len(cached)} finished" + (f", {len(damaged)} damaged" if damaged else "")
        if not missing:
            whole = ended if damaged else f"all {ended}"
            return cls(cached, missing, failures, [], [f"Runs: {whole if found else 'none needed'}.", *told])
        rest = [each.config for each in missing]
        engine.require(rest)
        fetch_data(rest)
        needed = disk.bytes_needed([each.config for each in missing if each.kind == "new"])
        disk.require_room(Path(rest[0].runs_dir).absolute(), needed + disk.bytes_beside(rest))
        times, refused = None, []
        try:
            times = engine.seconds(rest)
        except RefusedError as error:
            if all_needed:
                raise
            refused = [f"  will fail: {error}"]
        time = "time unknown" if times is None else f"about {duration(times[0])}" if times[0] else "a few steps each"
        head = f"Runs: {ended}, {len(missing)} to train, {engine.described(rest)}: {time}"
        lines = [
            f"{head}, {disk.in_words(needed)} of disk.",
            *plan_lines(missing),
            *refused,
            *told,
            *unknown_commit(),
        ]
        return cls(cached, missing, failures, times[1] if times else None, lines)


def train_missing(
    configs: Sequence[RunConfig],
    engine: Engine,
    say: Callable[[str], object],
    dry_run: bool = False,
    all_needed: bool = False,
) -> dict[str, str]:
    """Say what is there and what is missing with what it will cost, then carry out what is missing.

    Parameters
    ----------
    configs
        The runs; settings that make the same run count once.
    engine
        Carries them out.
    say
        Takes each line of the plan.
    dry_run
        Whether to stop after the plan.
    all_needed
        Whether nothing is to be trained if one of the runs is known to fail.

    Returns
    -------
    dict
        A line for each run that failed, or whose files are damaged, by its identity; the others have finished.
    """
    if len(folders := sorted({config.runs_dir for config in configs})) > 1:
        raise UserError(f"runs_dir={','.join(folders)}: expected one folder for all runs; a run is looked for in one")
    plan = Plan.of(configs, engine, all_needed)
    if plan.missing:
        require_writable(Path(folders[0]).absolute(), "runs_dir", make=not dry_run)
    for line in plan.lines:
        say(line)
    if dry_run:
        say(DRY_RUN)
    if dry_run or not plan.missing:
        return dict(plan.damaged)
    rest = [each.config for each in plan.missing]
    tally = Tally(rest, [each.step for each in plan.missing], plan.seconds)
    engine.run(rest, tally)
    return {**plan.damaged, **tally.failures}


def unknown_commit() -> list[str]:
    """Return a line that says why the commit of the code is not known, if it is not."""
    reason = commit_of_code()[1]
    return [f"The commit of the code will not be recorded: {reason}"] if reason else []


def fetch_data(configs: Sequence[RunConfig]) -> None:
    """Fetch the data of some runs once, before their workers want it."""
    for config in {str(config.data): config for config in configs}.values():
        build_component("data", config.data)


def begun(config: RunConfig) -> str:
    """Return from where a run will continue, in words; nothing if it has not begun."""
    step = RunDirectory.of(config).status["step"]
    return f", continues from step {step}" if step else ""
