"""What makes a run: golden identities, and the one rule at the config's fields that says what counts."""

from dataclasses import fields

import pytest

from normscape.config import RunConfig, compose_run
from normscape.identity import NUMERICS_OF, changes, identity, settings

GOLDEN = {
    "run=vgg_batch scale=paper": "df455f16a559",
    "run=vgg_batch scale=laptop": "c04dab2d921c",
    "run=vgg_batch scale=laptop seed=3": "42141cd2de27",
    "run=vgg_batch scale=laptop schedule=cosine": "9429259800ec",
    "run=vgg_standard_lr0.5 scale=laptop": "0add9064aac2",
    "run=mlp_l1 scale=smoke": "72d9d315d775",
    "run=dln_noisy_batch scale=laptop": "b4bcde8cac67",
    "run=dln_batch_lr1e-7 scale=paper arithmetic=plain": "263532672eb2",
    "run=dln_batch_lr1e-7 scale=paper": "9503ef82cba2",
    "run=dln_noisy_batch scale=laptop measure.float64=false": "323e4760cf2d",
    "run=dln_batch_lr1e-7 scale=paper measure.float64=false": "405acba3e2ff",
}
"""Identities of NUMERICS 2; results and runs that people have go by them, so they change with NUMERICS alone, or with
the settings of a run, as when the deep linear nets' landscape came to be measured in float64."""

HOW_NOT_WHAT = {
    "name",
    "net",
    "series",
    "tracker",
    "objective",
    "group",
    "device",
    "threads",
    "checkpoint_seconds",
    "runs_dir",
}


@pytest.mark.parametrize("overrides", GOLDEN)
def test_identities_are_what_they_were(overrides):
    assert identity(compose_run(overrides.split())) == GOLDEN[overrides]


def test_a_class_whose_numbers_changed_makes_other_runs_of_those_with_it_alone(monkeypatch):
    overrides = [["run=vgg_batch", "norm=whitening"], ["run=vgg_batch"], ["run=vgg_l1"]]
    before = [identity(compose_run(each)) for each in overrides]
    monkeypatch.setitem(NUMERICS_OF, "Whitening", 1000)
    after = [identity(compose_run(each)) for each in overrides]
    assert [old == new for old, new in zip(before, after, strict=True)] == [False, True, True]


CHOSEN = ["kernels=portable", "precision=bfloat16", "compile=default"]
"""What counts where it is chosen: without it, a run is what it was before there was a choice."""


def test_every_field_counts_unless_it_is_marked():
    config, plain, linear = (
        settings(compose_run([*overrides, "scale=smoke"]))
        for overrides in (["schedule=cosine", *CHOSEN], [], ["run=dln_batch"])
    )
    keys = {item.name for item in fields(RunConfig)}
    assert config.keys() | linear.keys() == keys - HOW_NOT_WHAT - {"scale", "measure"}
    assert config.keys() - plain.keys() == {choice.split("=")[0] for choice in CHOSEN}
    assert linear.keys() - plain.keys() == {"arithmetic"}
    assert {key for key in keys if not changes([f"{key}=1"])} == HOW_NOT_WHAT | {"scale", "seed"}


def test_multiples_of_the_rate_and_absolute_step_sizes_are_two_runs():
    probe = "+probe.more={{_target_: normscape.probes.Landscape, {}: [0.5]}}"
    one, other = (compose_run(["scale=smoke", probe.format(key)]) for key in ("lr_multiples", "step_sizes"))
    assert identity(one) != identity(other)


def test_the_settings_are_a_copy():
    config = compose_run(["scale=smoke", "data=cifar10", "data.root=here"])
    assert "root" not in settings(config)["data"]
    assert config.data["root"] == "here"
