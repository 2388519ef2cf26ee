"""What a run announces before it is trained is exactly what it measures: every row, every snapshot, no other."""

import pytest
import torch

from normscape.build import build
from normscape.config import compose_run
from normscape.loop import train
from normscape.overview.outline import outline

QUICK = ["scale=smoke", "tracker=none", "device=cpu", "steps=9", "measure.every=4", "log_every=2", "eval_every=5"]


@pytest.mark.parametrize(
    "overrides",
    [
        ["run=mlp_batch"],
        ["run=mlp_standard", "measure.ics_layers=all", "measure.activation_layers=all"],
        ["run=dln_l1", "measure.activation_layers=[2]"],
        ["run=mlp_batch", "probe=[]"],
        ["run=mlp_l2", "probe.landscape.lr_multiples=null", "+probe.landscape.step_sizes=[0.3,0.7]"],
    ],
    ids=" ".join,
)
def test_an_outline_is_what_is_measured(overrides):
    config = compose_run([*QUICK, *overrides])
    components = build(config, torch.device("cpu"))
    train(components.plan, components.state, lambda step, rows: True)
    measured, announced = components.state.records, outline(config).records
    assert _keys(announced.rows) == _keys(measured.rows)
    assert _keys(announced.snapshots) == _keys(measured.snapshots)
    assert {name: array.shape for name, array in announced.arrays().items()} == {
        name: array.shape for name, array in measured.arrays().items()
    }


def test_a_long_run_is_outlined_as_fast_as_a_short_one():
    config = compose_run([*QUICK, "run=mlp_batch", f"steps={10**9}", "measure.every=1", "log_every=1"])
    assert len(outline(config).records.rows) < 10_000


def _keys(items):
    return sorted((item[:-1] for item in items), key=str)


def test_a_network_whose_layers_are_known_only_when_it_runs_has_no_outline():
    assert outline(compose_run([*QUICK, "run=vgg_batch", "model=resnet18", "norm=torch_batch"])) is None
