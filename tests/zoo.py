"""What users bring: classes that break one assumption each, and odd ones that are right."""

import itertools
import random
from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

import passes
from normscape.models import MLP, Layer, LayeredModel
from normscape.norms import BatchNorm, Standard
from normscape.probes import Probe
from normscape.storage.records import Row, Snapshot


class PlainStatistics(nn.Module):
    """Normalises by running statistics that are plain attributes, no buffers."""

    def __init__(self, features):
        super().__init__()
        self.mean, self.size, self.seen = torch.zeros(features), torch.ones(features), 0

    def forward(self, x):
        axes = (0, *range(2, x.dim()))
        if self.training:
            self.mean = 0.7 * self.mean + 0.3 * x.detach().mean(axes)
            self.size.mul_(0.7).add_(0.3 * x.detach().abs().mean(axes))
            self.seen += 1
        shape = (1, -1) + (1,) * (x.dim() - 2)
        return (x - self.mean.view(shape)) / (self.size.view(shape) + 0.1 + 0.01 * self.seen)


class ReassignedBuffer(BatchNorm):
    """Gives its buffers new tensors instead of writing into them, and one of them is not in the state dict."""

    def __init__(self, features):
        super().__init__(features)
        self.register_buffer("level", torch.zeros(features), persistent=False)

    def forward(self, x):
        if self.training:
            self.level = 0.9 * self.level + 0.1 * x.detach().mean((0, *range(2, x.dim())))
        return super().forward(x) + 0.1 * self.level.view((1, -1) + (1,) * (x.dim() - 2))


class NumpyStatistics(nn.Module):
    """Keeps what changes in an object that no checkpoint holds."""

    def __init__(self, features):
        super().__init__()
        self.history = np.zeros(2)

    def forward(self, x):
        self.history = self.history + float(x.detach().mean())
        return x + 0.01 * float(self.history[0])


class ActNorm(nn.Module):
    """Sets its scale and shift from the first batch it sees (Kingma & Dhariwal 2018); the flag is a plain attribute."""

    def __init__(self, features):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(features)), nn.Parameter(torch.zeros(features))
        self.initialised = False

    def forward(self, x):
        shape = (1, -1) + (1,) * (x.dim() - 2)
        if not self.initialised and self.training:
            with torch.no_grad():
                values = x.movedim(1, -1).flatten(0, -2)
                self.weight.copy_(1 / (values.std(0) + 1e-3))
                self.bias.copy_(-values.mean(0) * self.weight)
            self.initialised = True
        return x * self.weight.view(shape) + self.bias.view(shape)


class DrawsWhenMade(nn.Module):
    """Draws in its constructor, from every global stream."""

    def __init__(self, features):
        super().__init__()
        drawn = torch.randn(features) + random.random() + np.random.rand()
        self.register_buffer("scale", 1 + 0.1 * drawn)

    def forward(self, x):
        return x * self.scale.view((1, -1) + (1,) * (x.dim() - 2))


class ForeignNoise(nn.Module):
    """Draws in its forward pass from NumPy's and Python's streams."""

    def __init__(self, features):
        super().__init__()

    def forward(self, x):
        if not self.training:
            return x
        return x * (1 + 0.1 * np.random.rand()) + 0.1 * random.random()


class OwnGenerator(nn.Module):
    """Draws from a generator of its own, which is part of its state."""

    def __init__(self, features):
        super().__init__()
        self.generator = torch.Generator().manual_seed(3)

    def forward(self, x):
        return x + 0.1 * torch.randn(x.shape[1], generator=self.generator, dtype=x.dtype).view(
            (1, -1) + (1,) * (x.dim() - 2)
        )


class ClassCounter(nn.Module):
    """Depends on how often any of its kind has run: state that is not in the network at all."""

    passes = 0

    def __init__(self, features):
        super().__init__()

    def forward(self, x):
        ClassCounter.passes += 1
        return x * (1 + 0.1 * (ClassCounter.passes % 7))


class HiddenNoise(nn.Module):
    """Draws from a generator that nobody can see."""

    def __init__(self, features):
        super().__init__()

    def forward(self, x, counter=itertools.count()):  # noqa: B008
        return x * (1 + 0.05 * (next(counter) % 11))


class Progress:
    """Counts, for all norms of a file."""

    step = 0

    def __init__(self):
        self.step = 0


PROGRESS, PASSES = Progress(), itertools.count()


class WarmsUpByObject(BatchNorm):
    """Changes its formula once an object of its file has counted some passes, long after the first step."""

    def forward(self, x):
        PROGRESS.step += 1
        return super().forward(x if PROGRESS.step < 40 else x.sin())


