"""Configs: the catalogue composes, the right value wins, and every mistake is one line that helps."""

import re
import shutil
from dataclasses import asdict
from functools import cache

import pytest
import torch
from omegaconf import OmegaConf

from normscape.build import dry_build
from normscape.config import CONFIGS, RunConfig, compose_run, compose_seeds, default_scale, jobs, with_scale
from normscape.errors import UserError
from normscape.identity import identity
from refusing import refusal

RUNS = sorted(
    path.relative_to(CONFIGS / "run").with_suffix("").as_posix()
    for path in (CONFIGS / "run").rglob("*.yaml")
    if not path.name.startswith("_")
)
PAPER_NETS = ("vgg", "mlp", "dln")
"""The nets of Santurkar et al., whose runs differ in fewer ways than those of other families."""
SCALES = sorted(path.stem for path in (CONFIGS / "scale").glob("*.yaml"))
FIGURES = sorted((CONFIGS / "figure").glob("*/*.yaml"))

MY_NORM = """
from torch import nn

class MyNorm(nn.Module):
    def __init__(self, features, strength=1.0):
        super().__init__()
        self.features, self.strength = features, strength

    def forward(self, x):
        return self.strength * x
"""


@cache
def composed(run, scale):
    return compose_run([f"run={run}", f"scale={scale}", "device=cpu", "runs_dir=runs"])


@pytest.fixture
def own_configs(tmp_path):
    shutil.copytree(CONFIGS, tmp_path / "configs")
    return tmp_path / "configs"


@pytest.mark.parametrize("run", RUNS)
def test_every_run_of_the_catalogue_can_be_built_at_every_scale(run):
    for scale in SCALES:
        config = composed(run, scale)
        assert (config.name, config.scale.name) == (run.replace("/", "_"), scale)
        assert re.fullmatch(r"[a-z]+(_[a-z0-9]+)+(_lr[0-9.e-]+)?", config.name)
        series = config.series.lower().replace("-", "_")
        own_name = run.rpartition("/")[2]  # a family's own runs are in a folder
        assert own_name.removesuffix("_augmented").split("_lr")[0] == f"{config.net}_{series}"
        if config.net in PAPER_NETS:
            assert config.model["_target_"].lower().endswith(f".{config.net}")
        if rate := re.search(r"_lr(.+)$", own_name):
            assert config.optimizer["lr"] == float(rate[1])
        dry_build(config)


def test_the_paper_s_size_is_built_without_its_memory(monkeypatch):
    made = []
    monkeypatch.setattr(torch.nn.Conv2d, "__init__", spying(torch.nn.Conv2d.__init__, made))
    dry_build(compose_run(["run=vgg_batch", "scale=paper"]))
    assert len(made) == 13
    assert {module.weight.device.type for module in made} == {"meta"}


@pytest.mark.parametrize("run", ["vgg_batch", "dln_l1"])
def test_seeds_of_one_composition_are_what_composing_each_gives(run):
    """Also where a setting takes its value from the seed; and no two share what the one could change of the other."""
    fixed = [f"run={run}", "scale=smoke", "group=of_${seed}"]
    of_seed = compose_seeds(fixed)
    found = [of_seed(seed) for seed in (3, 0, 3)]
    assert found == [compose_run([*fixed, f"seed={seed}"]) for seed in (3, 0, 3)]
    found[0].norm["_target_"] = "changed"
    assert found[2].norm["_target_"] != "changed" != of_seed(3).norm["_target_"]


def spying(method, made):
    def spy(self, *arguments, **options):
        method(self, *arguments, **options)
        made.append(self)

    return spy


def test_runs_of_one_series_have_one_norm():
    norms = {}
    for config in (composed(run, "smoke") for run in RUNS):
        if config.net in PAPER_NETS:
            norms.setdefault(config.series, []).append(config.norm)
    assert set(norms) >= {"standard", "batch", "noisy_batch", "noisy_standard", "l1", "l2", "linf"}
    assert all(norm == same[0] for same in norms.values() for norm in same)


def test_tf32_is_for_image_networks_of_the_paper_s_setup_and_another_run():
    """A deep linear net, which a CPU trains, is the same run at both scales."""
    for run, tf32 in (("vgg_batch", True), ("dln_batch", False)):
        plain, fast = (compose_run([f"run={run}", f"scale={scale}"]) for scale in ("paper", "paper_tf32"))
        assert (plain.tf32, fast.tf32) == (False, tf32)
        assert identity(fast) == identity(compose_run([f"run={run}", "scale=paper", f"tf32={tf32}"]))
        assert (identity(fast) == identity(plain)) != tf32


