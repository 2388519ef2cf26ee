"""No number changes unnoticed: a few steps of each network with each norm come to what is kept in golden.json."""

import json

import pytest

from golden import CASES, FILE, REFRESH, differences, measured
from normscape.probes import landscape
from normscape.seeds import seed_streams

CHANGED = f"""numbers changed. If they were meant to: raise NUMERICS in src/normscape/identity.py, so that no run made
before passes for one of now, make the results anew, and keep the new numbers: {REFRESH}
"""


@pytest.fixture(scope="module")
def kept():
    return json.loads(FILE.read_text())


@pytest.mark.parametrize(("model", "norm"), CASES, ids=lambda name: name)
def test_the_numbers_are_those_that_are_kept(kept, model, norm):
    name = f"{model} {norm}"
    assert name in kept, f"a new norm: {REFRESH}, and see that it adds only its own numbers"
    found = differences(measured(model, norm), kept[name])
    assert not found, CHANGED + "\n".join(found)


def test_nothing_is_kept_that_is_not_there(kept):
    assert sorted(kept) == sorted(f"{model} {norm}" for model, norm in CASES), REFRESH


@pytest.mark.parametrize(
    ("model", "norm", "change", "seen"),
    [
        ("vgg", "batch", "norm.eps=1.01e-5", "train_loss"),
        ("mlp", "l1", "norm.momentum=0.1001", "state layers.1.norm.running_moment"),
        ("dln", "standard", "optimizer.lr=1.01e-6", "state layers.1.linear.weight"),
        ("mlp", "noisy_batch", "norm.r_mu=0.1001", "train_loss"),
        ("mlp", "layer", "seed=1", "ics_l2 layer 2"),
        ("vgg", "standard", "measure.lr_multiples=[0.5,1.0,2.0,4.0001]", "loss_landscape"),
    ],
)
def test_a_changed_setting_is_seen(kept, model, norm, change, seen):
    found = differences(measured(model, norm, change), kept[f"{model} {norm}"])
    assert seen in [line.partition(":")[0] for line in found]


def test_changed_code_is_seen(kept, monkeypatch):
    """A penalty of the landscape that is off; layer noise from another stream."""
    penalty = landscape._penalty
    monkeypatch.setattr(landscape, "_penalty", lambda *given: penalty(*given) * 1.1)
    found = differences(measured("mlp", "batch"), kept["mlp batch"])
    assert {line.partition(":")[0] for line in found} == {
        "objective", "loss_landscape", "objective_random", "loss_landscape_random",
        "effective_lipschitz", "effective_lipschitz_random",
    }  # fmt: skip
    monkeypatch.undo()
    monkeypatch.setattr("normscape.loop.seed_layer_noise", lambda seed, step: seed_streams(seed, "noise", step))
    assert differences(measured("dln", "noisy_batch", "probe=[]"), kept["dln noisy_batch"])


def test_rounding_is_not_a_change(kept):
    same = {name: [value * (1 + 1e-10) for value in values] for name, values in kept["vgg batch"].items()}
    assert not differences(same, kept["vgg batch"])
    gone = {name: values for name, values in same.items() if name != "train_loss"}
    assert [line.partition(":")[0] for line in differences(gone, kept["vgg batch"])] == ["train_loss"]
