"""The time that a plan promises counts what its runs do besides training, by a clock that only they move."""

from types import SimpleNamespace

import pytest

from normscape import loop
from normscape.config import compose_run
from normscape.engines.here import LocalEngine
from normscape.launch import Plan
from normscape.overview import estimate as estimates
from normscape.overview.estimate import RefusedError, estimate_seconds
from normscape.probes import Probe

STEP, PROBE, EVALUATION = 0.5, 0.2, 3.0
"""Seconds of one training step, one measurement and one evaluation on the whole test set, which is one batch."""

NOW = [0.0]


class Costs(Probe):
    """A probe whose cost is known."""

    def measure(self, view):
        NOW[0] += PROBE
        yield from ()


def costing(seconds, function):
    def call(*arguments):
        NOW[0] += seconds
        return function(*arguments)

    return call


@pytest.fixture(autouse=True)
def _clock(monkeypatch):
    monkeypatch.setattr(estimates, "time", SimpleNamespace(monotonic=lambda: NOW[0]))
    monkeypatch.setattr(loop.Batches, "at", costing(STEP, loop.Batches.at))
    monkeypatch.setattr(loop, "split_accuracy", costing(EVALUATION, loop.split_accuracy))


def estimate(*settings):
    common = ["run=vgg_standard", "scale=smoke", "tracker=none", "steps=1000", "eval_every=1000"]
    (seconds,) = estimate_seconds([compose_run([*common, *settings])])
    return seconds


def test_the_estimate_counts_every_measurement_that_is_due():
    costs = f"{{_target_: {__name__}.Costs, every: 5}}"
    bare = 1000 * STEP + EVALUATION
    assert estimate("probe=[]") == pytest.approx(bare)
    assert estimate("probe=[]", f"+probe.costs={costs}") == pytest.approx(bare + 200 * PROBE)
    assert estimate("probe=[]", "eval_every=100") == pytest.approx(1000 * STEP + 10 * EVALUATION)


DLN = ["run=dln_standard", "scale=smoke", "tracker=none", "arithmetic=plain"]


def test_each_run_is_estimated_and_each_kind_timed_once():
    one = compose_run([*DLN, "steps=60"])
    began = NOW[0]
    assert estimate_seconds([one]) == pytest.approx([60 * STEP])
    once = NOW[0] - began
    assert estimate_seconds([one] * 1000) == pytest.approx([60 * STEP] * 1000)
    assert NOW[0] - began == pytest.approx(2 * once)
    assert estimate_seconds([]) == []


def test_what_has_as_few_steps_as_its_timing_is_not_timed():
    few, many = (compose_run([*DLN, f"steps={steps}"]) for steps in (20, 60))
    vgg = compose_run(["run=vgg_standard", "scale=smoke", "tracker=none"])
    began = NOW[0]
    assert estimate_seconds([few, vgg]) == [0, 0]
    assert NOW[0] == began
    short, long, none = estimate_seconds([few, many, vgg])  # a kind that is timed is known for all of its runs
    assert 0 < short < long
    assert none == 0


def test_runs_that_are_trained_as_one_share_the_time(monkeypatch):
    def train(config, runs):
        NOW[0] += STEP * runs[0].plan.steps

    monkeypatch.setattr(estimates, "train_any", train)
    settings = ["run=dln_batch", "scale=smoke", "tracker=none", "steps=1000", "eval_every=1000"]
    together = estimate_seconds([compose_run([*settings, f"seed={seed}"]) for seed in range(10)])
    alone = estimate_seconds([compose_run([*settings, "arithmetic=plain"])])
    assert together == pytest.approx([alone[0] / 10] * 10)


def test_a_plan_says_which_run_will_fail_and_refuses_where_all_are_needed():
    good, bad = (compose_run([*DLN, "device=cpu", f"batch_size={size}", "steps=60"]) for size in (100, 999))
    said = rf"{bad.name} seed 0: batch_size=999: 1000 training samples leave a last batch of one"
    lines = Plan.of([good, bad], LocalEngine()).lines
    assert "time unknown" in lines[0]
    assert lines[3].startswith(f"  will fail: {said}")
    with pytest.raises(RefusedError, match=f"^{said}"):
        Plan.of([good, bad], LocalEngine(), all_needed=True)
    assert not any(line.startswith("  will fail") for line in Plan.of([good], LocalEngine(), all_needed=True).lines)
