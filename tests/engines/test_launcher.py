"""What a sweeper of Hydra's is told of the batches that it launches."""

import importlib
import math
from types import SimpleNamespace

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.utils import JobStatus

from hydra_plugins import normscape_launcher
from normscape.config import CONFIGS
from normscape.errors import UserError
from normscape.launched import LAUNCHED

QUICK = ["run=mlp_batch", "scale=smoke", "tracker=none", "device=cpu", "probe=[]", "steps=2"]


def composed(overrides):
    with initialize_config_dir(version_base="1.3", config_dir=str(CONFIGS)):
        return compose("train", [*QUICK, *overrides], return_hydra_config=True)


@pytest.fixture
def launcher(monkeypatch, tmp_path):
    monkeypatch.setattr(LAUNCHED, "runs", [])
    monkeypatch.setattr(LAUNCHED, "failures", {})
    again = importlib.reload(normscape_launcher)  # as Hydra does whenever it looks for plugins
    made = again.NormscapeLauncher(engine="normscape.engines.here.LocalEngine", runs_at_once=1)
    loader = SimpleNamespace(load_sweep_config=lambda config, overrides: composed(overrides))
    context, config = SimpleNamespace(config_loader=loader), composed([f"hydra.sweep.dir={tmp_path / 'sweeps'}"])
    made.setup(hydra_context=context, task_function=lambda config: math.nan, config=config)
    return made


def test_a_batch_returns_objectives_and_a_failed_run_is_a_failed_job(launcher, monkeypatch, tmp_path):
    from normscape import session

    def built(config, device, build=session.build):
        if config.seed == 1:
            raise RuntimeError("no such luck")
        return build(config, device)

    monkeypatch.setattr(session, "build", built)
    good, bad = launcher.launch([["seed=0"], ["seed=1"]], 0)
    assert good.status is JobStatus.COMPLETED
    assert 0 <= good.return_value <= 1
    assert bad.status is JobStatus.FAILED
    with pytest.raises(RuntimeError, match="no such luck"):
        bad.return_value  # noqa: B018
    assert [overrides for _, overrides in LAUNCHED.runs] == [["seed=0"], ["seed=1"]]
    assert len(LAUNCHED.failures) == 1
    assert (tmp_path / "sweeps").is_dir()


def test_a_value_that_makes_no_sense_stops_the_sweep(launcher):
    with pytest.raises(UserError, match=r"^seed=-1"):
        launcher.launch([["seed=-1"]], 0)
