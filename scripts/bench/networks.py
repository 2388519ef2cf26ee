"""The networks that are timed: the paper's two at a scale, on made-up images of CIFAR-10's shape."""

import copy
from dataclasses import dataclass, replace

from torch import nn

from bench.timing import Clock, clock_of
from normscape.build import build, device_of
from normscape.components import build_optimizer
from normscape.config import RunConfig, compose_run
from normscape.loop import Batches, Plan, State
from normscape.observing.observer import Observer
from normscape.seeds import seed_layer_noise
from normscape.view import StepView

ALONE = ["device=cpu", "tracker=none", "arithmetic=plain"]
NETS = {
    "VGG, 1/8 width": ["run=vgg_batch", "scale=laptop", "data=synthetic", "data.train_images=8192"],
    "DLN": ["run=dln_batch", "scale=laptop"],
}
"""What is timed unless a question says otherwise: the networks with BatchNorm, at the cadences of their scale."""
RESIDUAL_NAME = "ResNet-18"
RESIDUAL = ["run=vgg_batch", "model=resnet18", "probe=[]", "scale=laptop", "data=synthetic", "data.train_images=1024"]
"""A network that is no chain, whose layers cannot share their walks: torchvision's ResNet-18, on images of 32 x 32."""


@dataclass
class Net:
    """A network in training.

    Attributes
    ----------
    name, config
        What it is called, and what it is made from.
    plan, state
        What it is trained on, without probes and test set, and how far it is.
    """

    name: str
    config: RunConfig
    plan: Plan
    state: State

    @classmethod
    def of(cls, name: str, *overrides: str) -> "Net":
        """Build one of `NETS`, or another from overrides alone."""
        config = compose_run([*NETS.get(name, []), *ALONE, *overrides])
        made = build(config, device_of(config))
        data = replace(made.plan.dataset, test=None)
        return cls(name, config, replace(made.plan, dataset=data, self_check=False, steps=10**9), made.state)

    @property
    def clock(self) -> Clock:
        """What its work is timed by."""
        return clock_of(device_of(self.config))

    def bare(self) -> Plan:
        """Return the plan without probes."""
        return replace(self.plan, probes=())

    def fresh(self) -> State:
        """Return a copy of the state, to be trained apart."""
        model = copy.deepcopy(self.state.model)
        return State(model, build_optimizer(self.config, model))

    def step(self) -> tuple[nn.Module, StepView]:
        """Take a step, and return the network as it was before it and the view of it.

        It counts as a later one than the first that is measured, at which probes check more.
        """
        state, plan, step = self.fresh(), self.plan, 1
        before = copy.deepcopy(state.model)
        observer = Observer(state.model, state.optimizer, plan.loss_function, (), plan.seed)
        inputs, targets = Batches(plan.dataset, plan.seed, plan.batch_size).at(step)
        seed_layer_noise(plan.seed, step)
        opened = observer.open(step, (inputs,), targets)
        loss = plan.loss_function(state.model.train()(inputs), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        opened.before_update()
        state.optimizer.step()
        return before.train(), replace(opened.close(loss), first=False)
