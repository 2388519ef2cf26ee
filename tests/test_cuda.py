"""On a GPU: the numbers of the CPU, runs that repeat, training that measuring leaves alone. Skipped without one.

Without one, the settings of the tests that train are tried on the CPU, lest they age unseen.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from golden import CASES, FILE, SMALL, differences, measured, needs
from normscape.build import build, device_of
from normscape.config import CONFIGS, compose_run
from normscape.errors import Interrupted
from normscape.execute import execute, execute_together
from normscape.loop import split_accuracy, train

sys.path.append(str(Path(__file__).parents[1] / "scripts"))

GPU = torch.device("cuda")
SMOKE = ["scale=smoke", "tracker=none", "steps=8", "measure.every=2", "log_every=2", "eval_every=4"]
SLOW = ("sharpness", "theory")
"""Probes that take many passes: they are tried on one norm of each network."""
PROBES = sorted(path.stem for path in (CONFIGS / "probe").glob("*.yaml") if path.stem not in SLOW)
DRAWING = ("noisy_batch", "noisy_standard")
"""Norms that draw on the device: a GPU's generator is another one than the CPU's."""

SLOWLY = {"dln": ["optimizer.lr=1e-9", "measure.lr_multiples=[100,1000]"]}
"""Rates at which it does not diverge with noise, and steps of a size that float32 holds."""

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def on_both(*cases, tried):
    """Return cases for the GPU, and some of them for the CPU."""
    gpu = [pytest.param("cuda", *case, marks=needs_gpu) for case in cases]
    return [*gpu, *(pytest.param("cpu", *case) for case in cases if case in tried)]


def settings(run, *more, device="cuda"):
    return [*SMOKE, f"run={run}", f"device={device}", *more]


def trained(*overrides, probes=True, steps=None):
    """Train and return the state."""
    config = compose_run(list(overrides))
    made = build(config, device_of(config))
    plan = made.plan if probes else replace(made.plan, probes=())
    train(plan, made.state, lambda step, rows: step != steps)
    return made.state


def bits(state):
    """Return what a measurement could have disturbed, as tensors by name."""
    found = {**state.model.state_dict()}
    for name, parameter in state.model.named_parameters():
        found |= {f"gradient {name}": parameter.grad}
        found |= {f"{key} {name}": value for key, value in state.optimizer.state[parameter].items()}
    return {name: value for name, value in found.items() if isinstance(value, torch.Tensor)}


def assert_same_bits(ours, theirs):
    assert ours.keys() == theirs.keys()
    different = [name for name, tensor in ours.items() if not torch.equal(tensor, theirs[name])]
    assert not different


@needs_gpu
@pytest.mark.parametrize(("model", "norm"), [case for case in CASES if case[1] not in DRAWING], ids=lambda name: name)
def test_in_float64_it_has_the_numbers_of_the_cpu(model, norm):
    found = differences(measured(model, norm, device="cuda"), json.loads(FILE.read_text())[f"{model} {norm}"])
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("device", "model", "norm"), on_both(*CASES, tried=[(model, "batch") for model in SMALL]), ids=lambda name: name
)
def test_measuring_leaves_every_bit_of_training_and_it_repeats(device, model, norm):
    own = [*SMALL[model], *needs(model, norm), *SLOWLY.get(model, [])]
    layers = ["measure.activation_layers=[2,4]", "measure.ics_layers=[2,4]"]
    run = settings(f"{model}_standard", f"norm={norm}", f"probe=[{','.join(PROBES)}]", *own, *layers, device=device)
    with_probes, again, without = trained(*run), trained(*run), trained(*run, probes=False)
    assert len(with_probes.records.rows) > len(without.records.rows)
    begun = build(compose_run(run), torch.device(device)).state
    assert any(not torch.equal(tensor, bits(with_probes)[name]) for name, tensor in begun.model.named_parameters())
    assert_same_bits(bits(with_probes), bits(without))
    assert_same_bits(bits(with_probes), bits(again))
    assert str(with_probes.records.rows) == str(again.records.rows)  # as text, nan is nan


MANY = [(model, probe) for probe in SLOW[::-1] for model in SMALL]
"""The first takes a quarter of a minute on a CPU, and is left to the GPU."""


@pytest.mark.parametrize(("device", "model", "probe"), on_both(*MANY, tried=MANY[1:]))
def test_probes_of_many_passes_leave_every_bit_of_training(device, model, probe):
    run = settings(
        f"{model}_batch", *SMALL[model], *SLOWLY.get(model, []), f"probe=[{probe}]", "steps=3", device=device
    )
    assert_same_bits(bits(trained(*run)), bits(trained(*run, probes=False)))


@needs_gpu
@pytest.mark.parametrize("fast", ["tf32=true", "precision=bfloat16"])
def test_probes_measure_in_float32_what_trains_with_fewer_digits(fast):
    """At W(0) the rows of the landscape are those of float32, and training is left alone."""
    run = settings("vgg_batch", "model.width=0.125", "probe=[landscape]")
    quick, exact = trained(*run, fast), trained(*run)
    rows = [
        {(row.quantity, row.step_size): row.value for row in state.records.rows if row.step == 0}
        for state in (quick, exact)
    ]
    measured_rows = {key for key in rows[0] if key[0] not in ("train_loss", "train_accuracy", "test_accuracy")}
    assert len(measured_rows) > 10
    assert {key: rows[0][key] for key in measured_rows} == {key: rows[1][key] for key in measured_rows}
    assert rows[0]["train_loss", None] == pytest.approx(rows[1]["train_loss", None], rel=0.05)
    assert_same_bits(bits(quick), bits(trained(*run, fast, probes=False)))
    assert not torch.equal(bits(quick)["layers.1.linear.weight"], bits(exact)["layers.1.linear.weight"])


@needs_gpu
@pytest.mark.filterwarnings("ignore")  # dynamo's own
def test_compiled_steps_are_those_of_the_modules_to_rounding():
    """Replayed as CUDA graphs, with probes; compared after two steps, of which the first is measured."""
    run = settings("vgg_batch", "probe=[landscape]", "steps=2")
    compiled, plain = trained(*run, "compile=reduce-overhead"), trained(*run)
    begun = build(compose_run(run), GPU).state
    moved = {name: (bits(plain)[name] - tensor).norm() for name, tensor in begun.model.named_parameters()}
    # biases before BatchNorm move by rounding alone
    far = [name for name, distance in moved.items() if distance > 1e-3]
    assert len(far) > 13
    for name in far:
        assert (bits(compiled)[name] - bits(plain)[name]).norm() < 0.05 * moved[name], name


@needs_gpu
@pytest.mark.parametrize("run", ["vgg_batch", "vgg_l1", "vgg_noisy_batch", "mlp_batch"])
def test_between_logged_steps_nothing_waits_for_the_gpu(run):
    """From the second step on torch raises where the host would wait; an evaluation shows that it does."""
    made = build(compose_run(settings(run, "probe=[]", "steps=40", "log_every=20", "eval_every=20")), GPU)
    until = min(19, -(-len(made.plan.dataset.train) // made.plan.batch_size))  # a new epoch brings its order
    assert until > 2

    def note(step, rows):
        torch.cuda.set_sync_debug_mode("error" if step < until else "default")
        return step < until

    try:
        train(made.plan, made.state, note)
        torch.cuda.set_sync_debug_mode("error")
        with pytest.raises(RuntimeError, match="synchronizing"):
            split_accuracy(made.state.model, made.plan.dataset, made.plan.dataset.test)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert made.state.step == until


@needs_gpu
def test_the_benchmark_of_a_gpu_asks_its_questions(monkeypatch):
    """With a small network; trainings that share the GPU are processes, which know of no patch."""
    from bench import gpu
    from bench.networks import Net

    small = ["scale=smoke", "model.width=0.03125", "model.configuration=A"]
    small += ["measure.activation_layers=[2,4]", "measure.ics_layers=[2,4]"]
    monkeypatch.setattr(gpu, "VGG", [*gpu.VGG, *small])
    replays = list(gpu.replays(Net.of(gpu.FULL, *gpu.VGG), rounds=2, count=2))
    assert [answer.ratio > 0 for answer in replays] == [True, True]
    ways = list(gpu.ways(steps=2, rounds=2))
    assert [answer.question.split(" / ")[0] for answer in ways] == [f"a training step in {name}" for name in gpu.WAYS]
    monkeypatch.setattr(gpu, "COMPANY", ["TF32", gpu.EXACT])  # four processes would compile for a minute
    company = list(gpu.side_by_side((1, 2), seconds=0.2))
    assert [answer.ratio > 0 for answer in company] == [True, True]


class Silent:
    """A reporter that shows nothing."""

    def update(self, name, step, steps, quiet=False):
        """Show nothing."""

    def message(self, text):
        """Say nothing."""


def kept(directory):
    """Return all bits that a run ended with."""
    content = torch.load(directory.path / "checkpoint.pt", weights_only=True, map_location="cpu")
    arrays = {name: array.tobytes() for name, array in directory.arrays().items()}
    return content["model"], (directory.path / "metrics.csv").read_bytes(), arrays


STOPPED = [("vgg_noisy_batch",), ("vgg_batch",), ("mlp_standard",), ("dln_batch",)]


@pytest.mark.parametrize(("device", "run"), on_both(*STOPPED, tried=STOPPED[2:]))
def test_a_run_that_was_stopped_ends_with_the_same_bits(device, run, tmp_path):
    places = [tmp_path / name for name in ("whole", "stopped")]
    configs = [compose_run(settings(run, f"runs_dir={place}", device=device)) for place in places]
    assert device_of(configs[0]) == torch.device(device)
    whole = kept(execute(configs[0], Silent()))
    asked = iter([False, False, True])
    with pytest.raises(Interrupted):
        execute(configs[1], Silent(), lambda: next(asked, True))
    model, *rest = kept(execute(configs[1], Silent()))
    assert_same_bits(model, whole[0])
    assert rest == list(whole[1:])


@needs_gpu
def test_deep_linear_nets_as_one_have_the_numbers_that_they_have_alone(tmp_path):
    """To rounding: a batched product of matrices may add in another order."""
    runs = [
        [compose_run(settings("dln_batch", f"seed={seed}", f"runs_dir={tmp_path / name}")) for seed in (0, 1)]
        for name in ("together", "alone")
    ]
    together, alone = execute_together(runs[0], Silent()), [execute(config, Silent()) for config in runs[1]]
    for ours, theirs in zip(together, alone, strict=True):
        ours, theirs = ours.table(), theirs.table()
        assert list(ours["quantity"]) == list(theirs["quantity"])
        losses = [table[table["quantity"] == "train_loss"]["value"].to_numpy() for table in (ours, theirs)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-4)