@pytest.mark.parametrize("figure", FIGURES, ids=lambda path: path.stem)
def test_figures_declare_runs_of_the_catalogue(figure):
    declared = list(OmegaConf.load(figure)["runs"])
    assert set(declared) <= set(RUNS)
    assert len(set(declared)) == len(declared)


WITHOUT_HEAD = ("vgg_instance", "vgg_whitening")
"""Their norms cannot normalise the values of a hidden linear layer."""


@pytest.mark.parametrize("scale", SCALES)
def test_vggs_of_one_scale_differ_in_norm_nonlinearity_rate_and_augmentation_only(scale):
    def rest(run):
        settings = asdict(composed(run, scale))  # a deep copy
        if run in WITHOUT_HEAD:
            assert settings["model"]["head"] == []
            settings["model"]["head"] = [512]
        del settings["name"], settings["series"], settings["norm"], settings["optimizer"]["lr"], settings["augment"]
        settings["model"].pop("activation", None)
        return settings

    first, *others = [rest(run) for run in RUNS if run.startswith("vgg_")]
    assert len(others) >= 8
    assert all(other == first for other in others)


def test_run_beats_scale_and_command_line_beats_run():
    assert compose_run(["scale=smoke"]).data["_target_"] == "normscape.data.synthetic"
    assert compose_run(["scale=smoke", "run=dln_batch"]).data["_target_"] == "normscape.data.gaussian_linear"
    assert compose_run(["run=dln_batch", "scale=smoke"]).data["_target_"] == "normscape.data.gaussian_linear"
    assert compose_run(["scale=smoke", "run=dln_batch", "data=cifar10"]).data["_target_"] == "normscape.data.cifar10"
    assert compose_run(["scale=smoke", "run=vgg_batch", "norm=l1"]).norm["p"] == 1
    assert compose_run(["scale=smoke", "optimizer.lr=0.2", "run=vgg_batch_lr0.5"]).optimizer["lr"] == 0.2
    assert compose_run(["scale=smoke", "seed=1", "seed=2"]).seed == 2


def test_sizes_come_from_the_scale_and_can_be_set_there():
    assert compose_run(["scale=smoke"]).steps == compose_run(["scale=smoke"]).scale.vgg.steps == 12
    config = compose_run(["scale=smoke", "scale.vgg.steps=7", "scale.dln.steps=9"])
    assert (config.steps, config.model["width"]) == (7, 0.0625)
    assert compose_run(["scale=smoke", "scale.dln.steps=9", "run=dln_l1"]).steps == 9
    assert compose_run(["scale=smoke", "seed=3", "run=dln_l1"]).data["seed"] == 3


