"""Values: numbers that make no sense and values of the wrong type are one line, all that make sense pass."""

import logging
import os

import pytest

from normscape.build import dry_build
from normscape.config import check_threads, compose_run
from normscape.errors import UserError
from refusing import refusal, split

ADAM = "optimizer._target_=torch.optim.Adam"
NO_ICS = "to do without the probe, ~probe.ics, or a list without it"

OWN_PROBE = """
from normscape.probes import Landscape

class Mine(Landscape):
    def __init__(self, lr_multiples, every: int, weight_decay: float | None = None):
        super().__init__(lr_multiples, every, weight_decay or 0.0)
"""


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        ("optimizer.lr=nan", "optimizer.lr=nan: expected a finite number, above 0"),
        ("optimizer.lr=inf", "optimizer.lr=inf: expected a finite number, above 0"),
        ("optimizer.lr=0", "optimizer.lr=0: expected a number above 0"),
        ("optimizer.lr=-1", "optimizer.lr=-1: expected a number above 0"),
        ("optimizer.lr=abc", "optimizer.lr=abc: torch.optim.SGD expects a number"),
        ("optimizer.lr=null", "optimizer.lr=null: torch.optim.SGD expects a number"),
        ("optimizer.lr=true", "optimizer.lr=true: torch.optim.SGD expects a number"),
        ("optimizer.lr='0.1'", "optimizer.lr='0.1': torch.optim.SGD expects a number"),
        ("optimizer.weight_decay=-1", "optimizer.weight_decay=-1: expected 0 or more"),
        ("+optimizer.momentum=1", "optimizer.momentum=1: expected 0 or more and below 1"),
        ("+optimizer.momentum=-0.1", "optimizer.momentum=-0.1: expected 0 or more and below 1"),
        ("+optimizer.dampening=1.5", "optimizer.dampening=1.5: expected 0 or more and below 1"),
        ("+optimizer.nesterov=1", "optimizer.nesterov=1: torch.optim.SGD expects true or false"),
        (f"{ADAM} +optimizer.betas=[0.9,1]", "optimizer.betas=[0.9, 1]: expected 0 or more and below 1"),
        (f"{ADAM} +optimizer.betas=[0.9,nan]", "optimizer.betas=[0.9, nan]: expected a finite number"),
        (f"{ADAM} +optimizer.betas=[0.9]", "optimizer.betas=[0.9]: torch.optim.Adam expects a list of 2"),
        (f"{ADAM} +optimizer.eps=-1", "optimizer.eps=-1: expected 0 or more"),
        ("+optimizer.differentiable=true", "optimizer.differentiable=true: nothing differentiates through a run"),
        (f"{ADAM} +optimizer.differentiable=true", "optimizer.differentiable=true: nothing differentiates"),
        (f"{ADAM} +optimizer.capturable=true device=cpu", "optimizer.capturable=true: expected a GPU, and this run"),
        ("norm.eps=nan", "norm.eps=nan: expected a finite number, 0 or more"),
        ("norm.momentum=1.5", "norm.momentum=1.5: expected a number from 0 to 1"),
        ("norm=l1 norm.p=nan", "norm.p=nan: expected a finite number, or inf"),
        ("norm=l1 norm.p=-inf", "norm.p=-inf: expected a finite number, or inf"),
        ("norm=l1 norm.p=true", "norm.p=true: normscape.norms.LpNorm expects a number or text"),
        ("norm=noisy_batch norm.r_mu=inf", "norm.r_mu=inf: expected a finite number"),
        ("data.seed=1.5", "data.seed=1.5: normscape.data.synthetic expects a whole number"),
        ("data.seed=-1", "data.seed=-1: expected 0 or more"),
        ("data.noise=nan", "data.noise=nan: expected a finite number, 0 or more"),
        ("data=gaussian_linear data.samples=10.5", "data.samples=10.5: normscape.data.gaussian_linear expects a whole"),
        ("data=gaussian_linear data.samples=0", "data.samples=0: expected 1 or more"),
        ("data=gaussian_linear +data.target_scale=inf", "data.target_scale=inf: expected a finite number, above 0"),
        ("run=dln_batch model.depth=2.5", "model.depth=2.5: normscape.models.DLN expects a whole number"),
        ("run=dln_batch model.depth=true", "model.depth=true: normscape.models.DLN expects a whole number"),
        ("run=mlp_batch model.hidden=[9,0]", "model.hidden=[9, 0]: expected 1 or more"),
        (
            "run=mlp_batch model.hidden=[9,nan]",
            "model.hidden=[9, nan]: normscape.models.MLP expects a list, each a whole",
        ),
        ("run=mlp_batch model.hidden=9", "model.hidden=9: normscape.models.MLP expects a list, each a whole number"),
        ("model.width=true", "model.width=true: normscape.models.VGG expects a number"),
        ("model.width=inf", "model.width=inf: expected a finite number, above 0"),
        (
            "model.configuration=1",
            """model.configuration=1: normscape.models.VGG expects text, "model.configuration='1'\"""",
        ),
        ("+loss.label_smoothing=nan", "loss.label_smoothing=nan: expected a finite number"),
        ("+loss.reduction=3", "loss.reduction=3: torch.nn.CrossEntropyLoss expects text"),
        ("+loss.weight=[1,2]", "loss.weight=[1, 2]: torch.nn.CrossEntropyLoss expects null"),
        ("+loss.weight={_target_: torch.onse}", "loss.weight._target_=torch.onse: cannot be imported"),
        (
            "tracker=wandb tracker.project=3",
            """tracker.project=3: normscape.trackers.WandbTracker expects text or null""",
        ),
        (
            "+probe.landscape.direction=up",
            "probe.landscape.direction=up: normscape.probes.Landscape expects gradient or",
        ),
        ("probe.landscape.weight_decay=inf", "probe.landscape.weight_decay=inf: expected a finite number, 0 or more"),
        ("scale.vgg.width=-1", "scale.vgg.width=-1.0: expected a number above 0"),
        ("scale.vgg.width=nan", "scale.vgg.width=nan: expected a finite number, above 0"),
        ("scale.vgg.width=true", "scale.vgg.width=true: expected a number"),
        ("scale.vgg.steps=0", "scale.vgg.steps=0: expected 1 or more"),
        ("scale.dln.probe_every=-1", "scale.dln.probe_every=-1: expected 1 or more"),
        ("scale.vgg=3", "scale.vgg=3: expected a dictionary"),
        ("seed=1.5", "seed=1.5: expected a whole number"),
        ("seed=true", "seed=true: expected a whole number"),
        ("steps=true", "steps=true: expected a whole number"),
        ("batch_size=true", "batch_size=true: expected a whole number or null"),
        ("augment=2", "augment=2: expected true or false"),
        ("tf32=1", "tf32=1: expected true or false"),
        ("checkpoint_seconds=nan", "checkpoint_seconds=nan: expected a finite number, 0 or more"),
        ("checkpoint_seconds=true", "checkpoint_seconds=true: expected a number"),
        ("threads=100000", "threads=100000: expected 1 to 1024"),
        ("threads=0", "threads=0: expected 1 to 1024"),
        ("norm._partial_=3", "norm._partial_=3: expected true or false"),
        ("model._target_=3", "model._target_=3: expected the dotted path of a class or function"),
    ],
)
def test_a_value_that_makes_no_sense(overrides, line):
    assert refusal(*split(overrides)).startswith(line)


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("measure.every=0", "measure.every=0: expected 1 or more"),
        (
            "measure.lr_multiples=[]",
            "measure.lr_multiples=[]: expected at least one, e.g. [0.5, 1.0]; to do without its pro",
        ),
        ("measure.lr_multiples=[1,1.0]", "measure.lr_multiples=[1.0, 1.0]: expected each of them once"),
        (
            "measure.lr_multiples=[1,nan]",
            "measure.lr_multiples=[1.0, nan]: expected finite multiples of the learning rate",
        ),
        (
            "measure.lr_multiples=[0,1]",
            "measure.lr_multiples=[0.0, 1.0]: expected finite multiples of the learning rate, ab",
        ),
        ("measure.lr_multiples=[1,true]", "measure.lr_multiples=[1, true]: expected a list, each a number"),
        ("measure.lr_multiples=1", "measure.lr_multiples=1: expected a list, each a number"),
        ("probe.landscape.lr_multiples=[]", "probe.landscape.lr_multiples=[]: expected at least one"),
        ("probe.landscape.lr_multiples=[inf]", "probe.landscape.lr_multiples=[inf]: expected finite multiples"),
        ("+probe.landscape.step_sizes=[-1]", "probe.landscape.step_sizes=[-1]: expected finite step sizes, above 0"),
        (
            "+probe.landscape.step_sizes=[0.1]",
            "probe.landscape: probe lr_multiples=[0.5, 1.0, 2.0, 4.0] and step_sizes=[0.1]: expected one of them; ",
        ),
        ("measure.ics_layers=[]", f"measure.ics_layers=[]: expected at least one layer number; {NO_ICS}"),
        (
            "measure.ics_layers=[0,1]",
            f"measure.ics_layers=[0, 1]: expected whole numbers, the first layer is 1; {NO_ICS}",
        ),
        ("measure.ics_layers=[-1]", "measure.ics_layers=[-1]: expected whole numbers, the first layer is 1"),
        ("measure.ics_layers=[1.5]", "measure.ics_layers=[1.5]: expected whole numbers"),
        ("measure.ics_layers=[true]", "measure.ics_layers=[true]: expected whole numbers"),
        ("measure.ics_layers=[2,2]", "measure.ics_layers=[2, 2]: expected each layer number once"),
        ("measure.ics_layers=[all]", "measure.ics_layers=[all]: expected layer numbers, e.g. [1, 2], or all"),
        ("measure.ics_layers=al", "measure.ics_layers=al: expected layer numbers, e.g. [1, 2], or all"),
        ("measure.ics_layers=3", "measure.ics_layers=3: expected layer numbers, e.g. [1, 2], or all"),
        ("measure.ics_layers=null", "measure.ics_layers=null: expected layer numbers, e.g. [1, 2], or all"),
        (
            "measure.activation_layers=[]",
            "measure.activation_layers=[]: expected at least one layer number; to do with",
        ),
        ("measure.activation_layers=[3,3]", "measure.activation_layers=[3, 3]: expected each layer number once"),
        ("probe.ics.layers=[]", f"probe.ics.layers=[]: expected at least one layer number; {NO_ICS}"),
        ("probe.activations.layers=[0]", "probe.activations.layers=[0]: expected whole numbers, the first layer is 1"),
    ],
)
def test_nothing_or_nonsense_to_measure(override, line):
    assert refusal(override).startswith(line)