class WarmsUpByIterator(BatchNorm):
    """The same by an iterator of its file."""

    def forward(self, x):
        return super().forward(x if next(PASSES) < 40 else x.sin())


class WarmsUpByOtherFile(BatchNorm):
    """The same by a number in another file."""

    def forward(self, x):
        passes.COUNT += 1
        return super().forward(x if passes.COUNT < 40 else x.sin())


def _warm_up_in_closure():
    counts = [0]

    class WarmsUpInClosure(BatchNorm):
        """The same by a list that its method has from the function that made it."""

        def forward(self, x):
            counts[0] += 1
            return super().forward(x if counts[0] < 40 else x.sin())

    return WarmsUpInClosure


WarmsUpInClosure = _warm_up_in_closure()


class RunningWithoutGradient(BatchNorm):
    """Takes batch statistics only where a gradient is recorded."""

    def forward(self, x):
        self.training = torch.is_grad_enabled()
        return super().forward(x)


class AnnealedLoss:
    """Weighs the loss by how often it was called, which it keeps in a dictionary; its log is no fault."""

    def __init__(self):
        self.state, self.log = {"calls": 0}, []

    def __call__(self, outputs, targets):
        self.state["calls"] += 1
        self.log.append(self.state["calls"])
        return nn.functional.cross_entropy(outputs, targets) * (1.0 if self.state["calls"] < 40 else 0.1)


class DepthNorm(BatchNorm):
    """Divides by the depth at which it runs, which the norms of a network count together in each pass."""

    def __init__(self, features, shared):
        super().__init__(features)
        self.shared = shared

    def forward(self, x):
        self.shared["depth"] = self.shared["depth"] % 3 + 1
        return super().forward(x) / self.shared["depth"]


def per_feature(values, x):
    return values.view((1, -1) + (1,) * (x.dim() - 2))


class ScalesInTraining(Standard):
    """Does more than set the mode when the mode is set."""

    def __init__(self, features):
        super().__init__(features)
        self.scale = 1.0

    def train(self, mode=True):
        super().train(mode)
        self.scale = 1.0 if mode else 0.25
        return self

    def forward(self, x):
        return self.scale * x


class LambdaNorm(nn.Module):
    """Calls a part of itself through a lambda."""

    def __init__(self, features):
        super().__init__()
        self.inner = BatchNorm(features)
        self.call = lambda x: self.inner(x)

    def forward(self, x):
        return self.call(x)


class AliasList(nn.Module):
    """Reaches its buffer through a list."""

    def __init__(self, features):
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.statistics = [self.mean]

    def forward(self, x):
        if self.training:
            self.statistics[0].lerp_(x.detach().mean((0, *range(2, x.dim()))), 0.5)
        return x - per_feature(self.mean, x)


class BoundMethod(Standard):
    """Keeps a method of its own in an attribute."""

    def __init__(self, features):
        super().__init__(features)
        self.call = self.twice

    def twice(self, x):
        return 2 * x

    def forward(self, x):
        return self.call(x)


class AlwaysNoisy(Standard):
    """Draws in evaluation too."""

    def forward(self, x):
        return x + 0.5 * np.random.rand() + 0.5 * float(torch.rand(()))


FILE_STATISTICS = {}


class FileStatistics(Standard):
    """Keeps its statistics in its file."""

    def forward(self, x):
        if self.training:
            FILE_STATISTICS["mean"] = 0.5 * FILE_STATISTICS.get("mean", 0.0) + 0.5 * float(x.detach().mean())
            return x - x.mean()
        return x - FILE_STATISTICS.get("mean", 0.0)


class LateBuffer(Standard):
    """Has a buffer only once it has run."""

    def forward(self, x):
        if self.training and not hasattr(self, "mean"):
            self.register_buffer("mean", x.detach().mean(0))
        return x


class LambdaState(Standard):
    """Keeps its state in an object that nothing can pickle."""

    def __init__(self, features):
        super().__init__(features)
        self.state = SimpleNamespace(shift=lambda x: x, seen=0.0)

    def forward(self, x):
        self.state.seen += float(x.detach().mean())
        return self.state.shift(x) + 0.1 * self.state.seen


class UnusedHead(nn.Module):
    """Has a linear map that does not take part."""

    def __init__(self):
        super().__init__()
        self.first, self.unused, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 4), nn.Linear(4, 10)

    def forward(self, x):
        return self.head(torch.relu(self.first(x)).mean((2, 3)))


