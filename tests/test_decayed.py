"""What weight decay acts on: all parameters, or all but vectors."""

import pytest
import torch

from normscape.build import build
from normscape.config import compose_run
from normscape.loop import train

SMALL = ["scale=smoke", "tracker=none", "device=cpu", "model.width=0.03125", "data.train_images=32", "batch_size=16"]


def started(*overrides):
    """Return the parameters at the start, by name, and the rows of one step."""
    config = compose_run(["run=vgg_batch", *SMALL, "steps=1", "probe=[landscape]", "measure.every=1", *overrides])
    made = build(config, torch.device("cpu"))
    before = {name: p.detach().clone() for name, p in made.state.model.named_parameters()}
    train(made.plan, made.state, lambda step, rows: True)
    rows = {row.quantity: row.value for row in made.state.records.rows if row.step_size is None}
    change = {name: p.detach() - before[name] for name, p in made.state.model.named_parameters()}
    gradients = {name: p.grad for name, p in made.state.model.named_parameters()}
    return config, before, change, gradients, rows


@pytest.mark.parametrize("decayed", ["weights", "all"])
def test_the_step_and_the_objective_decay_the_same_parameters(decayed):
    config, before, change, gradients, rows = started(f"decayed={decayed}", "optimizer.weight_decay=0.5")
    own = {name: 0.5 if decayed == "all" or p.dim() > 1 else 0.0 for name, p in before.items()}
    assert {0.5} < set(own.values()) if decayed == "weights" else set(own.values()) == {0.5}
    for name, p in before.items():
        expected = -config.optimizer["lr"] * (gradients[name] + own[name] * p)
        torch.testing.assert_close(change[name], expected, rtol=1e-4, atol=1e-6)
    penalty = sum(0.5 * own[name] * float(p.square().sum()) for name, p in before.items())
    assert rows["objective"] - rows["train_loss"] == pytest.approx(penalty, rel=1e-5)


def test_the_scales_of_norms_alone_move_otherwise():
    _, _, weights, _, _ = started("decayed=weights", "optimizer.weight_decay=0.5")
    _, _, everything, _, _ = started("decayed=all", "optimizer.weight_decay=0.5")
    for name, moved in weights.items():
        assert torch.equal(moved, everything[name]) is not name.endswith("norm.weight")
