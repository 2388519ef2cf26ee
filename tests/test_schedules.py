"""Learning-rate schedules: a config group whose empty choice is a constant rate."""

import pytest

from normscape.config import CONFIGS, compose_run
from normscape.identity import identity
from refusing import refusal, split

SCHEDULES = "torch.optim.lr_scheduler"


def test_a_constant_rate_has_no_schedule():
    plain = compose_run(["scale=smoke"])
    assert plain.schedule == {}
    for way in ("schedule=constant", "~schedule"):
        assert identity(compose_run(["scale=smoke", way])) == identity(plain)


@pytest.mark.parametrize("schedule", sorted(path.stem for path in (CONFIGS / "schedule").glob("*.yaml")))
def test_every_schedule_can_be_had(schedule):
    config = compose_run(["scale=smoke", f"schedule={schedule}"])
    if schedule != "constant":
        assert config.schedule["_partial_"] is True
        assert identity(config) != identity(compose_run(["scale=smoke"]))
    if schedule == "cosine":
        assert config.schedule["T_max"] == config.steps


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        ("schedule=cosinus", "schedule=cosinus: no such schedule; did you mean 'cosine'?"),
        (
            "schedule.gamma=0.9",
            "schedule.gamma=0.9: there is no key 'gamma' here; there are schedule=constant, schedule=",
        ),
        ("+schedule.gamma=0.9", "schedule: expected a _target_"),
        ("schedule=step schedule.gamma=nan", "schedule.gamma=nan: expected a finite number, above 0"),
        ("schedule=step schedule.step_size=0", "schedule.step_size=0: expected 1 or more"),
        ("schedule=step schedule.step_size=1.5", f"schedule.step_size=1.5: {SCHEDULES}.StepLR expects a whole number"),
        ("schedule=cosine schedule.T_max=0", "schedule.T_max=0: expected 1 or more"),
        ("schedule=cosine +schedule.t_max=1", f"schedule.t_max=1: {SCHEDULES}.CosineAnnealingLR takes no 't_max'; did"),
        (
            f"+schedule._target_={SCHEDULES}.ReduceLROnPlateau",
            f"schedule._target_={SCHEDULES}.ReduceLROnPlateau: needs a measurement at each step; expected one th",
        ),
        (
            f"+schedule._target_={SCHEDULES}.OneCycleLR +schedule.max_lr=x",
            f"schedule.max_lr=x: {SCHEDULES}.OneCycleLR expects a number or a list, each a number",
        ),
    ],
)
def test_a_mistake_in_a_schedule(overrides, line):
    assert refusal(*split(overrides)).startswith(line)