def test_the_scale_suits_the_machine_unless_it_is_given(monkeypatch):
    for gpu, scale in ((True, "paper"), (False, "laptop")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda gpu=gpu: gpu)
        assert default_scale() == scale
        assert with_scale(["seed=1"]) == with_scale(["seed=1", "scale=auto"]) == ["seed=1", f"scale={scale}"]
        assert with_scale(["scale=smoke", "seed=1"]) == ["scale=smoke", "seed=1"]


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("optimizer.lrr=1", "optimizer.lrr=1: there is no key 'lrr'; did you mean 'lr'?"),
        ("+optimizer.lrr=1", "optimizer.lrr=1: torch.optim.SGD takes no 'lrr'; did you mean 'lr'?"),
        ("++optimizer.lrr=1", "optimizer.lrr=1: torch.optim.SGD takes no 'lrr'; did you mean 'lr'?"),
        ("optimizer.momentum=0.9", "optimizer.momentum=0.9: 'momentum' is not set; to add it, +optimizer.momentum=0.9"),
        (
            "probe.landscape_random.step_sizes=[1]",
            "probe.landscape_random.step_sizes=[1]: 'step_sizes' is not set; to add it, +probe",
        ),
        ("stepps=3", "stepps=3: there is no key 'stepps'; did you mean 'steps'?"),
        ("+stepps=3", "stepps=3: there is no such key; did you mean 'steps'?"),
        ("scale.vgg.widht=1", "scale.vgg.widht=1: there is no key 'widht'; did you mean 'width'?"),
        ("+scale.vgg.widht=1", "scale.vgg.widht=1: there is no such key; did you mean 'width'?"),
        ("+model.widht=1", "model.widht=1: normscape.models.VGG takes no 'widht'; did you mean 'width'?"),
        ("+norm.epsilon=1", "norm.epsilon=1: normscape.norms.BatchNorm takes no 'epsilon'; did you mean 'eps'?"),
        ("probe.activatoins.every=3", "there is no key 'activatoins'; did you mean 'activations'?"),
        ("+probe.activations.evry=3", "normscape.probes.Activations takes no 'evry'; did you mean 'every'?"),
        ("norm=btach", "norm=btach: no such norm; did you mean 'batch'?"),
        ("norm=null", "norm=null: no such norm; known here: batch, group"),
        ("run=vgg_bath", "run=vgg_bath: no such run; did you mean 'vgg_batch'?"),
        ("run=_dln", "run=_dln: no such run; "),
        ("rnu=vgg_batch", "rnu=vgg_batch: there is no key 'rnu'; "),
        ("scale=laptpo", "scale=laptpo: no such scale; did you mean 'laptop'?"),
        ("probe=[activatoins]", "probe=[activatoins]: no such probe; did you mean 'activations'?"),
        ("probe=activatoins", "probe=activatoins: no such probe; did you mean 'activations'?"),
        ("model.configuration=F", "unknown VGG configuration 'F'; known here: A, B, C, D, E"),
        (
            "decayed=weight",
            "decayed=weight: expected weights or all; did you mean 'weights'?",
        ),
        ("model.output_gain=0", "model.output_gain=0: expected a number above 0"),
        ("model.width=0.01", "width 0.01 makes 0.64 of 64 units; take a width that is a multiple of 1/64"),
        ("probe.activations.layers=[99]", "probe layer 99: the VGG has layers 1 to 15"),
        ("probe.activations.every=0", "probe.activations.every=0: expected 1 or more"),
        ("tracker.mode=onlin", "tracker.mode='onlin' is neither offline nor online; did you mean 'online'?"),
        ("seed", "seed: expected key=value"),
        ("=3", "=3: expected key=value"),
        ("steps=[", "steps=[: expected key=value"),
        ("seed=0,1", "seed=0,1: expected one value; several are a sweep"),
        ("norm=l1,l2", "norm=l1,l2: expected one value; several are a sweep"),
        ("steps=abc", "steps=abc: expected a whole number"),
        ("steps=1.5", "steps=1.5: expected a whole number"),
        ("steps=0", "steps=0: expected 1 or more"),
        ("seed=-1", "seed=-1: expected 0 or more"),
        ("batch_size=0", "batch_size=0: expected 1 or more"),
        ("checkpoint_seconds=-1", "checkpoint_seconds=-1.0: expected 0 or more"),
        ("scale.vgg.width=abc", "scale.vgg.width=abc: expected a number"),
        ("tf32=maybe", "tf32=maybe: expected true or false"),
        ("seed=${nope}", "seed: Interpolation key 'nope' not found"),
        ("series=???", "series is not set: give it as series=..., or in its file"),
        ("~optimizer", "optimizer is not set: give it as optimizer=..., or in its file"),
        ("device=cpuu", "device=cpuu: not usable here"),
        ("device=meta", "device=meta: it holds no numbers; try auto"),
        ("loss=3", "loss=3: expected a dictionary"),
        ("model._target_=normscape.models.VGGG", "model._target_=normscape.models.VGGG: cannot be imported"),
        ("norm._target_=nowhere.Norm", "norm._target_=nowhere.Norm: cannot be imported"),
        ("norm._target_=normscape.norms", "norm._target_=normscape.norms: expected a class or function, not a module"),
        ("norm._partial_=false", "norm: normscape.norms.BatchNorm cannot be built from eps=1e-05"),
        ("+probe.mine={}", "probe.mine: expected a _target_"),
        ("+probe.mine=3", "probe.mine=3: expected a probe"),
    ],
)
def test_a_mistake_on_the_command_line(override, line):
    assert line in refusal(override)


def test_a_norm_that_cannot_be_made_is_what_is_named(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "norm_that_refuses.py").write_text("def norm(num_features):\n    raise ValueError('oops')\n")
    line = refusal("run=vgg_standard", "norm._target_=norm_that_refuses.norm")
    assert line == "norm: norm_that_refuses.norm cannot be built from no settings: oops"


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_a_device_that_is_not_there():
    assert refusal("device=cuda").startswith("device=cuda: not usable here")


