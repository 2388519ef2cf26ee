"""Training in mixed precision or compiled: measured in float32 as written, another run, and no less checked."""

import math
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from normscape.build import build
from normscape.config import compose_run
from normscape.engines.here import LocalEngine
from normscape.errors import UserError
from normscape.execute import execute
from normscape.forward import COMPILATIONS, PRECISIONS, Forward, require_tf32
from normscape.identity import identity
from normscape.loop import train
from normscape.norms.half import widened
from normscape.probes.probe import Probe
from normscape.storage.records import Row

FEW_LAYERS = ["model.configuration=A", "model.head=[]"]  # of a VGG: torch takes seconds to compile each
SMOKE = ["scale=smoke", "tracker=none", "device=cpu", "steps=6", "measure.every=2", "log_every=2"]
NORMS = ["standard", "batch", "noisy_batch", "noisy_standard", "l1", "l2", "linf", "group", "layer", "instance"]
NORMS += ["torch_batch", "whitening", "weight"]


def trained(steps, *overrides):
    """Return a run's state after some steps."""
    made = build(compose_run([*SMOKE, *overrides]), torch.device("cpu"))
    if steps:
        train(made.plan, made.state, lambda step, rows: step < steps)
    return made.state


def rows(*overrides, steps=6):
    """Train a run and return its rows: from step, quantity, layer and step size to the value."""
    found = trained(steps, *overrides).records.rows
    return {(row.step, row.quantity, row.layer, row.step_size): row.value for row in found}


@pytest.mark.parametrize("norm", NORMS)
def test_every_norm_trains_in_bfloat16(norm):
    """At the first step the loss is that of float32, but for the rounding of bfloat16."""
    layout = ["model.head=[]"] if norm == "instance" else []
    settings = ["run=vgg_batch", f"norm={norm}", "probe=[ics,landscape]", *layout]
    mixed, plain = rows(*settings, "precision=bfloat16", steps=1), rows(*settings, steps=1)
    assert mixed.keys() == plain.keys()
    first = (0, "train_loss", None, None)
    assert mixed[first] != plain[first]
    assert mixed[first] == pytest.approx(plain[first], rel=0.05)


def test_probes_measure_in_float32_at_the_weights_of_mixed_training():
    """At W(0), where both have the same weights, what does not depend on the update has the same bits."""
    mixed, plain = (rows("run=vgg_batch", "probe=[landscape]", f"precision={it}") for it in PRECISIONS[::-1])
    at_start = {key for key in plain if key[0] == 0 and key[1] not in ("train_loss", "test_accuracy")}
    assert len(at_start) > 10
    assert {key: mixed[key] for key in at_start} == {key: plain[key] for key in at_start}
    later = {key for key in plain if key[0] == 4 and key[1] == "loss_landscape"}
    assert all(mixed[key] != plain[key] for key in later)


def test_the_shift_of_the_first_layer_is_zero_and_that_of_others_is_that_of_the_mixed_update():
    table = rows("run=vgg_batch", "probe=[ics]", "measure.ics_layers=all", "precision=bfloat16")
    shifts = {key[2]: value for key, value in table.items() if key[:2] == (2, "ics_l2")}
    assert shifts[1] == 0
    assert sum(value > 0 for value in shifts.values()) == len(shifts) - 1


class Allowed(Probe):
    """Records whether a GPU may compute in TF32 while probes measure."""

    def measure(self, view):
        yield Row(view.step, "allowed", None, None, float(any(is_tf32_allowed())))


def is_tf32_allowed():
    return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32


def test_tf32_is_for_training_alone():
    before = is_tf32_allowed()
    try:
        made = build(compose_run([*SMOKE, "run=vgg_batch", "probe=[landscape]", "tf32=true"]), torch.device("cpu"))
        plan = replace(made.plan, probes=[*made.plan.probes, Allowed()])
        train(plan, made.state, lambda step, rows: step < 6)
        assert is_tf32_allowed() == (True, True)
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
    allowed = [row.value for row in made.state.records.rows if row.quantity == "allowed"]
    assert len(allowed) == 6
    assert not any(allowed)
    plain = trained(6, "run=vgg_batch", "probe=[landscape]")  # a CPU has no TF32, so its rows have the same bits
    assert [row for row in made.state.records.rows if row.quantity != "allowed"] == plain.records.rows


def test_tf32_is_refused_where_it_would_be_float32(monkeypatch, tmp_path):
    """Before anything is trained or planned, also if another process carries the run out."""
    config = compose_run([*SMOKE, "run=vgg_batch", "tf32=true", f"runs_dir={tmp_path}"])
    said = r"^vgg_batch\S*: tf32=true: expected a GPU that computes in TF32 .*, and this run is on cpu; tf32=false"
    for refused in (lambda: LocalEngine().require([config]), lambda: execute(config, None)):
        with pytest.raises(UserError, match=said):
            refused()
    assert not list(tmp_path.rglob("metrics.csv"))
    for capability, enough in (((7, 5), False), ((8, 0), True), ((9, 0), True)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, given=capability: given)
        with nullcontext() if enough else pytest.raises(UserError, match="this run is on cuda"):
            require_tf32(config, torch.device("cuda"))
    require_tf32(replace(config, tf32=False), torch.device("cpu"))


