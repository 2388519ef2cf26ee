"""One optimisation step of a small network, taken as the loop takes it: what the tests of view and probes look at."""

import copy
from weakref import WeakKeyDictionary

import torch
from torch import nn

from normscape.models import DLN, MLP, VGG, LayeredModel, glorot_
from normscape.norms import BatchNorm, LpNorm, NoisyBatchNorm, NoisyStandard, Standard
from normscape.observing.observer import Observer
from normscape.seeds import seed_layer_noise

NORMS = [Standard, BatchNorm, NoisyBatchNorm, NoisyStandard, lambda n: LpNorm(n, 1), lambda n: LpNorm(n, "inf")]
MODELS = {
    "vgg": (lambda norm: VGG(norm, configuration="A", width=0.03125), (6, 3, 32, 32)),
    "mlp": (lambda norm: MLP(12, [5, 4], 10, norm), (6, 3, 2, 2)),
    "dln": (lambda norm: DLN(norm, depth=4, features=10), (6, 10)),
}

BEFORE = WeakKeyDictionary()
"""The network as it was before the step of each view."""


def step(model, shape, *, at=3, lr=0.1, dtype=torch.float64, weight_decay=0.01, loss_function=None, **options):
    """Take one optimisation step as the loop does and return its view; ``options`` are SGD's."""
    model = model.to(dtype)
    if isinstance(model, LayeredModel):
        glorot_(model, seed=0)
    model.train()
    inputs = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=dtype)
    targets = torch.arange(shape[0]) % 10
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, weight_decay=weight_decay, **options)
    observer = Observer(model, optimizer, loss_function or nn.CrossEntropyLoss(), (), seed=0)
    before = copy.deepcopy(model)
    seed_layer_noise(0, at)
    opened = observer.open(at, (inputs,), targets)
    loss = observer.loss_function(model(inputs), targets)
    optimizer.zero_grad()
    loss.backward()
    opened.before_update()
    optimizer.step()
    view = opened.close(loss)
    BEFORE[view] = before
    return view


def network_at(view, parameters):
    """Build what the step's network was before it, at another point; independent of the view's own twin."""
    model = copy.deepcopy(BEFORE[view])
    model.load_state_dict(dict(parameters), strict=False)
    return model


def twin_of(view):
    """Return the network on which the view works."""
    return view.replay.replica.twin