@pytest.mark.parametrize(
    "overrides",
    [
        "optimizer.lr=1",
        "optimizer.lr=1e9",
        "optimizer.weight_decay=0",
        "+optimizer.momentum=0.99 +optimizer.nesterov=true +optimizer.foreach=null",
        f"{ADAM} +optimizer.betas=[0.0,0.999] +optimizer.eps=0",
        "norm=l1 norm.p=inf",
        "norm=l1 norm.p=.inf",
        "norm=linf norm.momentum=1",
        "model.width=1",
        "model.head=[64]",
        "+loss.label_smoothing=0.1 +loss.size_average=null",
        "+loss.weight={_target_: torch.ones, size: [10]}",
        "batch_size=null",
        "augment=yes",
        "group=null device=cpu name=3",
        "checkpoint_seconds=0",
        "threads=1024",
        "seed=100000000000000000000",
        "data.seed=${steps}",
        "scale.vgg.width=1",
        "measure.lr_multiples=[1,2]",
        "probe.landscape.lr_multiples=null +probe.landscape.step_sizes=[0.1]",
        "measure.ics_layers=all",
        "measure.ics_layers=[14,1]",
        "measure.activation_layers=all",
        "~optimizer.weight_decay",
        "optimizer=adam",
        "norm=torch_batch norm.momentum=null",
        "norm=group norm.num_groups=2",
        "probe.ics.layers=all",
        "~probe.ics measure.lr_multiples=[3]",
        "probe=[]",
        "tracker=wandb tracker.project='3' tracker.mode=null",
    ],
)
def test_a_value_that_makes_sense(overrides):
    dry_build(compose_run(["scale=smoke", *split(overrides)]))


