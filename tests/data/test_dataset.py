"""A data set whose arrays do not fit is refused before anything is trained: its accuracies would be none."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from normscape.components import build_data
from normscape.config import compose_run
from normscape.data import Dataset
from normscape.data.dataset import Split
from normscape.engines.here import LocalEngine
from normscape.errors import UserError
from normscape.execute import execute
from normscape.launch import Plan, train_missing
from normscape.overview.progress import ProgressDisplay
from normscape.runs import RunDirectory

N = 48
INPUTS = torch.arange(12.0 * N).reshape(N, 12).sin()
CLASSES = torch.arange(N) % 10
LABELS = [CLASSES]


def whole(**_):
    return Dataset("mine", hashlib.md5(LABELS[0].numpy().tobytes()).hexdigest(), Split(INPUTS, LABELS[0]))


def of(train, test=None):
    return Dataset("mine", "0", Split(*train), Split(*test) if test else None)


FAULTS = {
    "fewer targets": (
        of((INPUTS, CLASSES[:-1])),
        "training set of mine has 48 inputs and 47 targets, expected as many",
    ),
    "no samples": (of((INPUTS, CLASSES), (INPUTS[:0], CLASSES[:0])), "test set of mine has 0 inputs and 0 targets"),
    "columns": (of((INPUTS, CLASSES[:, None])), "targets (48, 1) of int64, expected classes (N,) of int64, or floats"),
    "booleans": (of((INPUTS, CLASSES > 4)), "targets (48,) of bool, expected classes (N,) of int64"),
    "small integers": (of((INPUTS, CLASSES.int())), "targets (48,) of int32, expected classes (N,) of int64"),
    "ignored": (of((INPUTS, CLASSES - 1)), "has the class -1, expected 0 or more"),
    "one of each": (of((INPUTS, CLASSES), (INPUTS, CLASSES.float())), "classes in one of training and test set"),
    "no tensors": (of((INPUTS.numpy(), CLASSES)), "has a ndarray and a Tensor, expected tensors"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_arrays_that_do_not_fit_are_one_line(case):
    dataset, said = FAULTS[case]
    with pytest.raises(UserError) as caught:
        dataset.require_sound()
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mean": torch.zeros(3)}, "mean a Tensor and std a NoneType; expected tensors (C,) as both"),
        ({"mean": [0.0] * 3, "std": [1.0] * 3}, "mean a list and std a list; expected tensors"),
        ({"mean": torch.zeros(6), "std": torch.ones(6)}, "mean (6,) and std (6,); expected (3,)"),
        ({"mean": torch.zeros(3), "std": torch.tensor([1.0, 0.0, 1.0])}, "a std that is not above 0"),
        ({"train": Split(torch.full((4, 3), torch.nan), CLASSES[:4])}, "an input that is no finite number"),
        ({"train": Split(INPUTS, torch.full((len(INPUTS), 2), torch.inf))}, "a target that is no finite number"),
        ({"train": Split(torch.full((4, 3), 2**24 + 1), CLASSES[:4])}, "the input 16777217, which float32"),
        ({"train": Split(torch.zeros(4, 3, dtype=torch.complex64), CLASSES[:4])}, "complex numbers, expected real"),
    ],
)
def test_numbers_that_would_be_lost_or_left_out_are_refused(changes, said):
    whole = Dataset("mine", "0", Split(torch.zeros(4, 3), CLASSES[:4]), None)
    whole.require_sound()
    with pytest.raises(UserError) as caught:
        replace(whole, **changes).require_sound()
    assert said in str(caught.value)


def test_classes_and_vectors_are_sound():
    of((INPUTS, CLASSES), (INPUTS[:1], CLASSES[:1])).require_sound()
    of((INPUTS, INPUTS[:, :3])).require_sound()


def config(folder: Path, target="whole"):
    own = ["run=mlp_standard", "model.in_features=12", "model.hidden=[8,8]", f"data._target_={__name__}.{target}"]
    small = ["scale=smoke", "tracker=none", "device=cpu", "steps=4", "batch_size=12", f"runs_dir={folder}"]
    return compose_run([*own, *small, "measure.activation_layers=[1]", "measure.ics_layers=[2]"])


def test_the_suite_s_own_data_are_sound():
    for run in ("vgg_batch", "dln_batch", "mlp_standard"):
        build_data(compose_run([f"run={run}", "scale=smoke"])).require_sound()


def test_a_run_that_ended_on_other_data_is_not_taken_for_this_one(tmp_path, monkeypatch):
    run = config(tmp_path)
    assert train_missing([run], LocalEngine(1), print) == {}
    assert Plan.of([run], LocalEngine(1)).lines == ["Runs: all 1 finished."]
    monkeypatch.setitem(globals(), "LABELS", [CLASSES.flip(0)])
    with pytest.raises(UserError, match=f"data: {RunDirectory.of(run).path.name} was trained on .*; restore the data"):
        train_missing([run], LocalEngine(1), print)
    with pytest.raises(UserError, match=r"they now are .*; restore the data"), ProgressDisplay() as display:
        execute(run, display)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: Dataset(INPUTS, CLASSES, INPUTS, CLASSES), "data: name is a Tensor; expected Dataset"),
        (lambda: Dataset("mine", "0", INPUTS, CLASSES), "data: train is a Tensor; expected Dataset"),
        (lambda: Dataset("mine", "0", Split(INPUTS, CLASSES), INPUTS), "data: test is a Tensor; expected Dataset"),
    ],
)
def test_arrays_in_the_place_of_splits_are_refused(made, said):
    with pytest.raises(UserError, match=said):
        made().require_sound()
