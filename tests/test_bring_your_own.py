"""What users bring to the suite is measured right or refused in one line: never a silently wrong number."""

import importlib
import sys
from dataclasses import replace

import pandas as pd
import pytest
import torch

import zoo
from normscape import components
from normscape.build import build, dry_build, on_device
from normscape.config import compose_run
from normscape.errors import UserError
from normscape.execute import execute
from normscape.identity import identity
from normscape.loop import train
from normscape.storage.records import OWN

SMALL = ["run=mlp_standard", "scale=smoke", "tracker=none", "device=cpu", "data.image_size=2", "model.in_features=12"]
SMALL += ["model.hidden=[8,8]", "steps=6", "log_every=1", "measure.every=1", "data.train_images=40", "batch_size=10"]
SMALL += ["measure.activation_layers=[1,2]", "measure.ics_layers=[1,2,3]", "probe.landscape_random.every=2"]


def own(kind, **settings):
    return [
        f"{kind}._target_=zoo.{settings.pop('name')}",
        *(f"+{kind}.{key}={value}" for key, value in settings.items()),
    ]


def model(name):
    return ["model=own", f"model._target_=zoo.{name}", "norm=standard"]


def config(*overrides):
    """Compose a small run; what belongs to the MLP is left out where another network is asked for."""
    given = [override.split("=")[0].lstrip("+~") for override in overrides]
    other = ("model.", "data.", "measure.", "batch_size") if "run" in given else ("model.",) if "model" in given else ()
    kept = (
        [o for o in SMALL if o.split("=")[0] not in given and not o.startswith(other)]
        if other
        else [o for o in SMALL if o.split("=")[0] not in given]
    )
    return compose_run([*kept, *overrides])


def trained(*overrides, measured=True):
    """Train in memory and return the state, the run's own rows and what the probes measured."""
    components = build(config(*overrides), torch.device("cpu"))
    state, plan = components.state, components.plan
    train(plan if measured else replace(plan, probes=()), state, lambda step, rows: True)
    own_rows = [row for row in state.records.rows if row.quantity in OWN]
    return state, own_rows, [row for row in state.records.rows if row not in own_rows]


def attempt(run):
    dry_build(run)
    execute(run, Silent())


def refusal(*overrides):
    with pytest.raises(UserError) as caught:
        attempt(config(*overrides))
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    return line


class Silent:
    def update(self, name, step, steps): ...

    def message(self, text): ...


class Stopping(Silent):
    """Breaks off in the middle, as a full disk or a kill would."""

    def update(self, name, step, steps):
        if step == 3:
            raise OSError("gone")


RIGHT = {
    "plain attributes": own("norm", name="PlainStatistics"),
    "reassigned buffers": own("norm", name="ReassignedBuffer"),
    "data-dependent initialisation": own("norm", name="ActNorm"),
    "draws when made": own("norm", name="DrawsWhenMade"),
    "NumPy's and Python's streams": own("norm", name="ForeignNoise"),
    "numbers when made": own("norm", name="NeedsNumbers"),
    "shared norm": [*model("SharedNormMLP"), "norm=batch"],
    "residual": [*model("ResidualMLP"), "norm=noisy_batch"],
    "frozen": [*model("FrozenMLP"), "norm=batch", "measure.ics_layers=[1,3]"],
    "in place": [*model("InPlaceMLP"), "norm=l1"],
    "plain network": [*model("PlainNet"), "norm=batch", "data.image_size=8"],
    "decays itself": own("optimizer", name="DecaysItself"),
    "counts itself": ["optimizer._target_=zoo.CountsItself", "~optimizer.weight_decay"],
    "groups": [
        *own("optimizer", name="Groups"),
        "decayed=all",
        *(f"probe.{name}.weight_decay=null" for name in ("landscape", "landscape_random")),
    ],
    "random loss": ["loss._target_=zoo.RandomLoss"],
    "Nesterov": ["+optimizer.momentum=0.9", "+optimizer.nesterov=true", "norm=batch"],
    "Adam": ["optimizer=adam", "norm=group"],
    "AdamW": ["optimizer._target_=torch.optim.AdamW", "norm=layer"],
    "integer buffers": ["norm=torch_batch"],
    "cumulative averages": ["norm=torch_batch", "norm.momentum=null"],
    "schedule": ["schedule=cosine", "norm=batch"],
    "more than a mode": own("norm", name="ScalesInTraining"),
    "a lambda over itself": own("norm", name="LambdaNorm"),
    "a list with its own buffer": own("norm", name="AliasList"),
    "a method of its own": own("norm", name="BoundMethod"),
    "float64 state": own("optimizer", name="FineAverage"),
    "a constant closure in a schedule": ["+schedule._target_=zoo.halving_schedule", "decayed=all"],
    "noise in evaluation": own("norm", name="AlwaysNoisy"),
    "a weight without gradient": [*model("UnusedHead"), "data.image_size=8", "measure.ics_layers=[1,2]"],
    "tensor as a number": ["+probe.mine={_target_: zoo.YieldsTensor}"],
}