def test_numbers_in_a_file_are_no_better(tmp_path):
    (tmp_path / "norm").mkdir()
    (tmp_path / "norm" / "mine.yaml").write_text("_target_: normscape.norms.BatchNorm\n_partial_: true\neps: .nan\n")
    assert refusal("norm=mine", own=tmp_path) == "norm.eps=nan: expected a finite number, 0 or more"


@pytest.mark.parametrize("key", ["p", "strength"])
def test_a_component_without_type_hints_is_asked_for_finite_numbers_only(tmp_path, monkeypatch, key):
    (tmp_path / f"hintless_{key}.py").write_text(
        f"import torch\n\n\ndef norm(n, {key}=1):\n    return torch.nn.Identity()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    own = ["norm=standard", f"norm._target_=hintless_{key}.norm"]
    for value in ("abc", "-3", "true", "[1,{a: 2}]"):
        dry_build(compose_run(["scale=smoke", *own, f"+norm.{key}={value}"]))
    assert refusal(*own, f"+norm.{key}=[1,{{a: nan}}]").startswith(f"norm.{key}")
    assert ("inf" in refusal(*own, f"+norm.{key}=nan")) == (key == "p")


def test_what_is_not_set_is_named(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("_target_: ???\n")
    line = refusal("model=mine", own=tmp_path)
    assert line == "model._target_ is not set: give it as model._target_=package.module.Class, or in its file"
    assert refusal("name=???") == "name is not set: give it as name=..., or in its file"
    assert refusal("scale.vgg.steps=???").startswith("scale.vgg.steps is not set")
    assert refusal("~seed").startswith("seed is not set")


def test_a_probe_that_takes_the_optimiser_s_weight_decay_does_without(tmp_path, monkeypatch):
    (tmp_path / "own_landscape.py").write_text(OWN_PROBE)
    monkeypatch.syspath_prepend(tmp_path)
    own = ["scale=smoke", "probe=[landscape]", "probe.landscape._target_=own_landscape.Mine"]
    assert compose_run([*own, "optimizer.weight_decay=0.5"]).probe["landscape"]["weight_decay"] == 0.5
    config = compose_run([*own, "~optimizer.weight_decay"])
    assert config.probe["landscape"]["weight_decay"] is None
    dry_build(config)


def test_checking_leaves_the_log_as_it_was():
    logger = logging.getLogger("hydra.utils")
    logger.setLevel(logging.WARNING)
    refusal("norm._target_=nowhere.Norm")
    assert logger.level == logging.WARNING
    logger.setLevel(logging.NOTSET)


def test_threads_that_the_machine_does_not_have():
    check_threads(1)
    check_threads(4, cores=4)
    check_threads(os.cpu_count() or 1)
    with pytest.raises(UserError, match=r"^threads=5: this machine has 4 cores; expected 1 to 4$"):
        check_threads(5, cores=4)