def test_measuring_does_not_change_mixed_training():
    states = [trained(6, "run=vgg_batch", "precision=bfloat16", probe) for probe in ("probe=[]", "probe=[ics]")]
    for name, tensor in states[0].model.state_dict().items():
        assert torch.equal(tensor, states[1].model.state_dict()[name]), name


def test_statistics_in_half_precision_have_the_digits_of_float32():
    x = torch.full((4096,), 1.0, dtype=torch.bfloat16)
    x[0] = 9.0  # the mean, 1.00195, is not a number of bfloat16
    assert float(widened(x).mean()) == pytest.approx(1 + 8 / 4096, abs=1e-6)
    assert float(x.mean()) == 1.0
    assert widened(x.double()).dtype == torch.float64


@pytest.mark.filterwarnings("ignore")  # dynamo's own
def test_compiled_training_takes_the_steps_of_the_modules_with_the_same_noise():
    """To rounding, which some steps of a network with noise blow up; measured steps are checked by themselves."""
    begun, plain, compiled = (
        trained(steps, "run=vgg_noisy_batch", *FEW_LAYERS, "probe=[]", f"compile={it}")
        for steps, it in ((0, "none"), (1, "none"), (1, "default"))
    )
    weights = [
        torch.cat([p.detach().flatten() for p in state.model.parameters()]) for state in (begun, plain, compiled)
    ]
    step = (weights[1] - weights[0]).norm()
    assert 0 < (weights[2] - weights[1]).norm() < 0.03 * step
    assert [row.quantity for row in compiled.records.rows] == [row.quantity for row in plain.records.rows]


@pytest.mark.filterwarnings("ignore")  # dynamo's own
def test_compiled_steps_are_measured_uncompiled():
    """So that G' of the first layer is G to the last bit, and W(0) has the rows that it has uncompiled."""
    settings = ["run=vgg_l1", *FEW_LAYERS, "probe=[ics,landscape]", "measure.ics_layers=[1]"]
    compiled, plain = rows(*settings, "compile=default", steps=1), rows(*settings, steps=1)
    assert compiled[0, "ics_l2", 1, None] == 0
    assert len(measured := {key for key in plain if key[1] not in ("train_loss", "test_accuracy")}) > 10
    assert {key: compiled[key] for key in measured} == {key: plain[key] for key in measured}


def test_what_cannot_be_compiled_is_one_line():
    class MissingError(RuntimeError):
        pass

    forward, cpu = Forward(compilation="default"), torch.device("cpu")
    with pytest.raises(RuntimeError, match="a mistake of the network's"), forward.computing(cpu):
        raise MissingError("a mistake of the network's own")
    MissingError.__module__ = "torch._inductor.exc"
    with (
        pytest.raises(UserError, match=r"^compile=default: .* \(no compiler\); use compile=none$"),
        forward.computing(cpu),
    ):
        raise MissingError("no compiler\nand more")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("precision=float16", "precision=float16: expected float32 or bfloat16; did you mean 'bfloat16'?"),
        ("compile=fast", "compile=fast: expected none, default, reduce-overhead or max-autotune"),
    ],
)
def test_another_choice_is_one_line(setting, message):
    with pytest.raises(UserError) as error:
        compose_run([*SMOKE, setting])
    assert str(error.value).startswith(message)


def test_they_are_part_of_what_a_run_is_and_absent_they_change_no_identity():
    runs = [compose_run([*SMOKE, *more]) for more in ([], ["precision=float32", "compile=none"])]
    assert identity(runs[0]) == identity(runs[1])
    others = [compose_run([*SMOKE, f"precision={PRECISIONS[1]}"])]
    others += [compose_run([*SMOKE, f"compile={it}"]) for it in COMPILATIONS[1:]]
    assert len({identity(run) for run in [runs[0], *others]}) == 5


def test_deep_linear_nets_in_another_precision_are_not_reduced():
    with pytest.raises(UserError, match="arithmetic=reduced: expected training in float32"):
        compose_run([*SMOKE, "run=dln_batch", "arithmetic=reduced", "precision=bfloat16"])


class Synchronisations(TorchDispatchMode):
    """Counts how often a tensor's value is asked for, at which a GPU makes its process wait."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        self.count += function is torch.ops.aten._local_scalar_dense.default
        return function(*arguments, **(options or {}))


@pytest.mark.parametrize("run", ["vgg_batch", "vgg_l1", "vgg_noisy_batch", "mlp_batch"])
def test_between_logged_steps_the_loop_waits_for_no_value(run):
    made = build(
        compose_run([*SMOKE, f"run={run}", "probe=[]", "steps=100", "log_every=50", "eval_every=50"]),
        torch.device("cpu"),
    )
    counts = {}
    with Synchronisations() as asked:

        def note(step, rows):
            counts[step] = asked.count
            return step < 55

        train(made.plan, made.state, note)
    assert counts[1] > 0  # a logged step: its loss and accuracy are asked for
    assert counts[50] == counts[1]
    assert counts[51] > counts[50]
    assert math.isclose(counts[55], counts[51])