class GrowsLater(MLP):
    """Runs one layer more from its third pass on."""

    def __init__(self):
        super().__init__(12, [8, 8, 8], 10, Standard)
        self.passes = 0

    def forward(self, x):
        self.passes += 1
        first, second, third, last = self.layers.values()
        x = second(first(x))
        return last(third(x) if self.passes > 2 else x)


class ClampsGradient(MLP):
    """Changes a gradient on its way."""

    def __init__(self):
        super().__init__(12, [8, 8], 10, Standard)
        self.layers["1"].linear.weight.register_hook(lambda gradient: gradient.clamp(-0.05, 0.05))


class NoPlace(nn.Sequential):
    """Takes a normalisation and uses none."""

    def __init__(self, norm):
        super().__init__(nn.Flatten(), nn.Linear(3 * 32 * 32, 8), nn.ReLU(), nn.Linear(8, 10))


class NeverCalls(nn.Module):
    """Makes normalisations and calls none."""

    def __init__(self, norm):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 8), nn.ReLU(), nn.Linear(8, 10))
        self.norms = nn.ModuleList([norm(8), norm(8)])

    def forward(self, inputs):
        return self.layers(inputs)


class Counted(Standard):
    """Depends on how many of its kind were made before it."""

    made = 0

    def __init__(self, features):
        super().__init__(features)
        self.index = Counted.made
        Counted.made += 1

    def forward(self, x):
        return x * (1 + 0.1 * self.index)


class NeedsNumbers(Standard):
    """Calls .item() when it is made, which the meta device cannot."""

    def __init__(self, features):
        super().__init__(features)
        self.size = torch.ones(features).sum().item()


class Doubled(nn.Module):
    """A norm inside a norm, named in its config."""

    def __init__(self, features, inner):
        super().__init__()
        self.inner = inner(features)

    def forward(self, x):
        return self.inner(x)


class InPlaceMLP(LayeredModel):
    """A chain whose nonlinearities write into what they are given."""

    def __init__(self, norm=Standard, inputs=12, units=8, outputs=10):
        sizes = [inputs, units, units]
        layers = [
            Layer(nn.Linear(a, b), norm(b), nn.Flatten(), nn.ReLU(inplace=True)) for a, b in itertools.pairwise(sizes)
        ]
        super().__init__([*layers, Layer(nn.Linear(units, outputs), nn.Identity())])


class SharedNormMLP(LayeredModel):
    """Two layers with one norm module."""

    def __init__(self, norm=BatchNorm, inputs=12, units=8, outputs=10):
        shared = norm(units)
        super().__init__(
            [
                Layer(nn.Linear(inputs, units), shared, nn.Flatten(), nn.Tanh()),
                Layer(nn.Linear(units, units), shared, after=nn.Tanh()),
                Layer(nn.Linear(units, outputs), nn.Identity()),
            ]
        )


class ResidualMLP(MLP):
    """Layers 2 and 3 each add their input: no chain."""

    def __init__(self, norm=BatchNorm, inputs=12, units=8, outputs=10):
        super().__init__(inputs, [units, units, units], outputs, norm)

    def forward(self, x):
        first, second, third, last = self.layers.values()
        x = first(x)
        x = x + second(x)
        x = x + third(x)
        return last(x)


class FrozenMLP(MLP):
    """Its second layer does not train."""

    def __init__(self, norm=BatchNorm, inputs=12, units=8, outputs=10):
        super().__init__(inputs, [units, units], outputs, norm)
        self.layers["2"].linear.weight.requires_grad_(False)
        self.layers["1"].linear.bias.requires_grad_(False)


class PlainNet(nn.Module):
    """No LayeredModel: convolution, norm, nonlinearity in place, dropout, linear map."""

    def __init__(self, norm=None, classes=10):
        super().__init__()
        make = norm or nn.BatchNorm2d
        self.first, self.norm, self.second = nn.Conv2d(3, 6, 3), make(6), nn.Conv2d(6, 5, 3)
        self.drop, self.head = nn.Dropout(0.4), nn.Linear(5, classes)

    def forward(self, x):
        x = torch.relu_(self.norm(self.first(x)))
        x = torch.relu(self.second(x)).mean((2, 3))
        return self.head(self.drop(x))


class NoisyLater(PlainNet):
    """Draws, from its third pass on, from a stream of its class that nothing restores."""

    stream = np.random.default_rng(0)

    def __init__(self, norm=None):
        super().__init__(norm)
        self.register_buffer("passes", torch.zeros(()))

    def forward(self, x):
        if self.training:
            self.passes += 1
        noisy = self.training and float(self.passes) > 2
        return super().forward(x * (1 + self.stream.normal()) if noisy else x)


