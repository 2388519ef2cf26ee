"""How long runs will take, from timing a few steps of each kind."""

import time
from collections.abc import Sequence
from dataclasses import replace

import torch

from normscape.build import build, device_of
from normscape.config import RunConfig
from normscape.data.dataset import Split
from normscape.loop import EVALUATION_BATCH, Plan, train
from normscape.runs import RunDirectory
from normscape.seeds import kept_streams


def estimate_seconds(configs: Sequence[RunConfig]) -> list[float] | None:
    """Return about how long each run will take, from timing a few steps of each kind of run.

    None if one of them fails: the run itself will fail too, and report it.
    """
    step_seconds: dict[str, float] = {}
    for config in configs:
        if (kind := kind_of(config)) not in step_seconds:
            try:
                step_seconds[kind] = time_steps(config)
            except Exception:
                return None
    return [step_seconds[kind_of(config)] * steps_left(config) for config in configs]


def kind_of(config: RunConfig) -> str:
    """Return what runs have in common whose steps take the same time."""
    return str((config.model, config.norm, config.batch_size, config.probe))


def steps_left(config: RunConfig) -> int:
    """Return how many steps of a run that has not ended are missing."""
    return int(config.steps - RunDirectory.of(config).status["step"])


def time_steps(config: RunConfig) -> float:
    """Return the seconds of one training step, with its share of the probes and of the evaluations."""
    device = device_of(config)
    components = build(config, device)
    plan, state, test = components.plan, components.state, components.plan.dataset.test
    bare = replace(plan, dataset=replace(plan.dataset, test=None), probes=(), self_check=False)

    def seconds(plan: Plan, steps: int) -> float:
        state.step, state.diverged_at = 0, None
        began = time.monotonic()
        train(replace(plan, steps=steps), state, lambda step, rows: True)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.monotonic() - began

    with kept_streams(device):
        seconds(bare, 2)  # the first steps are slower
        step = seconds(bare, 4) / 4
        probes = sum((seconds(replace(bare, probes=(probe,)), 1) - step) / probe.every for probe in plan.probes)
        evaluation = 0.0
        if test is not None:
            part = Split(test.inputs[:EVALUATION_BATCH], test.targets[:EVALUATION_BATCH])
            once = (seconds(replace(bare, dataset=replace(plan.dataset, test=part)), 1) - step) / 2  # before and after
            evaluation = once * len(test) / len(part)
    return max(step, step + probes + evaluation / plan.eval_every)
