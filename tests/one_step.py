"""One optimisation step of a small network, taken as the loop takes it: what the tests of view and probes look at."""

import torch
from torch import nn

from normscape.models import DLN, MLP, VGG, glorot_
from normscape.norms import BatchNorm, LpNorm, NoisyBatchNorm, NoisyStandard, Standard
from normscape.view import StepStart, seed_layer_noise

NORMS = [Standard, BatchNorm, NoisyBatchNorm, NoisyStandard, lambda n: LpNorm(n, 1), lambda n: LpNorm(n, "inf")]
MODELS = {
    "vgg": (lambda norm: VGG(norm, depth="A", width=0.03125), (6, 3, 32, 32)),
    "mlp": (lambda norm: MLP(12, [5, 4], 10, norm), (6, 3, 2, 2)),
    "dln": (lambda norm: DLN(norm, depth=4, features=10), (6, 10)),
}


def step(model, shape, *, at=3, lr=0.1, dtype=torch.float64, weight_decay=0.01, loss_function=None, **options):
    """Take one optimisation step as the loop does and return its view; ``options`` are SGD's."""
    model = model.to(dtype)
    glorot_(model, seed=0)
    model.train()
    inputs = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=dtype)
    targets = torch.arange(shape[0]) % 10
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, weight_decay=weight_decay, **options)
    start = StepStart.open(at, 0, model, loss_function or nn.CrossEntropyLoss(), inputs, targets)
    seed_layer_noise(0, at)
    loss = start.loss_function(model(inputs), targets)
    optimizer.zero_grad()
    loss.backward()
    gradient = start.copied_gradient()
    optimizer.step()
    return start.close(loss, gradient, learning_rate=lr)