@pytest.mark.parametrize("case", RIGHT)
def test_probes_leave_no_trace_in_training(case):
    measured, rows, values = trained(*RIGHT[case])
    plain, same_rows, none = trained(*RIGHT[case], measured=False)
    assert values
    assert not none
    assert rows == same_rows
    for (name, a), (_, b) in zip(measured.model.state_dict().items(), plain.model.state_dict().items(), strict=True):
        assert torch.equal(a, b), name
    assert str(measured.optimizer.state_dict()) == str(plain.optimizer.state_dict())


def test_an_optimiser_may_hold_some_of_the_parameters():
    given = [*own("optimizer", name="HeadOnly"), "measure.ics_layers=[3]"]
    _, rows, values = trained(*given)
    _, same_rows, _ = trained(*given, measured=False)
    assert rows == same_rows
    assert values


@pytest.mark.parametrize("case", RIGHT)
def test_covariate_shift_of_the_first_layer_is_zero_and_numbers_are_finite(case):
    _, _, values = trained(*RIGHT[case])
    rows = pd.DataFrame(values)
    first = rows[(rows.quantity == "ics_l2") & (rows.layer == 1)]
    assert (first.value == 0).all()
    assert len(first) == 6
    assert rows[~rows.quantity.isin(["ics_cosine"])].value.map(lambda v: v == v and abs(v) < 1e6).all()