class MovesItsTeacher(nn.Module):
    """Averages its weights into parameters of a teacher in its forward pass; at first they are equal."""

    def __init__(self, norm=None):
        super().__init__()
        self.pupil, self.teacher = PlainNet(norm), PlainNet(norm)
        self.teacher.load_state_dict(self.pupil.state_dict())
        self.teacher.requires_grad_(False)

    def forward(self, x):
        if self.training:
            with torch.no_grad():
                for mine, own in zip(self.teacher.parameters(), self.pupil.parameters(), strict=True):
                    mine.lerp_(own, 0.1)
        return self.pupil(x) + self.teacher(x)


class CallsForward(PlainNet):
    """Calls the forward of its last layer instead of the layer."""

    def forward(self, x):
        x = torch.relu(self.second(torch.relu(self.norm(self.first(x))))).mean((2, 3))
        return self.head.forward(x)


class HidesBatchNorm(nn.Module):
    """Keeps a module where no state dict looks."""

    def __init__(self, features):
        super().__init__()
        self.inner = [nn.BatchNorm1d(features, affine=False)]

    def forward(self, x):
        return self.inner[0](x)


class HidesParameter(nn.Module):
    """Keeps a parameter where no state dict looks, and changes it."""

    def __init__(self, features):
        super().__init__()
        self.means = {"mean": nn.Parameter(torch.zeros(features), requires_grad=False)}

    def forward(self, x):
        self.means["mean"].data.lerp_(x.detach().mean(0), 0.1)
        return x - self.means["mean"]


class ReshapesLater(nn.Module):
    """Gives a buffer another shape in its fifth pass."""

    def __init__(self, features):
        super().__init__()
        self.register_buffer("passes", torch.zeros(1))

    def forward(self, x):
        self.passes = self.passes + 1 if self.passes[0] < 4 else torch.zeros(2)
        return x


class HeadOnly(torch.optim.SGD):
    """Holds the last two parameters alone."""

    def __init__(self, params, lr=0.1, weight_decay=0.0):
        super().__init__(list(params)[-2:], lr=lr, weight_decay=weight_decay)


class CountsByName(torch.optim.SGD):
    """Keeps a count of its steps in its state, which belongs to no parameter, and goes by it."""

    def step(self, closure=None):
        self.state["steps"] = self.state.get("steps", 0) + 1
        for group in self.param_groups:
            group["lr"] = 0.1 / self.state["steps"]
        super().step(closure)


def counting_schedule(optimizer):
    """Make a schedule whose function counts its calls."""
    calls = 0

    def factor(step):
        nonlocal calls
        calls += 1
        return 1 / calls

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def halving_schedule(optimizer):
    """Make a schedule whose function encloses a constant and the optimiser."""
    factors = [0.5]
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: factors[0] ** step if optimizer else 1.0)


class TupleNet(PlainNet):
    """Gives two things."""

    def forward(self, x):
        return super().forward(x), x


class TupleInEvaluation(PlainNet):
    """Gives two things where it does not train."""

    def forward(self, x):
        return super().forward(x) if self.training else (super().forward(x), x)


class ComplexScale(nn.Module):
    """Has complex weights."""

    def __init__(self, features):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(features, dtype=torch.complex64))

    def forward(self, x):
        return (x * self.scale).abs()


class LazyNorm(nn.Sequential):
    """Its weights have no shape until it has run."""

    def __init__(self, features):
        super().__init__(nn.LazyBatchNorm1d())


class LazyNet(nn.Module):
    """Its weights have no shape until it has run."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.LazyLinear(10))

    def forward(self, x):
        return self.net(x)


class DecaysItself(torch.optim.SGD):
    """Changes its learning rate inside step(), after the update."""

    def step(self, closure=None):
        super().step(closure)
        for group in self.param_groups:
            group["lr"] *= 0.5


class DecaysFirst(torch.optim.SGD):
    """Changes its learning rate inside step(), before it uses it."""

    def step(self, closure=None):
        for group in self.param_groups:
            group["lr"] *= 0.5
        super().step(closure)


class CountsItself(torch.optim.SGD):
    """Keeps its step count where no state dict looks."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, lr=lr)
        self.taken = 0

    def step(self, closure=None):
        super().step(closure)
        self.taken += 1
        for group in self.param_groups:
            group["lr"] = 0.1 / (1 + self.taken)


class CountsFirst(CountsItself):
    """Counts, and changes its learning rate by the count, before it uses it: its first step is like any other's."""

    def step(self, closure=None):
        self.taken += 1
        for group in self.param_groups:
            group["lr"] = 0.1 / self.taken
        torch.optim.SGD.step(self, closure)


