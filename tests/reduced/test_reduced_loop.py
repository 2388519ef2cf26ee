"""Many runs trained as one: each has the numbers that it has alone, which are those of the plain loop."""

from dataclasses import replace

import pytest
import torch

from golden import differences, exact_data, measured
from normscape.build import build
from normscape.config import compose_run
from normscape.errors import UserError
from normscape.loop import train
from normscape.models.layered import glorot_
from normscape.probes import Landscape, Probe, Sharpness
from normscape.reduced import sizes
from normscape.reduced.loop import Run, train_together
from normscape.storage.records import Row

NORMS = ["standard", "batch", "l1", "l2", "linf"]
SMALL = ["scale=smoke", "tracker=none", "device=cpu", "steps=8", "log_every=2", "measure.every=2"]


def going(step, rows):
    return True


def reduced(plan, state, on_step):
    train_together([Run(plan, state, on_step)])


def unchecked(plan, state, on_step):
    reduced(replace(plan, self_check=False), state, on_step)


def runs(*overrides, probes=None, on_step=going):
    """Return one run for each list of overrides."""
    made = [build(compose_run([*SMALL, *each]), torch.device("cpu")) for each in overrides]
    return [
        Run(each.plan if probes is None else replace(each.plan, probes=probes), each.state, on_step) for each in made
    ]


def content(run):
    """Return all that a run's training and measuring have come to, as something to be compared bit by bit."""
    state = run.state
    tensors = {name: tensor.tolist() for name, tensor in state.model.state_dict().items()}
    arrays = {name: values.tolist() for name, values in state.records.arrays().items()}
    return tensors, sorted(map(repr, state.records.rows)), arrays, state.step, state.diverged_at


@pytest.mark.parametrize("norm", NORMS)
def test_training_and_every_measurement_are_those_of_the_plain_loop(norm):
    """In float64, where three steps leave nothing but rounding between the two."""
    assert differences(measured("dln", norm, loop=reduced), measured("dln", norm)) == []


def test_another_size_is_no_rounding(monkeypatch):
    """The comparison above sees a size that is off by a millionth; a run would be refused for it."""
    own = sizes.BatchSize.size
    monkeypatch.setattr(sizes.BatchSize, "size", lambda self, moment: own(self, moment) * 1.000001)
    assert differences(measured("dln", "batch", loop=unchecked), measured("dln", "batch"))
    with pytest.raises(UserError, match="arithmetic=reduced: at step 0 the loss differs"):
        measured("dln", "batch", loop=reduced)


