"""The runs of a figure: names, or variants by their settings, each with a label of its own."""

import pytest

from normscape.config import compose_run
from normscape.errors import UserError
from normscape.evidence.declaration import declared_runs


def test_names_are_the_catalogue_s_runs():
    assert declared_runs(["vgg_batch", "dln_l1"], "f.yaml") == {
        "vgg_batch": ("run=vgg_batch",),
        "dln_l1": ("run=dln_l1",),
    }


def test_a_list_of_values_is_a_variant_each():
    declared = {"mlp_batch": {"study": "rates", "optimizer.lr": [0.1, 1]}, "mlp_l1": None}
    runs = declared_runs(declared, "f.yaml")
    assert list(runs) == ["mlp_batch_rates_lr0.1", "mlp_batch_rates_lr1", "mlp_l1"]
    config = compose_run([*runs["mlp_batch_rates_lr0.1"], "scale=smoke"])
    assert (config.name, config.net, config.series) == ("mlp_batch_rates_lr0.1", "mlp", "batch")
    assert (config.optimizer["lr"], config.probe, config.steps) == (0.1, {}, config.scale.short.steps_per_rate)
    assert compose_run([*runs["mlp_l1"], "scale=smoke"]).name == "mlp_l1"


@pytest.mark.parametrize("declared", ["vgg_batch", [{"vgg_batch": {}}], {"vgg_batch": 0.1}, None, [1]])
def test_anything_else_is_refused(declared):
    with pytest.raises(UserError, match=r"^f.yaml: runs: expected names of configs/run, or a mapping"):
        declared_runs(declared, "f.yaml")


def test_a_run_that_is_declared_twice_is_refused():
    with pytest.raises(UserError, match=r"^f.yaml: runs: vgg_batch is declared twice$"):
        declared_runs(["vgg_batch", "vgg_batch"], "f.yaml")
    with pytest.raises(UserError, match=r"mlp_l1_lr1 is declared twice"):
        declared_runs({"mlp_l1": {"optimizer.lr": [1, 1.0]}}, "f.yaml")