@pytest.mark.parametrize("case", RIGHT)
def test_a_resumed_run_ends_where_an_unbroken_one_does(case, tmp_path):
    run = config(*RIGHT[case], "checkpoint_seconds=0")
    broken, whole = replace(run, runs_dir=str(tmp_path / "broken")), replace(run, runs_dir=str(tmp_path / "whole"))
    with pytest.raises(OSError, match="gone"):
        execute(broken, Stopping())
    files = [execute(each, Silent()).path / "metrics.csv" for each in (broken, whole)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_identical_commands_give_identical_runs_whatever_was_drawn_before():
    torch.manual_seed(1)
    _, first, _ = trained(*RIGHT["draws when made"])
    torch.rand(5)
    _, second, _ = trained(*RIGHT["draws when made"])
    assert first == second
    _, other, _ = trained(*RIGHT["draws when made"], "seed=1")
    assert first != other


REFUSED = {
    "a counter of its kind": (
        own("norm", name="Counted"),
        "norm.index differs when the network is built again",
    ),
    "a place for a norm that has none": (
        ["run=mlp_batch", "model=own", "model._target_=zoo.NoPlace", "norm=l1"],
        "model._target_=zoo.NoPlace: it takes 'norm' and has no LpNorm; call norm(features) for its layers",
    ),
    "noise that begins later": (
        [*model("NoisyLater"), "data.image_size=8", "steps=6", "measure.every=2"],
        "keeps state or draws numbers out of reach: repeated at W(t), its loss is",
    ),
    "parameters that a pass moves": (
        [*model("MovesItsTeacher"), "data.image_size=8", "steps=6", "measure.every=2"],
        "teacher.first.weight: the forward pass moves this parameter, each time",
    ),
    "a layer that is not called": (
        [*model("CallsForward"), "data.image_size=8", "measure.ics_layers=[1,2]", "measure.activation_layers=[1]"],
        "head.bias: it takes part in the pass, and head is not called",
    ),
    "a module no checkpoint holds": (own("norm", name="HidesBatchNorm"), "model.layers.1.norm.inner: a list that"),
    "a parameter no checkpoint holds": (own("norm", name="HidesParameter"), "model.layers.1.norm.means: a dict that"),
    "a buffer that grows later": (
        [*own("norm", name="ReshapesLater"), "steps=6"],
        "norm.passes: a buffer that appears, or changes its shape",
    ),
    "a schedule that counts": (
        ["+schedule._target_=zoo.counting_schedule", "decayed=all"],
        "schedule.lr_lambdas: a list that changes in training cannot be kept",
    ),
    "norms that are made and never called": (
        ["run=mlp_batch", "model=own", "model._target_=zoo.NeverCalls", "norm=l1"],
        "model: it makes 2 LpNorm and calls none in its forward pass; call them",
    ),
    "a schedule that ends before the run": (
        [
            "run=mlp_batch",
            "+schedule._target_=torch.optim.lr_scheduler.OneCycleLR",
            "+schedule.max_lr=0.1",
            "+schedule.total_steps=1",
        ],
        "schedule: torch.optim.lr_scheduler.OneCycleLR fails after step 2 of",
    ),
    "state in the class": (
        own("norm", name="ClassCounter"),
        "ClassCounter.passes (of the class): changed by a rehearsal on a copy",
    ),
    "state in a default": (own("norm", name="HiddenNoise"), "HiddenNoise.forward (of the class): changed by"),
    "state in an object": (own("norm", name="WarmsUpByObject"), "zoo.PROGRESS (of the module): changed by"),
    "state in an iterator": (own("norm", name="WarmsUpByIterator"), "zoo.PASSES (of the module): changed by"),
    "state in another file": (own("norm", name="WarmsUpByOtherFile"), "passes.COUNT (of the module): changed by"),
    "state in a closure": (own("norm", name="WarmsUpInClosure"), "WarmsUpInClosure.forward (of the class): changed"),
    "modes of its own": (own("norm", name="RunningWithoutGradient"), "repeated at W(t) without gradients"),
    "loss that anneals": (["loss._target_=zoo.AnnealedLoss"], "AnnealedLoss.state['calls'] changes when it is called"),
    "state no checkpoint holds": (own("norm", name="NumpyStatistics"), "model.layers.1.norm.history: a ndarray"),
    "a generator of its own": (own("norm", name="OwnGenerator"), "layers.1.norm.generator: a Generator"),
    "rate before use": (own("optimizer", name="DecaysFirst"), "DecaysFirst sets its learning rate to 0.05 and then"),
    "rate before use, later": (
        ["optimizer._target_=zoo.CountsFirst", "~optimizer.weight_decay"],
        "CountsFirst sets its learning rate to 0.05 and then steps with it",
    ),
    "loss that counts": (["loss._target_=zoo.CountingLoss"], "loss: CountingLoss.calls changes when it is called"),
    "loss with weights": (
        ["loss._target_=zoo.WeightyLoss"],
        "loss._target_=zoo.WeightyLoss: it has weights of its own",
    ),
    "loss unreduced": (
        ["loss._target_=zoo.unreduced", "+loss._partial_=true"],
        "loss: expected a scalar, not a tensor",
    ),
    "tuple": (
        ["+probe.mine={_target_: zoo.YieldsTuple}"],
        "probe YieldsTuple: it yielded tuple(0, 'mine', None, None)",
    ),
    "run's own name": (["+probe.mine={_target_: zoo.YieldsRunsOwn}"], "expected a name of its own for the quantity"),
    "twice": (["+probe.mine={_target_: zoo.YieldsTwice}"], "a second time in a step"),
    "steps of another's": (["+probe.mine={_target_: zoo.YieldsColliding, quantity: mine/steps}"], "without '/'"),
    "a layer of another's": (["+probe.mine={_target_: zoo.YieldsColliding, quantity: mine/layer01}"], "without '/'"),
    "a layer called steps": (
        ["+probe.mine={_target_: zoo.YieldsColliding, quantity: mine, layer: steps}"],
        "and no layer 'steps'",
    ),
    "two probes alike": (
        ["+probe.more={_target_: normscape.probes.Landscape, lr_multiples: [8.0]}"],
        "probe Landscape: it yielded Row(0, 'objective', None, None) a second time",
    ),
    "no number": (["+probe.mine={_target_: zoo.YieldsText}"], "expected a number as its value, not 'many'"),
    "nothing": (["+probe.mine={_target_: zoo.YieldsNothing}"], "measure returned None"),
    "growing": (["+probe.mine={_target_: zoo.YieldsGrowing}"], "expected the shape of the first one, (1,), not (2,)"),
    "writes into the view": (
        ["+probe.mine={_target_: zoo.WritesIntoView}"],
        "probe WritesIntoView: it changed a tensor of the view",
    ),
    "part of a point": (
        ["+probe.mine={_target_: zoo.AsksForPart}"],
        "probe point: expected every parameter of the network",
    ),
    "no probe": (["+probe.mine={_target_: zoo.NoProbe}"], "zoo.NoProbe: expected a normscape.probes.Probe"),
    "no module as model": (model("no_module"), "model._target_=zoo.no_module: expected a torch.nn.Module, not a int"),
    "tuple as output": (
        [*model("TupleNet"), "data.image_size=8"],
        "model: expected a tensor as its output, not a tuple",
    ),
    "complex weights": (
        own("norm", name="ComplexScale"),
        "model: layers.1.norm.scale is complex; the probes measure real",
    ),
    "tuple in evaluation": (
        [*model("TupleInEvaluation"), "data.image_size=8"],
        "model: expected a tensor as its output in evaluation mode, not a tuple",
    ),
    "fewer outputs than classes": (["model.out_features=9"], "for 10 samples of 10 classes or more, not (10, 9)"),
    "lazy": (model("LazyNet"), "model._target_=zoo.LazyNet: its lazy modules have no weights yet"),
    "norm that would do nothing": (["model=own", "model._target_=zoo.LazyNet", "norm=batch"], "it takes no 'norm', so"),
    "ReLU as norm": (
        ["norm._target_=torch.nn.ReLU"],
        "ReLU is not constructed from a number of features",
    ),
    "lazy norm": (
        ["norm._target_=torch.nn.LazyBatchNorm1d"],
        "Norm1d is not constructed from a number of features",
    ),
    "a norm with a lazy module": (own("norm", name="LazyNorm"), "norm: zoo.LazyNorm(64): its lazy modules have no"),
    "GroupNorm of torch's": (["norm._target_=torch.nn.GroupNorm"], "norm=group"),
    "LayerNorm of torch's": (
        ["run=vgg_standard", "norm._target_=torch.nn.LayerNorm", "batch_size=8"],
        "layers.1.norm (LayerNorm): a batch of shape (8, 3, 32, 32) does not pass in training; Given normalized_shape",
    ),
    "a sample left over": (["data.train_images=41"], "batch_size=10: 41 training samples leave a last batch of one"),
    "halves of a sample left over": (["data.train_images=42"], "noise_floor: the mini-batch has 2 samples; expected 4"),
    "a rate of 0 where it is measured": (
        ["schedule=cosine", "schedule.T_max=1"],
        "schedule: the learning rate is 0 at step 1, where the landscape is measured at multiples of it",
    ),
    "frozen layer asked for": ([*model("FrozenMLP")], "probe layer layers.2.linear: its weight is frozen"),
    "augmented vectors": (
        ["run=dln_standard", "augment=true"],
        "augment=true: expected images (C, H, W), not the gaussian_linear data of shape (10,)",
    ),
    "groups of one's own": (own("optimizer", name="Groups"), "; with decayed=all it gets parameters instead of groups"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_measured_right_is_refused(case, tmp_path):
    overrides, expected = REFUSED[case]
    assert expected in refusal(*overrides)
    assert not list(tmp_path.glob("runs/*/metrics.csv"))


def as_if_started_again(monkeypatch, *modules):
    """Forget modules, so that they are loaded anew, as another process would load them."""
    for name in modules:
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_an_edited_class_at_any_depth_of_a_component_makes_another_run(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    inner = tmp_path / "inner_norm_edited.py"
    inner.write_text("from normscape.norms import Standard\n\n\nclass Inner(Standard):\n    pass\n")
    nested = ["norm._target_=zoo.Doubled", "+norm.inner={_target_: inner_norm_edited.Inner, _partial_: true}"]
    before = identity(config(*nested))
    inner.write_text(inner.read_text() + "\n")
    as_if_started_again(monkeypatch, "inner_norm_edited")
    assert identity(config(*nested)) != before


def test_what_is_edited_while_a_process_runs_is_the_code_that_it_runs_until_it_is_loaded_again(tmp_path, monkeypatch):
    """Else what a sweep trains with the code that it has loaded would lie in the place of what the new code makes."""
    monkeypatch.syspath_prepend(tmp_path)
    norm = tmp_path / "norm_edited_meanwhile.py"
    norm.write_text("from normscape.norms import Standard\n\n\nclass Mine(Standard):\n    pass\n")
    mine = config("norm._target_=norm_edited_meanwhile.Mine")
    before = identity(mine)
    norm.write_text(norm.read_text() + "\n")
    assert identity(mine) == before
    importlib.reload(sys.modules["norm_edited_meanwhile"])
    assert identity(mine) != before


def test_a_source_in_another_encoding_counts_and_what_is_no_source_is_named(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    norm = tmp_path / "norm_in_latin.py"
    code = (
        "# -*- coding: latin-1 -*-\nfrom normscape.norms import Standard\n\n\nclass Mine(Standard):\n    name = 'é'\n"
    )
    norm.write_bytes(code.encode("latin-1"))
    assert len(identity(config("norm._target_=norm_in_latin.Mine"))) == 12
    norm.write_bytes(code.encode("latin-1") + b"def")
    with pytest.raises(UserError, match=r"norm_in_latin\.py: cannot be read as Python \(invalid syntax"):
        identity(config("norm._target_=norm_in_latin.Mine"))


def test_so_does_an_edited_helper_of_the_class_s_file(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    helper = tmp_path / "helper_being_edited.py"
    helper.write_text("def scale():\n    return 2.0\n")
    mine = (
        "from helper_being_edited import scale\nfrom normscape import Standard\n\n\nclass Mine(Standard):\n    pass\n"
    )
    (tmp_path / "norm_with_helper.py").write_text(mine)
    before = identity(config("norm._target_=norm_with_helper.Mine"))
    helper.write_text("def scale():\n    return 3.0\n")
    as_if_started_again(monkeypatch, "helper_being_edited")
    assert identity(config("norm._target_=norm_with_helper.Mine")) != before


def test_so_does_an_edited_helper_in_the_class_s_installed_package(tmp_path, monkeypatch):
    """A package of the user's that was installed, and installed anew under the same version."""
    package = tmp_path / "a_package_of_mine"
    package.mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("site.getsitepackages", lambda: [str(tmp_path)])
    (package / "__init__.py").write_text("")
    mine = "from normscape import Standard\n\n\nclass Mine(Standard):\n    def forward(self, x):\n"
    mine += "        from .helpers import scale\n\n        return scale() * x\n"
    (package / "norms.py").write_text(mine)
    (package / "helpers.py").write_text("from .constants import SCALE\n\n\ndef scale():\n    return SCALE\n")
    constants = package / "constants.py"
    constants.write_text("SCALE = 1.0\n")
    before = identity(config("norm._target_=a_package_of_mine.norms.Mine"))
    constants.write_text("SCALE = 2.0\n")
    as_if_started_again(monkeypatch, "a_package_of_mine.constants")
    assert identity(config("norm._target_=a_package_of_mine.norms.Mine")) != before


def test_so_does_an_edited_file_whose_class_is_made_on_the_way(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    mine = tmp_path / "partial_loss_edited.py"
    code = "from functools import partial\nfrom torch.nn.functional import cross_entropy\n\n"
    code += "mine = partial(cross_entropy, label_smoothing={})\n"
    mine.write_text(code.format(0.1))
    before = identity(config("loss._target_=partial_loss_edited.mine", "+loss._partial_=true"))
    mine.write_text(code.format(0.9))
    as_if_started_again(monkeypatch, "partial_loss_edited")
    assert identity(config("loss._target_=partial_loss_edited.mine", "+loss._partial_=true")) != before


def test_so_does_a_constant_that_is_imported_in_a_function(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_package_edited").mkdir()
    (tmp_path / "own_package_edited" / "__init__.py").write_text("")
    constants = tmp_path / "own_package_edited" / "constants.py"
    constants.write_text("GAIN = 1.0\n")
    norm = "from normscape import Standard\n\n\nclass Mine(Standard):\n    def forward(self, x):\n"
    norm += "        from .constants import GAIN\n\n        return GAIN * x\n"
    (tmp_path / "own_package_edited" / "norm.py").write_text(norm)
    before = identity(config("norm._target_=own_package_edited.norm.Mine"))
    constants.write_text("GAIN = 9.0\n")
    as_if_started_again(monkeypatch, "own_package_edited.constants")
    assert identity(config("norm._target_=own_package_edited.norm.Mine")) != before


def test_a_run_does_not_go_on_with_other_data(tmp_path, monkeypatch):
    run = replace(config("norm=batch", "checkpoint_seconds=0"), runs_dir=str(tmp_path))
    with pytest.raises(OSError, match="gone"):
        execute(run, Stopping())
    build_data = components.build_data
    monkeypatch.setattr("normscape.build.build_data", lambda config: replace(build_data(config), checksum="another"))
    with pytest.raises(UserError, match=r"data: the run began with .* and would continue with synthetic another"):
        execute(run, Silent())


def test_step_sizes_are_multiples_of_the_rate_before_the_update():
    state, _, values = trained(*RIGHT["decays itself"])
    sizes = {(row.step, row.step_size) for row in values if row.quantity == "loss_landscape"}
    assert {s for step, s in sizes if step == 0} == {0.05, 0.1, 0.2, 0.4}
    assert {s for step, s in sizes if step == 1} == {0.025, 0.05, 0.1, 0.2}
    assert isinstance(state.optimizer, zoo.DecaysItself)


def test_a_loss_with_numbers_of_its_own_is_where_the_network_is(monkeypatch):
    """Classes may have weights, which a GPU needs beside its outputs; here the device is the one without numbers."""
    weighted = build(config("loss._target_=zoo.WeightedLoss"), torch.device("cpu")).plan.loss_function
    assert weighted.weights.device.type == "cpu"
    assert on_device(weighted, torch.device("meta")).weights.device.type == "meta"
    moved = []
    monkeypatch.setattr("normscape.build.on_device", lambda loss, device: moved.append(device) or loss)
    build(config("loss._target_=zoo.WeightedLoss"), torch.device("cpu"))
    assert moved == [torch.device("cpu")]