@pytest.mark.parametrize(
    ("file", "text", "line"),
    [
        ("train.yaml", "stepps: 3", "stepps=3: there is no such key; did you mean 'steps'?"),
        ("optimizer/sgd.yaml", "lrr: 1", "optimizer.lrr=1: torch.optim.SGD takes no 'lrr'; did you mean 'lr'?"),
        ("run/vgg_batch.yaml", "stepps: 3", "stepps=3: there is no such key; did you mean 'steps'?"),
        ("run/vgg_batch.yaml", "optimizer: {lrr: 1}", "optimizer.lrr=1: torch.optim.SGD takes no 'lrr'"),
        ("scale/smoke.yaml", "  cnn: {width: 1}", "scale.cnn={'width': 1}: there is no such key"),
        ("probe/activations.yaml", "evry: 3", "probe.activations.evry=3: normscape.probes.Activations takes no 'evry'"),
        ("norm/batch.yaml", "eps: 1", "found duplicate key eps in"),
        ("norm/batch.yaml", "momentumm: [", "norm/batch.yaml"),
    ],
)
def test_a_mistake_in_a_file(own_configs, file, text, line):
    compose_run(["scale=smoke"], own_configs)
    with (own_configs / file).open("a") as opened:
        opened.write(f"\n{text}\n")
    assert line in refusal(configs=own_configs)


@pytest.mark.parametrize("norm", ["btach", "Batch"])
def test_a_run_file_that_names_what_is_not_there(own_configs, norm):
    text = f"# @package _global_\ndefaults:\n  - override /norm: {norm}\nname: vgg_batch\n"
    (own_configs / "run" / "vgg_batch.yaml").write_text(text)
    assert f"norm/{norm}" in refusal(configs=own_configs)


def test_one_s_own_class_needs_no_change_here(tmp_path, monkeypatch):
    (tmp_path / "my_own_norm.py").write_text(MY_NORM)
    monkeypatch.syspath_prepend(tmp_path)
    own = ["scale=smoke", "norm=standard", "norm._target_=my_own_norm.MyNorm"]
    dry_build(compose_run(own))
    config = compose_run([*own, "+norm.strength=2"])
    assert config.norm == {"_target_": "my_own_norm.MyNorm", "_partial_": True, "strength": 2}
    dry_build(config)
    line = refusal(*own, "+norm.strenght=2")
    assert line == "norm.strenght=2: my_own_norm.MyNorm takes no 'strenght'; did you mean 'strength'?"


def test_a_new_file_is_a_new_choice(own_configs):
    (own_configs / "norm" / "mine.yaml").write_text("_target_: normscape.norms.LpNorm\n_partial_: true\np: 3\n")
    assert compose_run(["norm=mine"], own_configs).norm["p"] == 3


def test_composing_leaves_no_trace():
    first = compose_run(["scale=smoke", "seed=1"])
    refusal("norm=btach")
    assert compose_run(["scale=smoke", "seed=1"]) == first
    assert isinstance(first, RunConfig)


def test_jobs_expand_sweeps():
    assert jobs(["seed=0,1", "norm=l1,l2", "steps=5"]) == [
        [f"seed={seed}", f"norm={norm}", "steps=5"] for seed in (0, 1) for norm in ("l1", "l2")
    ]
    assert jobs(["seed=range(0,3)"]) == [["seed=0"], ["seed=1"], ["seed=2"]]
    assert jobs(["probe=[activations]", "+optimizer.momentum=0.9"]) == [
        ["probe=[activations]", "+optimizer.momentum=0.9"]
    ]
    assert [
        compose_run(["scale=smoke", *job]).optimizer["momentum"] for job in jobs(["+optimizer.momentum=0.5,0.9"])
    ] == [
        0.5,
        0.9,
    ]
    assert jobs([]) == [[]]


@pytest.mark.parametrize("override", ["optimizer.lr=interval(0,1)", "norm=glob(*)", "seed=0,", "seed"])
def test_jobs_refuse_what_they_cannot_expand(override):
    with pytest.raises(UserError) as caught:
        jobs(["scale=smoke", override])
    assert str(caught.value).startswith(f"{override}: expected ")
    assert len(str(caught.value).splitlines()) == 1