@pytest.mark.parametrize("norm", ["standard", "batch", "l2"])
def test_trajectories_stay_together_for_long_in_float64(norm):
    """What is left of rounding after 300 steps of the paper's net, at a rate that lowers the loss."""
    ends = []
    for loop in (train, reduced):
        made = build(
            compose_run([f"run=dln_{norm}", *SMALL, "steps=300", "probe=[]", "optimizer.lr=1e-8"]), torch.device("cpu")
        )
        glorot_(made.state.model.double(), 0)
        loop(replace(made.plan, dataset=exact_data("dln")), made.state, going)
        ends.append((made.state.model.state_dict(), [row.value for row in made.state.records.rows]))
    (plain, losses), (ours, our_losses) = ends
    assert losses[-1] < losses[0]
    assert our_losses == pytest.approx(losses, rel=1e-8)
    for name, tensor in plain.items():
        torch.testing.assert_close(ours[name], tensor, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("norm", NORMS)
def test_a_run_has_the_bits_that_it_has_alone(norm):
    several = [[f"run=dln_{norm}", f"seed={seed}", f"optimizer.lr={lr}"] for seed in (0, 3, 5) for lr in (1e-6, 1e-7)]
    together, alone = runs(*several), [runs(each)[0] for each in several]
    assert train_together(together) == [True] * 6
    for each, single in zip(together, alone, strict=True):
        train_together([single])
        assert content(each) == content(single)


def test_runs_that_are_not_equally_far_have_the_bits_of_unbroken_ones():
    several = [["run=dln_batch", f"seed={seed}"] for seed in range(3)]
    whole, broken = runs(*several), runs(*several)
    train_together(whole)
    stopping = replace(broken[1], on_step=lambda step, rows: step < 3)
    assert train_together([stopping]) == [False]
    assert stopping.state.step == 3
    assert train_together(broken) == [True] * 3
    assert list(map(content, broken)) == list(map(content, whole))


def test_when_one_is_asked_to_stop_all_do():
    several = runs(["run=dln_l1"], ["run=dln_l1", "seed=1"])
    several[0] = replace(several[0], on_step=lambda step, rows: step < 5)
    assert train_together(several) == [False, False]
    assert [run.state.step for run in several] == [5, 5]


def test_a_run_that_diverges_ends_by_itself():
    several = [["run=dln_batch", f"optimizer.lr={lr}"] for lr in (1e-6, 1e30)]
    together, alone = runs(*several), runs(several[0])
    assert train_together(together) == [True, True]
    assert together[1].state.diverged_at is not None
    assert together[1].state.step < together[0].state.step == 8
    train_together(alone)
    assert content(together[0]) == content(alone[0])


@pytest.mark.parametrize("norm", NORMS)
def test_measuring_does_not_change_training(norm):
    (seen,), (unseen,) = runs([f"run=dln_{norm}"]), runs([f"run=dln_{norm}"], probes=[])
    train_together([seen])
    train_together([unseen])
    assert content(seen)[0] == content(unseen)[0]
    loss = [[row for row in run.state.records.rows if row.quantity == "train_loss"] for run in (seen, unseen)]
    assert loss[0] == loss[1]
    assert len(seen.state.records.rows) > len(unseen.state.records.rows)


class LossOfTheView(Probe):
    """What the view says, by a probe of a user's own."""

    def measure(self, view):
        yield Row(view.step, "viewed", None, None, view.loss.item())
        moved = sum((view.updated[n] - view.parameters[n]).square().sum() for n in view.gradient) ** 0.5
        gradient = sum(g.square().sum() for g in view.gradient.values()) ** 0.5
        yield Row(view.step, "moved", None, None, (moved / view.learning_rate / gradient).item())


def test_any_other_probe_looks_at_the_network_itself():
    together = runs(["run=dln_batch"], ["run=dln_batch", "seed=1"], probes=[LossOfTheView(2), Sharpness(every=4)])
    train_together(together)
    unseen = runs(["run=dln_batch"], ["run=dln_batch", "seed=1"], probes=[])
    train_together(unseen)
    assert [content(run)[0] for run in together] == [content(run)[0] for run in unseen]
    for run in together:
        rows = run.state.records.table().set_index(["quantity", "step"]).value
        assert list(rows["viewed"].index) == [0, 2, 4, 6]
        assert rows["viewed"].tolist() == pytest.approx(rows["train_loss"].tolist(), rel=1e-5)
        assert rows["moved"].tolist() == pytest.approx([1.0] * 4, rel=1e-3)
        assert (rows["sharpness"] > 0).all()


def test_the_first_look_compares_with_the_network_itself(monkeypatch):
    """Promise 8: a reduction that does not fit a network is refused before any row of it is written."""
    monkeypatch.setattr(sizes.BatchSize, "size", lambda self, moment: (moment + 1.0).sqrt())
    (run,) = runs(["run=dln_batch"])
    with pytest.raises(UserError, match="arithmetic=reduced: at step 0 the loss differs from the network's own by"):
        train_together([run])
    assert {row.quantity for row in run.state.records.rows} == {"train_loss"}


def test_a_continued_run_is_not_compared_again(monkeypatch):
    """Where it continues its gradient may be a difference of large numbers, of which two computations differ."""
    (run,) = runs(["run=dln_batch"])
    train_together([replace(run, on_step=lambda step, rows: step < 3)])
    monkeypatch.setattr(sizes.BatchSize, "size", lambda self, moment: (moment + 1.0).sqrt())
    assert train_together([replace(run)]) == [True]


@pytest.mark.parametrize("probe", ["landscape", "landscape_random"])
def test_step_sizes_that_get_lost_in_the_rounding_of_the_weights_are_refused(probe):
    """Of any of the runs that are trained as one, at whatever step it is measured first."""
    given = ["run=dln_batch", f"probe=[{probe}]", "measure.lr_multiples=[1,1e-6]"]
    fine, wide, lost = runs([*given, "optimizer.lr=1"], given, [*given, "seed=1", "measure.float64=false"])
    train_together([fine])
    train_together([wide])
    line = r"step size 1e-1\d: \d+% of such a step is lost in the rounding of float32 weights"
    with pytest.raises(UserError, match=line):
        train_together([lost])


@pytest.mark.parametrize("probe", ["landscape", "landscape_random"])
def test_a_continued_run_is_not_refused_for_steps_that_have_become_small(probe):
    """An unbroken run is looked at for this at its first step alone; one that was stopped ends as that does."""
    given = ["run=dln_batch", f"probe=[{probe}]", "measure.float64=false", f"probe.{probe}.every=2"]
    (run,) = runs([*given, "optimizer.lr=1e-3"])
    train_together([replace(run, on_step=lambda step, rows: step < 3)])
    run.state.optimizer.param_groups[0]["lr"] = 1e-15
    assert train_together([replace(run)]) == [True]


def test_the_landscape_is_in_float64_of_weights_in_float32():
    """Short steps along a short gradient of a large loss: the slope of the loss is the gradient's length."""
    (run,) = runs(["run=dln_batch", "steps=1", "probe=[landscape]", "measure.lr_multiples=[1e-6]"])
    (coarse,) = runs(["run=dln_batch", "steps=1", "probe=[landscape]", "measure.lr_multiples=[0.01]"])
    coarse = replace(coarse, plan=replace(coarse.plan, probes=[Landscape([0.01])]))
    found = []
    for each in (run, coarse):
        train_together([each])
        rows = each.state.records.table().set_index("quantity").value
        found.append(rows["effective_lipschitz"] / rows["gradient_norm"])
    assert found[0] == pytest.approx(1, rel=1e-5)
    assert found[1] != pytest.approx(1, rel=1e-5)  # of float32 the change of the loss has three digits
