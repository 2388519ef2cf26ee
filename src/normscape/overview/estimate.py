"""How long runs will take, from timing a few steps of each kind, once its batches pass."""

import time
from collections.abc import Sequence
from dataclasses import replace

import torch

from normscape.build import Components, build, device_of
from normscape.config import RunConfig
from normscape.data.dataset import Split
from normscape.errors import UserError
from normscape.loop import EVALUATION_BATCH
from normscape.probes.probe import Probe
from normscape.reduced.groups import groups
from normscape.reduced.loop import Run, train_any
from normscape.rehearsal import rehearse
from normscape.runs import RunDirectory
from normscape.seeds import kept_streams

WORTH_TIMING = 50
"""Of a run with fewer steps, those that timing takes would be a large part."""


def estimate_seconds(configs: Sequence[RunConfig]) -> list[float] | None:
    """Return about how long each run will take, from timing a few steps of each kind of run.

    Of runs that are trained as one, each takes its share. A kind is timed if one of its runs has `WORTH_TIMING` steps
    left or more; runs of other kinds count as 0. None if a run fails: it will fail when it is trained too, and say so.

    Raises
    ------
    RefusedError
        For what a rehearsal refuses of a kind that is timed; names the run.
    """
    worth_it = {kind_of(config) for config in configs if steps_left(config) >= WORTH_TIMING}
    step_seconds = {kind_of(config): 0.0 for config in configs if kind_of(config) not in worth_it}
    together = {position: len(group) for group in groups(configs) for position in group}
    for position, config in enumerate(configs):
        if (kind := kind_of(config)) not in step_seconds:
            try:
                step_seconds[kind] = time_steps(config, together[position])
            except RefusedError:
                raise
            except Exception:
                return None
    return [step_seconds[kind_of(config)] * steps_left(config) for config in configs]


class RefusedError(UserError):
    """What a rehearsal refuses, which training would refuse too: hours later, if other runs come first."""


def kind_of(config: RunConfig) -> str:
    """Return what runs have in common whose steps take the same time."""
    how = (config.precision, config.tf32, config.compile, config.arithmetic, config.optimizer["_target_"])
    return str((config.model, config.norm, config.batch_size, config.data, config.augment, config.probe, how))


def steps_left(config: RunConfig) -> int:
    """Return how many steps of a run that has not ended are missing."""
    return int(config.steps - RunDirectory.of(config).status["step"])


def time_steps(config: RunConfig, together: int = 1) -> float:
    """Return the seconds of one training step, with its share of the probes and of the evaluations.

    ``together`` is how many runs of the kind are trained as one.
    """
    device = device_of(config)
    parts = [build(config, device) for _ in range(together)]
    plan = parts[0].plan
    test = plan.dataset.test

    def seconds(steps: int, probes: Sequence[Probe] = (), test: Split | None = None) -> float:
        bare = replace(plan, dataset=replace(plan.dataset, test=test), probes=probes, self_check=False, steps=steps)
        for part in parts:
            part.state.step, part.state.diverged_at = 0, None
        began = time.monotonic()
        train_any(config, [Run(bare, part.state, lambda step, rows: True) for part in parts])
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return (time.monotonic() - began) / together

    with kept_streams(device):
        _rehearse(config, parts[0])
        seconds(2)  # the first steps are slower
        step = seconds(4) / 4
        share = sum((seconds(1, [probe]) - step) / probe.every for probe in plan.probes)
        evaluation = 0.0
        if test is not None:
            part = Split(test.inputs[:EVALUATION_BATCH], test.targets[:EVALUATION_BATCH])
            evaluation = (seconds(1, test=part) - step) / 2 * len(test) / len(part)  # before and after the step
    return max(step, step + share + evaluation / plan.eval_every)


def _rehearse(config: RunConfig, made: Components) -> None:
    try:
        rehearse(made.plan, made.state, made.norm)
    except UserError as error:
        raise RefusedError(f"{config.label}: {error}") from error
