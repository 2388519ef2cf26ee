"""The loop: batches, what is recorded when, divergence, and where it stops."""

import math
from dataclasses import replace

import pytest
import torch

from normscape.data import synthetic
from normscape.data.dataset import Split
from normscape.loop import Batches, Plan, State, accuracy, split_accuracy, train
from normscape.models import MLP, glorot_
from normscape.norms import BatchNorm, Standard
from normscape.probes import Landscape, Probe
from normscape.storage.records import Row

DATA = synthetic(train_images=50, test_images=30, image_size=4)


def plan(**changes):
    settings = {"probes": (), "seed": 0, "steps": 7, "batch_size": 20, "log_every": 3, "eval_every": 4}
    return Plan(dataset=DATA, loss_function=torch.nn.CrossEntropyLoss(), **{**settings, **changes})


def fresh(norm=BatchNorm, lr=0.1):
    model = MLP(48, [6], 10, norm)
    glorot_(model, seed=0)
    return State(model, torch.optim.SGD(model.parameters(), lr=lr))


def go_on(step, rows):
    return True


def steps(state, quantity):
    return [row.step for row in state.records.rows if row.quantity == quantity]


def test_an_epoch_shows_every_image_once_and_its_last_batch_is_short():
    batches = Batches(DATA, seed=0, batch_size=20)
    epoch = [batches.at(step) for step in range(3)]
    assert [len(targets) for _, targets in epoch] == [20, 20, 10]
    seen = torch.cat([inputs for inputs, _ in epoch]).flatten(1)
    everything = DATA.network_inputs(DATA.train.inputs).flatten(1)
    assert sorted(seen.tolist()) == sorted(everything.tolist())


def test_the_order_is_a_function_of_seed_and_epoch_however_it_is_reached():
    forward = [Batches(DATA, 0, 20).at(step)[1] for step in range(6)]
    batches = Batches(DATA, 0, 20)
    backward = [batches.at(step)[1] for step in reversed(range(6))][::-1]
    assert all(torch.equal(a, b) for a, b in zip(forward, backward, strict=True))
    assert not torch.equal(forward[0], forward[3])
    assert not torch.equal(forward[0], Batches(DATA, 1, 20).at(0)[1])


def test_augmentation_is_a_function_of_seed_and_step():
    def at(step, seed=0, augmented=True):
        return Batches(DATA, seed, 20, augmented=augmented).at(step)

    assert torch.equal(at(1)[0], at(1)[0])
    assert torch.equal(at(1)[1], at(1, augmented=False)[1])
    assert not torch.equal(at(1)[0], at(1, augmented=False)[0])


def test_augmentation_is_drawn_anew_at_each_step():
    """Of images that are all the same, so that the order of an epoch shows in nothing."""
    alike = replace(DATA, train=Split(DATA.train.inputs[:1].expand(len(DATA.train), -1, -1, -1), DATA.train.targets))
    batches = Batches(alike, 0, None, augmented=True)
    assert torch.equal(batches.at(0)[0], batches.at(0)[0])
    assert not torch.equal(batches.at(0)[0], batches.at(1)[0])


def test_without_batch_size_every_batch_is_the_whole_set_in_its_own_order():
    for step in (0, 5):
        inputs, targets = Batches(DATA, 0, None).at(step)
        assert torch.equal(targets, DATA.train.targets)
        assert torch.equal(inputs, DATA.network_inputs(DATA.train.inputs))


def test_rows_stand_at_their_cadence_and_the_last_test_is_after_the_last_step():
    state = fresh()
    assert train(plan(), state, go_on)
    assert steps(state, "train_loss") == [0, 3, 6]
    assert steps(state, "train_accuracy") == [0, 3, 6]
    assert steps(state, "test_accuracy") == [0, 4, 7]


def test_training_loss_is_of_the_mini_batch_before_the_update():
    state, twin = fresh(Standard), fresh(Standard)
    train(plan(steps=1), state, go_on)
    inputs, targets = Batches(DATA, 0, 20).at(0)
    outputs = twin.model(inputs)
    recorded = {row.quantity: row.value for row in state.records.rows if row.step == 0}
    assert recorded["train_loss"] == torch.nn.functional.cross_entropy(outputs, targets).item()
    assert recorded["train_accuracy"] == accuracy(outputs, targets)


def test_it_walks_the_trajectory_of_plain_sgd():
    state, twin = fresh(Standard), fresh(Standard)
    train(plan(steps=5), state, go_on)
    batches = Batches(DATA, 0, 20)
    for step in range(5):
        inputs, targets = batches.at(step)
        loss = torch.nn.functional.cross_entropy(twin.model(inputs), targets)
        gradients = torch.autograd.grad(loss, list(twin.model.parameters()))
        with torch.no_grad():
            for p, g in zip(twin.model.parameters(), gradients, strict=True):
                p -= 0.1 * g
    for p, q in zip(state.model.parameters(), twin.model.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-7)


def test_the_test_set_is_judged_with_running_statistics_and_leaves_them_alone():
    state = fresh()
    before = {name: b.clone() for name, b in state.model.named_buffers()}
    value = split_accuracy(state.model, DATA, DATA.test)
    assert all(torch.equal(before[name], b) for name, b in state.model.named_buffers())
    assert state.model.training
    state.model.eval()
    expected = accuracy(state.model(DATA.network_inputs(DATA.test.inputs)), DATA.test.targets)
    assert value == pytest.approx(expected)


def test_divergence_is_a_result():
    state = fresh(Standard, lr=1e30)
    assert train(plan(steps=100), state, go_on)
    assert state.diverged_at is not None
    assert state.step == state.diverged_at + 1 < 100
    last = [row for row in state.records.rows if row.quantity == "train_loss"][-1]
    assert last.step == state.diverged_at
    assert not math.isfinite(last.value)
    assert steps(state, "test_accuracy")[-1] == state.step


def test_stopped_between_two_steps_it_goes_on_as_if_it_had_not_been():
    broken, whole = fresh(), fresh()
    assert not train(plan(), broken, lambda step, rows: step < 3)
    assert broken.step == 3
    assert train(plan(), broken, go_on)
    assert train(plan(), whole, go_on)
    assert broken.records == whole.records
    for a, b in zip(broken.model.state_dict().values(), whole.model.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_on_step_is_given_each_step_s_rows_once():
    given = []
    state = fresh()
    train(plan(), state, lambda step, rows: given.extend(rows) or True)
    assert given == state.records.rows


class _Watch(Probe):
    def measure(self, view):
        yield Row(view.step, "watched", None, None, view.loss.item())


def test_a_probe_sees_the_steps_that_are_due_and_the_loss_of_the_training_step():
    state = fresh()
    train(plan(probes=[_Watch(every=3)]), state, go_on)
    assert steps(state, "watched") == [0, 3, 6]
    of = {q: [r.value for r in state.records.rows if r.quantity == q] for q in ("watched", "train_loss")}
    assert of["watched"] == of["train_loss"]


def test_a_continued_run_is_not_refused_for_steps_that_have_become_small():
    """An unbroken run is looked at for this at its first step alone; one that was stopped ends as that does."""
    measured, state = plan(probes=[Landscape(every=2)]), fresh()
    assert not train(measured, state, lambda step, rows: step < 3)
    state.optimizer.param_groups[0]["lr"] = 1e-12
    assert train(measured, state, go_on)
    assert steps(state, "gradient_norm") == [0, 2, 4, 6]
