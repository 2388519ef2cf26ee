"""What makes a run: golden identities, and the one rule at the config's fields that says what counts."""

from dataclasses import fields

import pytest

from normscape.config import RunConfig, compose_run
from normscape.former_keys import formerly, suggest_key
from normscape.identity import changes, identity, settings

GOLDEN = {
    "run=vgg_batch scale=paper": "15673d1d1e90",
    "run=vgg_batch scale=laptop": "53acad36fb69",
    "run=vgg_batch scale=laptop seed=3": "8b1ceddd1251",
    "run=vgg_batch scale=laptop schedule=cosine": "b35ecdc6c63c",
    "run=vgg_standard_lr0.5 scale=laptop": "ae760ea9e327",
    "run=mlp_l1 scale=smoke": "2151a7040c4e",
    "run=dln_noisy_batch scale=laptop": "779473b238c4",
    "run=dln_batch_lr1e-7 scale=paper": "33d8ae3dc60f",
}
"""Identities of NUMERICS 1; results and runs that people have go by them, so they change with NUMERICS alone."""

HOW_NOT_WHAT = {"name", "net", "series", "tracker", "group", "device", "threads", "checkpoint_seconds", "runs_dir"}


@pytest.mark.parametrize("overrides", GOLDEN)
def test_identities_are_what_they_were(overrides):
    assert identity(compose_run(overrides.split())) == GOLDEN[overrides]


def test_every_field_counts_unless_it_is_marked():
    config = compose_run(["scale=smoke", "schedule=cosine", "kernels=portable"])
    keys = {item.name for item in fields(RunConfig)}
    assert set(settings(config)) == keys - HOW_NOT_WHAT - {"scale", "measure"}
    assert {key for key in keys if not changes([f"{key}=1"])} == HOW_NOT_WHAT | {"scale", "seed"}


def test_multiples_of_the_rate_and_absolute_step_sizes_are_two_runs():
    probe = "+probe.more={{_target_: normscape.probes.Landscape, {}: [0.5]}}"
    one, other = (compose_run(["scale=smoke", probe.format(key)]) for key in ("lr_multiples", "step_sizes"))
    assert identity(one) != identity(other)


def test_former_names_hold_for_the_project_s_own_components_alone():
    own = {"_target_": "normscape.probes.Landscape", "lr_multiples": [1.0], "every": 1}
    theirs = {"_target_": "mypackage.Probe", "lr_multiples": [1.0], "inner": [own]}
    former = {"_target_": "normscape.probes.Landscape", "step_sizes": [1.0], "every": 1}
    assert formerly({"a": own, "b": theirs}) == {"a": former, "b": {**theirs, "inner": [former]}}
    assert formerly({"_target_": "normscape.models.VGG", "configuration": "A"})["depth"] == "A"
    assert formerly({"_target_": "normscape.models.DLN", "depth": 7})["depth"] == 7
    assert suggest_key("step_sizes", ["every", "lr_multiples"]) == "; did you mean 'lr_multiples'?"
    assert suggest_key("step_sizes", ["every"]) == "; known here: every"


def test_the_settings_are_a_copy():
    config = compose_run(["scale=smoke", "data=cifar10", "data.root=here"])
    assert "root" not in settings(config)["data"]
    assert config.data["root"] == "here"
