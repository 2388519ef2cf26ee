"""Promise 1: measuring never changes training. Every probe x every norm x every network, found by their YAMLs."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from golden import needs
from normscape.build import build
from normscape.components import build_component
from normscape.config import CONFIGS, compose_run
from normscape.errors import UserError
from normscape.loop import train
from normscape.probes import Probe
from normscape.view import StepView

NORMS = sorted(path.stem for path in (CONFIGS / "norm").glob("*.yaml"))
PROBES = sorted(path.stem for path in (CONFIGS / "probe").glob("*.yaml"))
MODELS = ["vgg", "mlp", "dln"]
SETTINGS = ["scale=smoke", "tracker=none", "steps=4", "log_every=1", "eval_every=2"]
SMALL = {
    "vgg": ["model.width=0.03125", "model.configuration=A", "data.train_images=48", "batch_size=32"],
    "mlp": ["model.hidden=[8,8,8]", "data.train_images=48", "batch_size=32"],
    # The noisy standard net diverges at the rate of the paper; steps of less than this one would not move the weights.
    "dln": ["data.samples=20", "optimizer.lr=1e-9", "measure.lr_multiples=[100,1000]"],
}

EVERY = {"sharpness": 3}
"""Steps between the measurements of a probe that costs some fifty passes; of the others 1."""


def trained(model, norm, probe, make_probe=None, self_check=True):
    """Train a few steps and return all that a probe could have disturbed."""
    small = [*SMALL[model], *needs(model, norm)]
    config = compose_run([f"run={model}_standard", f"norm={norm}", *SETTINGS, *small, f"probe=[{probe or PROBES[0]}]"])
    components = build(replace(config, probe={}), torch.device("cpu"))
    probes = []
    if probe:
        node = {**config.probe[probe], "every": EVERY.get(probe, 1)}
        if "layers" in node:
            node["layers"] = [1, 2, len(components.state.model.layers)]
        if "units" in node:
            node["units"] = 1
        probes = [build_component("probe", node)]
    if make_probe:
        probes = [make_probe(components.state.model)]
    random.seed(0)
    np.random.seed(0)
    state = components.state
    train(replace(components.plan, probes=probes, self_check=self_check), state, lambda step, rows: True)
    own = {row for row in state.records.rows if row.quantity in ("train_loss", "train_accuracy", "test_accuracy")}
    return {
        "model": state.model.state_dict(),
        "gradients": {name: p.grad for name, p in state.model.named_parameters()},
        "optimizer": state.optimizer.state_dict(),
        "modes": [module.training for module in state.model.modules()],
        "rows": sorted(own, key=str),
        "torch stream": torch.get_rng_state(),
        "python stream": random.getstate(),
        "numpy stream": np.random.get_state()[1].tolist(),
        "hooks": [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in state.model.modules()],
    }, len(state.records.rows) - len(own)


def same(a, b):
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.stride() == b.stride() and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return a == b


@pytest.fixture(scope="module")
def undisturbed():
    """The runs without probe, each trained once."""
    known = {}

    def run(model, norm):
        if (model, norm) not in known:
            known[model, norm] = trained(model, norm, probe=None)[0]
        return known[model, norm]

    return run


PAIRS = [(model, norm) for model in MODELS for norm in NORMS if norm != "instance" or model == "vgg"]
"""InstanceNorm needs positions, which vectors have not."""


@pytest.mark.parametrize(("model", "norm"), PAIRS, ids=str)
@pytest.mark.parametrize("probe", PROBES)
def test_a_run_with_the_probe_is_bit_identical(probe, norm, model, undisturbed):
    after, measured = trained(model, norm, probe)
    before = undisturbed(model, norm)
    assert measured > 0
    for what in before:
        assert same(before[what], after[what]), what


class _Polluting(Probe):
    """Breaks one rule of the house: what the test above must catch."""

    def __init__(self, model, how):
        super().__init__(every=1)
        self.model, self.how = model, how

    def measure(self, view: StepView):
        if self.how == "running statistics":
            self.model(view.inputs + 1)
        if self.how == "gradients":
            view.loss_function(self.model(view.inputs), view.targets).backward()
        if self.how == "random stream":
            torch.rand(()), random.random(), np.random.rand()
        if self.how == "mode":
            self.model.layers["1"].norm.eval()
        if self.how == "parameters":
            with torch.no_grad():
                self.model.layers["1"].linear.weight.mul_(1 + 1e-6)
        yield from ()


RULES = {"running statistics": "model", "gradients": "gradients", "mode": "modes", "parameters": "model"}


@pytest.mark.parametrize(("how", "shows_in"), RULES.items())
def test_a_probe_that_breaks_the_rule_is_caught(how, shows_in, undisturbed):
    polluting = lambda model: _Polluting(model, how)  # noqa: E731
    after, _ = trained("vgg", "batch", None, make_probe=polluting, self_check=False)
    assert not same(undisturbed("vgg", "batch")[shows_in], after[shows_in])


@pytest.mark.parametrize("how", RULES)
def test_and_refused_before_a_row_is_written(how):
    with pytest.raises(UserError, match="changed by probe _Polluting; measuring must not touch what trains"):
        trained("vgg", "batch", None, make_probe=lambda model: _Polluting(model, how))


def test_a_probe_may_draw_from_the_global_streams(undisturbed):
    after, _ = trained("vgg", "batch", None, make_probe=lambda model: _Polluting(model, "random stream"))
    before = undisturbed("vgg", "batch")
    assert all(same(before[what], after[what]) for what in before)