class Groups(torch.optim.SGD):
    """Makes its own groups: biases and scales without weight decay."""

    def __init__(self, params, lr=0.1, weight_decay=0.0):
        params = list(params)
        plain, decayed = [p for p in params if p.dim() < 2], [p for p in params if p.dim() > 1]
        super().__init__(
            [{"params": decayed}, {"params": plain, "weight_decay": 0.0}], lr=lr, weight_decay=weight_decay
        )


class Accumulates(torch.optim.SGD):
    """Clears its gradients at every second step only."""

    cleared = False

    def zero_grad(self, set_to_none=True):
        self.cleared = not self.cleared
        if self.cleared:
            super().zero_grad(set_to_none)


class ByAddress(torch.optim.SGD):
    """Keeps its state by the addresses of parameters."""

    def __init__(self, params, lr=0.1, weight_decay=0.0):
        super().__init__(params, lr=lr, weight_decay=weight_decay)
        self.memory = {}

    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                self.memory[id(p)] = 0.5 * self.memory.get(id(p), 0.0) + float(p.grad.sum())
        super().step(closure)


class FineAverage(torch.optim.Optimizer):
    """Averages gradients in double precision."""

    def __init__(self, params, lr=0.1, weight_decay=0.0):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                state["average"] = 0.9 * state.get("average", torch.zeros_like(p.double())) + p.grad.double() / 3
                p.sub_(group["lr"] * (state["average"] + group["weight_decay"] * p))


class RandomLoss(nn.Module):
    """Smooths its labels by a random amount."""

    def forward(self, outputs, targets):
        return nn.functional.cross_entropy(outputs, targets, label_smoothing=0.5 * float(torch.rand(())))


class CountingLoss(nn.Module):
    """Weighs the loss by how often it was called."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, outputs, targets):
        self.calls += 1
        return nn.functional.cross_entropy(outputs, targets) * (1 + 0.1 * self.calls)


class WeightyLoss(nn.Module):
    """Has a weight of its own."""

    def __init__(self):
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(()))

    def forward(self, outputs, targets):
        return nn.functional.cross_entropy(outputs / self.temperature, targets)


def no_module():
    return 3


def unreduced(outputs, targets):
    return nn.functional.cross_entropy(outputs, targets, reduction="none")


class YieldsTuple(Probe):
    def measure(self, view):
        yield (view.step, "mine", None, None, 1.0)


class YieldsRunsOwn(Probe):
    def measure(self, view):
        yield Row(view.step, "train_loss", None, None, 1.0)


class YieldsTwice(Probe):
    def measure(self, view):
        yield Row(view.step, "mine", 1, None, 1.0)
        yield Row(view.step, "mine", 1, None, 2.0)


class YieldsColliding(Probe):
    """Of two arrays of one name, arrays.npz would have the last. It says nothing of when: each step, then."""

    def __init__(self, quantity, layer=None):
        self.quantity, self.layer = quantity, layer

    def measure(self, view):
        yield Snapshot(view.step, "mine", None, torch.ones(1))
        yield Snapshot(view.step, self.quantity, self.layer, torch.ones(1))


class YieldsText(Probe):
    def measure(self, view):
        yield Row(view.step, "mine", None, None, "many")


class YieldsNothing(Probe):
    def measure(self, view):
        return None


class YieldsGrowing(Probe):
    def measure(self, view):
        yield Snapshot(view.step, "mine", None, torch.zeros(view.step + 1))


class Remembers(Probe):
    def measure(self, view):
        self.total = getattr(self, "total", 0.0) + view.loss.item()
        yield Row(view.step, "mine", None, None, self.total)


class YieldsTensor(Probe):
    """Right: a number is a number."""

    def measure(self, view):
        yield Row(view.step, "mine", None, None, view.loss)


class WritesIntoView(Probe):
    def measure(self, view):
        for p in view.updated.values():
            p.mul_(2.0)
        yield from ()


class AsksForPart(Probe):
    def measure(self, view):
        name = next(iter(view.parameters))
        yield Row(view.step, "mine", None, None, view.loss_at({name: view.parameters[name]}).item())


class NoProbe:
    def __init__(self, every=1):
        self.every = every


class WeightedLoss(nn.Module):
    """Cross-entropy with a weight for each class, as a buffer."""

    def __init__(self):
        super().__init__()
        self.register_buffer("weights", torch.linspace(0.5, 1.5, 10))

    def forward(self, outputs, targets):
        return nn.functional.cross_entropy(outputs, targets, self.weights)
