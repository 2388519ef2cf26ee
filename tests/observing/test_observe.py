"""The probes in a loop of one's own: equal to brute-force twins on any network, traceless, or refused in a line."""

import copy
import functools
import math
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torchvision
from torch import nn
from torch.nn.utils import parametrizations

import normscape
import zoo
from normscape.errors import UserError

PROBES = [
    normscape.InternalCovariateShift("all", every=2),
    normscape.Landscape([0.5, 4.0], every=1),
    normscape.Landscape([1.0], every=2, direction="random"),
    normscape.Activations("all", every=2),
]


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.05, weight_decay=0.01)


def duplicate(net):
    """Copy a network, also one that holds a weight computed from others (weight_norm of old), which copy refuses."""
    computed = [
        (m, n, v) for m in net.modules() for n, v in vars(m).items() if isinstance(v, torch.Tensor) and v.grad_fn
    ]
    for module, name, tensor in computed:
        vars(module)[name] = tensor.detach()
    made = copy.deepcopy(net)
    for module, name, tensor in computed:
        vars(module)[name] = tensor
    return made


class Loop:
    """A plain loop of somebody's, on its own random batches; notes copies of everything before and after each step."""

    def __init__(self, make, optimizer=sgd, loss=None, size=8, samples=6, dtype=torch.float64, compiled=False):
        torch.manual_seed(0)
        self.net = make().to(dtype)
        self.model = torch.compile(self.net) if compiled else self.net
        self.optimizer = optimizer(list(self.net.parameters()))
        self.loss = loss or nn.CrossEntropyLoss()
        self.size, self.samples, self.dtype = size, samples, dtype
        self.before, self.after, self.streams, self.batches = [], [], [], []
        self.lr = self.optimizer.param_groups[0]["lr"]

    def update(self, x, y):
        self.optimizer.zero_grad()
        self.loss(self.model(x), y).backward()
        self.optimizer.step()

    def run(self, probes, steps=3):
        data = torch.Generator().manual_seed(1)
        torch.manual_seed(2)
        with normscape.observe(self.model, self.optimizer, self.loss, probes) as seen:
            for _ in range(steps):
                x = torch.randn(self.samples, 3, self.size, self.size, generator=data, dtype=self.dtype)
                y = torch.randint(10, (self.samples,), generator=data)
                self.before.append(duplicate(self.net))
                self.streams.append(torch.get_rng_state())
                self.batches.append((x, y))
                with seen.step(y):
                    self.update(x, y)
                self.after.append({name: p.detach().clone() for name, p in self.net.named_parameters()})
        return seen.table()

    def gradient(self, step, moved):
        """Differentiate a copy of the network before the step, some of whose parameters are moved."""
        net = duplicate(self.before[step])
        with torch.no_grad():
            for name, p in net.named_parameters():
                p.copy_(moved.get(name, p))
        kept = torch.get_rng_state()
        torch.set_rng_state(self.streams[step])
        loss = self.loss(net(self.batches[step][0]), self.batches[step][1])
        torch.set_rng_state(kept)
        loss.backward()
        return loss.item(), {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in net.named_parameters()}


def bits(net):
    return [t.clone() for t in (*net.state_dict().values(), *(p.grad for p in net.parameters() if p.grad is not None))]


def resnet():
    return torchvision.models.ResNet(torchvision.models.resnet.BasicBlock, [1, 1, 1, 1], num_classes=10)


def small_vgg():
    stages = [8, "M", 16, "M", 16, 16]
    features = torchvision.models.vgg.make_layers(stages, batch_norm=True)  # its ReLUs work in place
    return nn.Sequential(features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(16, 10))


def weight_normed():
    first, second = parametrizations.weight_norm(nn.Conv2d(3, 5, 3)), parametrizations.weight_norm(nn.Linear(5, 10))
    return nn.Sequential(first, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), second)


def old_weight_normed():
    with pytest.warns(FutureWarning):
        second = nn.utils.weight_norm(nn.Conv2d(5, 5, 3))
    return nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), second, nn.Flatten(), nn.LazyLinear(10))


def spectral():
    return nn.Sequential(
        nn.Conv2d(3, 5, 3), nn.Flatten(), parametrizations.spectral_norm(nn.Linear(180, 8)), nn.Tanh(), nn.Linear(8, 10)
    )


def tied():
    shared = nn.Linear(12, 12)
    return nn.Sequential(
        nn.Conv2d(3, 3, 7), nn.Flatten(), shared, nn.ReLU(), nn.Linear(12, 12), shared, nn.Linear(12, 10)
    )


def tied_weights():
    net = nn.Sequential(
        nn.Conv2d(3, 3, 7), nn.Flatten(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 12), nn.Linear(12, 10)
    )
    net[4].weight = net[2].weight
    return net


def attention():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.patch = nn.Conv2d(3, 8, 4, 4)
            self.position = nn.Parameter(torch.randn(4, 8) * 0.1)
            self.block = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.2, batch_first=True)
            self.head = nn.Linear(8, 10)

        def forward(self, x):
            tokens = self.patch(x).flatten(2).mT + self.position
            return self.head(self.block(tokens).mean(1))

    return Net()


def recurrent():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.read, self.head = nn.LSTM(24, 7, batch_first=True), nn.Linear(7, 10)

        def forward(self, x):
            return self.head(self.read(x.flatten(1, 2).mT.reshape(len(x), 8, 24))[0][:, -1])

    return Net()


def chain():
    return normscape.VGG(normscape.NoisyBatchNorm, configuration="A", width=1 / 32)


NETWORKS = {
    "ResNet": resnet,
    "VGG of torchvision's": small_vgg,
    "plain, with dropout": zoo.PlainNet,
    "weight_norm": weight_normed,
    "weight_norm, old": old_weight_normed,
    "spectral_norm": spectral,
    "a layer twice": tied,
    "tied weights": tied_weights,
    "attention": attention,
    "recurrent": recurrent,
    "our own chain": chain,
    "ActNorm": lambda: zoo.PlainNet(zoo.ActNorm),
    "plain statistics": lambda: zoo.PlainNet(zoo.PlainStatistics).double(),
    "own generator": lambda: zoo.PlainNet(zoo.OwnGenerator),
    "channels last": lambda: zoo.PlainNet().to(memory_format=torch.channels_last),
}
SIZES = {"our own chain": 32, "ResNet": 32}
EXPLICIT = {"plain statistics"}  # float32 attributes in a float64 network


def loop_on(network, **options):
    make = NETWORKS[network]
    if network == "weight_norm, old":
        make = lambda: _materialised(NETWORKS[network]())  # noqa: E731
    return Loop(make, size=SIZES.get(network, 8), **options)


def _materialised(net):
    net(torch.zeros(2, 3, 8, 8))
    return net


OPTIMIZERS = {
    "SGD": sgd,
    "Nesterov": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True, foreach=True),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.1),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.01),
}


def value(table, step, quantity, step_size=None, layer=None):
    rows = table[(table.step == step) & (table.quantity == quantity)]
    if step_size is not None:
        rows = rows[(rows.step_size - step_size).abs() < 1e-12]
    if layer is not None:
        rows = rows[rows.layer == layer]
    (found,) = rows.value
    return found


@pytest.mark.parametrize("network", NETWORKS)
def test_it_leaves_no_trace(network):
    observed, plain = loop_on(network), loop_on(network)
    table = observed.run(PROBES)
    plain.run([])
    assert len(table)
    for a, b in zip(bits(observed.net), bits(plain.net), strict=True):
        assert torch.equal(a, b)
    assert str(observed.optimizer.state_dict()) == str(plain.optimizer.state_dict())
    hooks = [len(m._forward_pre_hooks) + len(m._forward_hooks) for m in observed.net.modules()]
    assert hooks == [len(m._forward_pre_hooks) + len(m._forward_hooks) for m in plain.net.modules()]
    assert not any(p._post_accumulate_grad_hooks for p in observed.net.parameters())


@pytest.mark.parametrize("network", [name for name in NETWORKS if name != "ActNorm"])
def test_landscape_and_beta_equal_a_brute_force_twin(network):
    loop = loop_on(network)
    table = loop.run(PROBES)
    for step in (0, 2):
        point = dict(loop.before[step].named_parameters())
        loss, gradient = loop.gradient(step, {})
        g = {name: gradient[name] + 0.01 * p.detach() for name, p in point.items()}
        length, betas = math.hypot(*(float(t.norm()) for t in g.values())), []
        assert value(table, step, "gradient_norm") == pytest.approx(length, rel=1e-9)
        for s in (0.025, 0.2):
            moved = {name: p.detach() - s * g[name] for name, p in point.items()}
            loss, there = loop.gradient(step, moved)
            penalty = 0.005 * sum(float(p.square().sum()) for p in moved.values())
            distance = math.hypot(*(float((there[n] + 0.01 * moved[n] - g[n]).norm()) for n in g))
            assert value(table, step, "loss_landscape", s) == pytest.approx(loss + penalty, rel=1e-9)
            assert value(table, step, "gradient_difference", s) == pytest.approx(distance, rel=1e-8)
            betas.append(distance / (s * length))
        assert value(table, step, "effective_beta") == pytest.approx(max(betas), rel=1e-8)


EARLIER = {
    "ResNet": (
        "layer2.0.downsample.0",
        ["conv1", "bn1", "layer1", "layer2.0.conv1", "layer2.0.bn1", "layer2.0.conv2", "layer2.0.bn2"],
    ),
    "VGG of torchvision's": ("0.8", ["0.0", "0.1", "0.4", "0.5"]),
    "plain, with dropout": ("second", ["first", "norm"]),
    "weight_norm": ("4", ["0"]),
    "weight_norm, old": ("2", ["0"]),
    "spectral_norm": ("4", ["0", "2"]),
    "a layer twice": ("4", ["0", "2"]),
    "tied weights": ("5", ["0", "2", "4"]),
    "attention": ("head", ["patch", "position", "block"]),
    "recurrent": ("head", ["read"]),
    "our own chain": ("layers.5.linear", [f"layers.{n}" for n in range(1, 5)]),
}


@pytest.mark.parametrize("network", EARLIER)
def test_covariate_shift_equals_a_brute_force_twin(network):
    """Which parameters are earlier is written out by hand here."""
    path, earlier = EARLIER[network]
    loop = loop_on(network)
    table = loop.run(PROBES)
    _, before = loop.gradient(0, {})
    moved = {n: p for n, p in loop.after[0].items() if any(n == e or n.startswith(f"{e}.") for e in earlier)}
    _, after = loop.gradient(0, moved)
    weights = [name for name in before if name.startswith(f"{path}.") and "bias" not in name]
    assert weights
    if network not in ("ResNet", "our own chain"):
        assert len(weights) == (2 if network == "weight_norm" else 2 if network == "weight_norm, old" else 1)
    weights = weights[:1] if network == "our own chain" else weights
    a, b = (torch.cat([g[name].flatten() for name in weights]) for g in (before, after))
    assert value(table, 0, "ics_l2", layer=path) == pytest.approx(float((a - b).norm()), rel=1e-8, abs=1e-13)
    assert value(table, 0, "ics_gradient_norm", layer=path) == pytest.approx(float(a.norm()), rel=1e-9)
    first = table[(table.step == 0) & (table.quantity == "ics_l2")].iloc[0]
    assert (first.value == 0.0) == (network != "recurrent")  # where something that trains runs before the first layer
    if earlier:
        assert float((a - b).norm()) > 1e-12


def test_preactivations_are_what_enters_the_nonlinearity_though_it_works_in_place():
    loop = loop_on("VGG of torchvision's")
    table = loop.run([normscape.Activations(["0.4", "4"])], steps=1)
    net, (x, _) = copy.deepcopy(loop.before[0]), loop.batches[0]
    normed = nn.Sequential(*net[0][:6])(x).detach()  # conv, norm, ReLU, pool; conv, norm
    quantile = value(table, 0, "activation_quantile_05", layer="0.4")
    units = [float(torch.quantile(normed[:, unit].flatten(), 0.045)) for unit in range(16)]
    assert any(quantile == pytest.approx(unit, abs=1e-9) for unit in units)
    assert value(table, 0, "activation_quantile_05", layer="0.4") < -0.1  # no ReLU has been there


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimiser_s_own_update_is_what_is_looked_at(optimizer):
    loop = Loop(zoo.PlainNet, OPTIMIZERS[optimizer])
    table = loop.run(PROBES)
    _, before = loop.gradient(2, {})
    earlier = {n: p for n, p in loop.after[2].items() if n.startswith(("first", "norm"))}
    _, after = loop.gradient(2, earlier)
    distance = float((before["second.weight"] - after["second.weight"]).norm())
    assert value(table, 2, "ics_l2", layer="second") == pytest.approx(distance, rel=1e-8)
    plain = Loop(zoo.PlainNet, OPTIMIZERS[optimizer])
    plain.run([])
    assert all(torch.equal(a, b) for a, b in zip(bits(loop.net), bits(plain.net), strict=True))


def test_frozen_parameters_stay_where_they_are():
    def frozen():
        net = zoo.PlainNet()
        net.second.weight.requires_grad_(False)
        net.norm.bias.requires_grad_(False)
        return net

    loop = Loop(frozen)
    table = loop.run([normscape.Landscape([1e-9, 1.0]), normscape.InternalCovariateShift("all")], steps=1)
    assert value(table, 0, "gradient_difference", 5e-11) < 1e-6
    assert set(table[table.quantity == "ics_l2"].layer) == {"first", "head"}
    trains = {n: p.detach() for n, p in loop.before[0].named_parameters() if p.requires_grad}
    _, gradient = loop.gradient(0, {})
    g = {name: gradient[name] + 0.01 * p for name, p in trains.items()}
    moved = {name: p - 0.05 * g[name] for name, p in trains.items()}
    loss, _ = loop.gradient(0, moved)
    penalty = 0.005 * sum(float(p.square().sum()) for p in moved.values())
    assert value(table, 0, "loss_landscape", 0.05) == pytest.approx(loss + penalty, rel=1e-10)
    with pytest.raises(UserError, match="probe layer second: its weight is frozen"):
        Loop(frozen).run([normscape.InternalCovariateShift(["second"])])


def test_a_part_of_the_network_that_the_optimiser_does_not_train_stays_too():
    loop = Loop(zoo.PlainNet, lambda p: torch.optim.SGD(p[-2:], lr=0.05))
    table = loop.run([normscape.Landscape([1.0]), normscape.InternalCovariateShift("all")], steps=1)
    assert set(table[table.quantity == "ics_l2"].layer) == {"head"}
    _, gradient = loop.gradient(0, {})
    length = math.hypot(*(float(gradient[name].norm()) for name in ("head.weight", "head.bias")))
    assert value(table, 0, "gradient_norm") == pytest.approx(length, rel=1e-10)


def test_groups_with_their_own_weight_decay_are_respected():
    def groups(parameters):
        decayed, plain = [p for p in parameters if p.dim() > 1], [p for p in parameters if p.dim() < 2]
        return torch.optim.SGD([{"params": decayed, "weight_decay": 0.1}, {"params": plain}], lr=0.05)

    loop = Loop(zoo.PlainNet, groups)
    table = loop.run([normscape.Landscape([1.0])], steps=1)
    penalty = 0.05 * sum(float(p.detach().square().sum()) for p in loop.before[0].parameters() if p.dim() > 1)
    loss, _ = loop.gradient(0, {})
    assert value(table, 0, "objective") == pytest.approx(loss + penalty, rel=1e-12)
    after, _ = loop.gradient(0, loop.after[0])  # s = lr is plain gradient descent's own step
    penalty = 0.05 * sum(float(p.square().sum()) for p in loop.after[0].values() if p.dim() > 1)
    assert value(table, 0, "loss_landscape", 0.05) == pytest.approx(after + penalty, rel=1e-12)


def rates(parameters):
    return torch.optim.SGD([{"params": parameters[:2], "lr": 0.1}, {"params": parameters[2:]}], lr=0.05)


def test_groups_with_different_rates_need_absolute_step_sizes():
    with pytest.raises(UserError, match=r"the optimiser's are 0.05, 0.1; give a Landscape absolute step sizes"):
        Loop(zoo.PlainNet, rates).run([normscape.Landscape()])
    table = Loop(zoo.PlainNet, rates).run([normscape.Landscape(step_sizes=[0.3])], steps=1)
    assert value(table, 0, "loss_landscape", 0.3) > 0


def test_a_scheduler_s_rate_is_the_step_s_own():
    loop = Loop(zoo.PlainNet)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(loop.optimizer, 0.5)
    update = loop.update
    loop.update = lambda x, y: (update(x, y), scheduler.step())
    table = loop.run([normscape.Landscape([1.0])])
    assert table[table.quantity == "loss_landscape"].step_size.tolist() == [0.05, 0.025, 0.0125]


def test_clipping_is_part_of_the_update():
    class Clipped(Loop):
        def update(self, x, y):
            self.optimizer.zero_grad()
            self.loss(self.model(x), y).backward()
            nn.utils.clip_grad_norm_(self.net.parameters(), 0.01)
            self.optimizer.step()

    loop = Clipped(zoo.PlainNet)
    table = loop.run(PROBES)
    _, gradient = loop.gradient(2, {})
    length = math.hypot(
        *(
            float((g + 0.01 * p.detach()).norm())
            for g, p in zip(gradient.values(), loop.before[2].parameters(), strict=True)
        )
    )
    assert value(table, 2, "gradient_norm") == pytest.approx(length, rel=1e-9)
    assert length > 0.1


class Again(normscape.Probe):
    """How far the gradient at W(t), computed again, is from the step's own."""

    def measure(self, view):
        _, gradient = view.loss_and_gradient_at(view.parameters)
        off = max(float((gradient[name] - g).abs().max()) for name, g in view.gradient.items())
        yield normscape.Row(view.step, "off", None, None, off)


def test_mixed_precision_is_repeated_in_mixed_precision():
    class Mixed(Loop):
        def update(self, x, y):
            self.optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                loss = self.loss(self.model(x), y)
            loss.backward()
            self.optimizer.step()

    observed, plain = Mixed(zoo.PlainNet, dtype=torch.float32), Mixed(zoo.PlainNet, dtype=torch.float32)
    table = observed.run([Again(), normscape.Landscape([1.0]), normscape.InternalCovariateShift("all")])
    plain.run([])
    assert all(torch.equal(a, b) for a, b in zip(bits(observed.net), bits(plain.net), strict=True))
    off = table[table.quantity == "off"]
    assert len(off) == 3
    assert (off.value == 0).all()
    assert (table[(table.quantity == "ics_l2") & (table.layer == "first")].value == 0).all()
    assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize("how", ["wrapped", "in place"])
def test_a_compiled_network_is_measured_uncompiled(how):
    def net():
        torch.manual_seed(3)
        made = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
        if how == "in place":
            made.compile(backend="eager")
        return made

    loop = Loop(net, dtype=torch.float32)
    if how == "wrapped":
        loop.model = torch.compile(loop.net, backend="eager")
    table = loop.run([normscape.InternalCovariateShift("all"), normscape.Landscape([1.0])])
    assert set(table.layer.dropna()) == {"0", "4"}
    plain = Loop(net, dtype=torch.float32)
    plain.net = plain.model = net()
    twin = table[(table.quantity == "ics_l2") & (table.layer == "0")]
    assert (twin.value == 0).all()


class Refusing(Loop):
    """Makes one mistake."""

    how = ""

    def update(self, x, y):
        model, optimizer = self.model, self.optimizer
        if self.how != "leftover":
            optimizer.zero_grad()
        if self.how == "evaluation":
            model.eval()
        loss = self.loss(model(x), y)
        if self.how == "scaled":
            loss = 1024 * loss
        if self.how == "other loss":
            loss = nn.functional.cross_entropy(model(x), y, label_smoothing=0.5) + 0 * loss
        if self.how == "regularised":
            loss = loss + 0.1 * sum(p.square().sum() for p in model.parameters())
        loss.backward()
        if self.how == "accumulated":
            self.loss(model(x), y).backward()
        optimizer.step()
        if self.how == "two updates":
            optimizer.step()


MISTAKES = {
    "evaluation": "the network was in evaluation mode; call model.train",
    "scaled": "the gradient w.r.t. .* differs from the step's",
    "other loss": "2 forward passes",
    "regularised": "the gradient w.r.t. .* differs from the step's",
    "accumulated": "2 forward passes, 2 backward passes",
    "leftover": "the gradient w.r.t. .* differs from the step's",
    "two updates": "2 updates",
}


@pytest.mark.parametrize("how", MISTAKES)
def test_a_step_that_cannot_be_measured_right_is_refused(how):
    loop = Refusing(zoo.PlainNet)
    loop.how = how
    with pytest.raises(UserError, match=MISTAKES[how]) as caught:
        loop.run(PROBES)
    assert len(str(caught.value).splitlines()) == 1
    assert not any(m._forward_pre_hooks for m in loop.net.modules())


BROKEN = {
    "class state": (lambda: zoo.PlainNet(zoo.ClassCounter), {}, r"norm \(ClassCounter\) keeps state or draws numbers"),
    "hidden noise": (lambda: zoo.PlainNet(zoo.HiddenNoise), {}, r"norm \(HiddenNoise\) keeps state or draws numbers"),
    "weighty loss": (zoo.PlainNet, {"loss": zoo.WeightyLoss()}, "loss_fn: it has weights of its own"),
    "unreduced loss": (zoo.PlainNet, {"loss": zoo.unreduced}, "grad can be implicitly created"),
    "foreign weights": (
        zoo.PlainNet,
        {"optimizer": lambda p: torch.optim.SGD([*p, nn.Parameter(torch.ones(3))], lr=0.1)},
        "it trains a parameter of shape (3,) that is not the network's",
    ),
    "rate before use": (zoo.PlainNet, {"optimizer": lambda p: zoo.DecaysFirst(p, lr=0.1)}, "sets its learning rate to"),
    "no layers": (lambda: nn.Sequential(nn.Flatten(), nn.BatchNorm1d(192)), {}, "expected a convolution or linear map"),
    "lazy": (zoo.LazyNet, {}, "run one forward pass first"),
    "parallel": (lambda: nn.DataParallel(zoo.PlainNet()), {}, "give the plain module"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_breaks_an_assumption_is_refused_and_named(case):
    make, options, line = BROKEN[case]
    with pytest.raises((UserError, RuntimeError)) as caught:
        Loop(make, **options).run(PROBES)
    assert line.replace("\\", "") in str(caught.value)


def watched(model, probes=PROBES, steps=3, loss=None, update=None, size=8, lr=0.05):
    """Train a given network in float64 and return the table."""
    optimizer, loss, data = torch.optim.SGD(model.parameters(), lr=lr), loss or nn.CrossEntropyLoss(), torch.Generator()
    data.manual_seed(1)
    torch.manual_seed(2)
    with normscape.observe(model, optimizer, loss, probes) as seen:
        for _ in range(steps):
            x = torch.randn(6, 3, size, size, generator=data, dtype=torch.float64)
            y = torch.randint(10, (6,), generator=data)
            with seen.step(y):
                optimizer.zero_grad()
                loss(model(x), y).backward()
                optimizer.step()
                if update:
                    update()
    return seen.table()


def same_bits(make, **options):
    """Whether a network trains to the same bits observed and not."""
    torch.manual_seed(0)
    observed = make().double()
    torch.manual_seed(0)
    plain = make().double()
    watched(observed, **options)
    watched(plain, probes=[], **options)
    return all(torch.equal(a, b) for a, b in zip(bits(observed), bits(plain), strict=True))


def test_a_loss_may_have_state_in_a_loop_of_one_s_own():
    losses = [zoo.CountingLoss(), zoo.CountingLoss()]
    tables = []
    for loss, probes in zip(losses, (PROBES, []), strict=True):
        torch.manual_seed(0)
        tables.append(watched(zoo.PlainNet().double(), probes, loss=loss))
    assert losses[0].calls == losses[1].calls == 3
    assert (tables[0][(tables[0].quantity == "ics_l2") & (tables[0].layer == "first")].value == 0).all()


def test_a_block_that_is_named_after_its_norm_is_no_norm():
    block = torchvision.ops.Conv2dNormActivation(3, 4, activation_layer=nn.ReLU)
    model = nn.Sequential(block, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10)).double()
    before = copy.deepcopy(model)
    table = watched(model, [normscape.Activations(["0.0"])], steps=1)
    x = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    normed = before[0][1](before[0][0](x)).detach()
    mean, variance = (value(table, 0, f"activation_{name}") for name in ("mean", "variance"))
    assert any(
        mean == pytest.approx(float(unit.mean()), abs=1e-9) and variance == pytest.approx(float(unit.var(correction=0)))
        for unit in normed.movedim(1, 0)
    )


class Sometimes(nn.Module):
    """Skips a layer at its first step."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c, self.d = nn.Linear(192, 6), nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 10)
        self.steps = 0

    def forward(self, x):
        self.steps += 1
        x = self.a(x.flatten(1)).tanh()
        if self.steps > 1:
            x = self.b(x).tanh()
        return self.d(self.c(x).tanh())


def test_a_network_that_takes_other_ways_is_traced_at_each_step():
    torch.manual_seed(0)
    table = watched(Sometimes().double(), [normscape.InternalCovariateShift(), normscape.Activations()], steps=2)
    for quantity in ("ics_l2", "activation_mean"):
        layers = [set(table[(table.step == step) & (table.quantity == quantity)].layer) for step in (0, 1)]
        assert layers == [{"a", "c", "d"}, {"a", "b", "c", "d"}]


def test_a_loss_that_would_train_another_network_is_refused_and_leaves_it():
    critic = nn.Sequential(nn.BatchNorm1d(10), nn.Linear(10, 1)).double()
    with pytest.raises(UserError, match=r"loss: <lambda>.critic changes when it is called"):
        watched(zoo.PlainNet().double(), loss=lambda fake, _: critic(fake).square().mean())
    assert critic[0].num_batches_tracked == 1


def test_a_loss_that_reaches_another_network_through_helpers_is_refused_too():
    critics = {"one": nn.Sequential(nn.BatchNorm1d(10), nn.Linear(10, 1)).double()}

    def judged(fake):
        return critics["one"](fake).square().mean()

    with pytest.raises(UserError, match=r"loss: <lambda>.critics\['one'\] changes when it is called"):
        watched(zoo.PlainNet().double(), loss=lambda fake, _: judged(fake))
    assert critics["one"][0].num_batches_tracked == 1


def test_a_loss_may_keep_a_log():
    log = []

    def logged(outputs, targets):
        loss = nn.functional.cross_entropy(outputs, targets)
        log.append(loss.item())
        return loss

    watched(zoo.PlainNet().double(), loss=logged, steps=3)
    assert len(log) == 3


def test_a_loss_that_reads_the_network_is_refused():
    model = zoo.PlainNet().double()
    penalised = lambda z, y: nn.functional.cross_entropy(z, y) + model.head.weight.square().sum()  # noqa: E731
    with pytest.raises(UserError, match="it reads the network itself, through 'model'"):
        watched(model, loss=penalised)
    weights = list(model.parameters())
    listed = lambda z, y: nn.functional.cross_entropy(z, y) + 1e-4 * sum(p.square().sum() for p in weights)  # noqa: E731
    with pytest.raises(UserError, match="it reads the network itself, through 'weights'"):
        watched(model, loss=listed)


class NoisyBackward(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        return x.clone()

    @staticmethod
    def backward(context, gradient):
        return gradient * (1 + 0.1 * torch.rand(()))


class BackwardNoise(zoo.PlainNet):
    def forward(self, x):
        return super().forward(NoisyBackward.apply(x * self.first.weight.mean()))


class WritesInput(zoo.PlainNet):
    def forward(self, x):
        return super().forward(x.mul_(0.5))


class CachesGraph(zoo.PlainNet):
    def forward(self, x):
        out = super().forward(x)
        self.cache = {"out": [out]}
        return out


class Differentiates(zoo.PlainNet):
    def forward(self, x):
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            (slope,) = torch.autograd.grad(self.first(x).square().sum(), x, create_graph=True)
        return super().forward(slope)


class PatchedForward(zoo.PlainNet):
    def __init__(self):
        super().__init__()
        plain = self.forward
        self.forward = lambda x: plain(2 * x)


class Reads(zoo.PlainNet):
    def __init__(self):
        super().__init__()
        self.kept = {}
        self.first.register_forward_hook(lambda module, given, out: self.kept.__setitem__("first", out))

    def forward(self, x):
        return super().forward(x) + self.kept["first"].mean()


@pytest.mark.parametrize("make", [BackwardNoise, WritesInput, CachesGraph, Differentiates, PatchedForward, Reads])
def test_odd_networks_are_measured_and_left_alone(make):
    assert same_bits(make)
    torch.manual_seed(0)
    table = watched(make().double())
    assert (table[(table.quantity == "ics_l2") & (table.layer == "first")].value == 0).all()


def test_what_moves_weights_after_the_update_is_no_part_of_it():
    def shift(model):
        def update():
            with torch.no_grad():
                model.first.weight.mul_(0.9)

        return update

    torch.manual_seed(0)
    model = zoo.PlainNet().double()
    assert len(watched(model, update=shift(model), steps=1))  # plain SGD's update is not mistaken for another
    still = copy.deepcopy(model)
    table = watched(model, [normscape.InternalCovariateShift()], update=shift(model), steps=1, lr=1e-12)
    assert value(table, 0, "ics_l2", layer="second") < 1e-6
    assert not torch.equal(still.first.weight, model.first.weight)


class Averages:
    """A hook that is an object, with a number and a tensor."""

    def __init__(self):
        self.calls, self.mean = 0, torch.zeros((), dtype=torch.float64)

    def __call__(self, module, given, out):
        self.calls += 1
        self.mean.lerp_(out.detach().mean(), 0.5)


def test_hooks_that_are_objects_keep_what_they_held():
    hooks = []
    for probes in (PROBES, []):
        torch.manual_seed(0)
        model = zoo.PlainNet().double()
        hooks.append(Averages())
        model.first.register_forward_hook(hooks[-1])
        watched(model, probes)
    assert hooks[0].calls == hooks[1].calls == 3
    assert torch.equal(hooks[0].mean, hooks[1].mean)


def test_hooks_of_one_s_own_keep_what_they_collected():
    model, seen, last = zoo.PlainNet().double(), [], {}
    model.first.register_forward_hook(lambda module, given, out: seen.append(out.detach().clone()))
    model.second.register_forward_hook(lambda module, given, out: last.update(out=out.detach().clone()))
    noted = []
    watched(model, update=lambda: noted.append(last["out"]), steps=2)
    assert len(seen) == 2
    assert last["out"] is noted[-1]


def test_a_step_that_cannot_be_repeated_is_refused_in_a_line():
    """Reentrant checkpoints know only backward(), which would write into gradients."""

    class Checkpointed(zoo.PlainNet):
        def forward(self, x):
            hidden = torch.utils.checkpoint.checkpoint(self.first, x.requires_grad_(), use_reentrant=True)
            return self.head(torch.relu(self.second(hidden)).mean((2, 3)))

    with pytest.raises(UserError) as caught:
        watched(Checkpointed().double())
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.filterwarnings("ignore")  # dynamo's own, of which every other test makes errors
def test_a_compiled_part_is_measured_uncompiled():
    def make():
        net = zoo.PlainNet()
        net.second = torch.compile(net.second, backend="eager")
        return net

    assert same_bits(make)
    table = watched(make().double(), [normscape.InternalCovariateShift()])
    assert set(table.layer) == {"first", "second", "head"}


def test_a_scaled_loss_that_the_scaler_takes_back_is_right():
    torch.manual_seed(0)
    model, loss_fn = zoo.PlainNet(), nn.CrossEntropyLoss()
    optimizer, scaler = torch.optim.SGD(model.parameters(), lr=0.05), torch.amp.GradScaler("cpu", init_scale=1024.0)
    x, y = torch.randn(6, 3, 8, 8), torch.arange(6)
    with normscape.observe(model, optimizer, loss_fn, [normscape.Landscape([1.0])]) as seen, seen.step(y):
        optimizer.zero_grad()
        scaler.scale(loss_fn(model(x), y)).backward()
        scaler.step(optimizer)
        scaler.update()
    assert value(seen.table(), 0, "gradient_norm") < 100


@pytest.mark.parametrize("clip", ["norm", "value", "norm that is longer"])
def test_a_gradient_may_be_unscaled_and_then_clipped(clip):
    """What is measured is the loss's own, as where nothing is scaled or clipped."""
    found = []
    for scale in (1.0, 1024.0):
        torch.manual_seed(0)
        model, loss_fn = zoo.PlainNet(), nn.CrossEntropyLoss()
        optimizer, scaler = torch.optim.SGD(model.parameters(), lr=0.05), torch.amp.GradScaler("cpu", init_scale=scale)
        x, y = torch.randn(6, 3, 8, 8), torch.arange(6)
        with normscape.observe(model, optimizer, loss_fn, [normscape.Landscape([1.0])]) as seen, seen.step(y):
            optimizer.zero_grad()
            scaler.scale(loss_fn(model(x), y)).backward()
            scaler.unscale_(optimizer)
            if clip == "value":
                nn.utils.clip_grad_value_(model.parameters(), 1e-3)
            else:
                nn.utils.clip_grad_norm_(model.parameters(), 1e-2 if clip == "norm" else 1e6)
            scaler.step(optimizer)
            scaler.update()
        found.append(value(seen.table(), 0, "gradient_norm"))
    assert found[1] == pytest.approx(found[0], rel=1e-5)


@pytest.mark.parametrize("after", [lambda p: p.mul_(0.6), lambda p: p.mul_(-1e-3), lambda p: p.add_(0.01)])
def test_a_scaled_loss_that_nothing_takes_back_is_refused_whatever_is_done_to_its_gradient(after):
    torch.manual_seed(0)
    model, loss_fn = zoo.PlainNet(), nn.CrossEntropyLoss()
    optimizer, x, y = sgd(model.parameters()), torch.randn(6, 3, 8, 8), torch.arange(6)

    def one_step():
        with normscape.observe(model, optimizer, loss_fn, [normscape.Landscape([1.0])]) as seen, seen.step(y):
            optimizer.zero_grad()
            (2 * loss_fn(model(x), y)).backward()
            for p in model.parameters():
                after(p.grad)
            optimizer.step()

    with pytest.raises(UserError, match="neither accumulated, scaled nor hooked"):
        one_step()


_LABELS = torch.arange(4)


def test_a_step_without_an_update_is_skipped_with_a_warning():
    model = zoo.PlainNet()
    optimizer, loss_fn = sgd(model.parameters()), nn.CrossEntropyLoss()
    warned = pytest.warns(UserWarning, match="step 0: the optimiser made no update in the block")
    with normscape.observe(model, optimizer, loss_fn, [normscape.Landscape([1.0])]) as seen, warned, seen.step(_LABELS):
        loss_fn(model(torch.randn(4, 3, 8, 8)), _LABELS).backward()
    assert seen.table().empty


@pytest.mark.parametrize(
    ("probe", "line"),
    [
        (lambda: normscape.Activations(["second", "secnd"]), "probe layer secnd: .*did you mean 'second'"),
        (lambda: normscape.InternalCovariateShift([4]), "probe layer 4: the PlainNet has layers 1 to 3"),
        (lambda: normscape.InternalCovariateShift([]), "expected at least one layer"),
        (lambda: normscape.InternalCovariateShift([1, "first"]), "expected each layer once; first is listed twice"),
        (lambda: normscape.InternalCovariateShift("first"), "layers=first: expected a list of layers, or all"),
        (lambda: normscape.Landscape([0.1, 0.1]), "expected different finite numbers above 0"),
        (lambda: normscape.Landscape([float("inf")]), "expected different finite numbers above 0"),
        (lambda: normscape.Landscape(weight_decay=0.3), "probe weight_decay=0.3: SGD has 0.01 for first.weight"),
        (
            lambda: normscape.Landscape(every=0),
            "probe every=0: expected a whole number of at least 1, a number of steps",
        ),
    ],
)
def test_what_a_probe_cannot_have_is_named(probe, line):
    with pytest.raises(UserError, match=line):
        Loop(zoo.PlainNet).run([probe()])


def test_tied_layers_have_no_shift_of_their_own():
    with pytest.raises(UserError, match="probe layer 4: an earlier layer has the same weight"):
        loop_on("tied weights").run([normscape.InternalCovariateShift(["4"])])
    with pytest.raises(UserError, match="probe layer 2: it runs 2 times in a pass"):
        loop_on("a layer twice").run([normscape.Activations(["2"])])


def test_steps_that_are_not_due_are_left_alone_and_numbers_may_be_given():
    loop = Loop(zoo.PlainNet)
    x, y = torch.randn(4, 3, 8, 8, dtype=torch.float64), torch.arange(4)
    with normscape.observe(loop.model, loop.optimizer, loop.loss, [normscape.Landscape(every=10)]) as seen:
        with seen.step(y, step=7):
            assert not loop.net._forward_pre_hooks
            loop.update(x, y)
        with seen.step(y, step=10):
            assert loop.net._forward_pre_hooks
            loop.update(x, y)
    assert seen.table().step.unique().tolist() == [10]


@pytest.mark.parametrize("number", [0, 2, 3.5, "4", True, math.nan])
def test_steps_that_are_not_counted_over_all_of_training_are_refused(number):
    loop = Loop(zoo.PlainNet)
    x, y = torch.randn(4, 3, 8, 8, dtype=torch.float64), torch.arange(4)
    with normscape.observe(loop.model, loop.optimizer, loop.loss, [normscape.Landscape()]) as seen:
        with seen.step(y, step=2):
            loop.update(x, y)
        with pytest.raises(UserError, match=r"^step=.*: expected a whole number, 3 or more"), seen.step(y, step=number):
            pass
    assert seen.table().step.unique().tolist() == [2]


def test_a_norm_that_is_called_by_name_is_a_norm_too():
    class ByName(zoo.PlainNet):
        def forward(self, x):
            x = torch.relu_(self.norm(input=self.first(x)))
            return self.head(torch.relu(self.second(x)).mean((2, 3)))

    x, y = torch.randn(8, 3, 8, 8, dtype=torch.float64), torch.arange(8)
    loop = Loop(ByName)
    probes = [normscape.Activations(["first"])]
    with normscape.observe(loop.model, loop.optimizer, loop.loss, probes) as seen, seen.step(y):
        loop.update(x, y)
    variance = seen.table().query("quantity == 'activation_variance'").value
    assert variance.to_list() == pytest.approx([1], rel=1e-3)  # of BatchNorm's output, not of the convolution's


@pytest.mark.parametrize("called", [lambda x: ({"x": x, "y": x},), lambda x: ([x, x],)])
def test_samples_are_counted_in_the_tensors_that_a_network_is_called_with(called):
    class OfMany(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(5, 10)

        def forward(self, given):
            return self.linear(next(iter(given.values())) if isinstance(given, dict) else given[0])

    model = OfMany()
    optimizer, loss = torch.optim.SGD(model.parameters(), lr=0.1), nn.CrossEntropyLoss()
    x, y = torch.randn(64, 5), torch.arange(64) % 10
    probes = [normscape.Activations("all", noise_floor=True)]
    with normscape.observe(model, optimizer, loss, probes) as seen, seen.step(y):
        optimizer.zero_grad()
        loss(model(*called(x)), y).backward()
        optimizer.step()
    assert (seen.table().query("quantity == 'activation_noise'").value > 0.01).all()


def test_an_error_of_the_loop_s_own_passes_and_leaves_no_hook():
    loop = Loop(zoo.PlainNet)
    with normscape.observe(loop.model, loop.optimizer, loop.loss, PROBES) as seen:
        with pytest.raises(ZeroDivisionError), seen.step(torch.arange(4)):
            raise ZeroDivisionError
        assert not loop.net._forward_pre_hooks
        assert seen.table().empty


IMPORT = """
import logging, random, sys, torch
def state(): return logging.getLogger().level, logging.root.handlers, torch.get_num_threads(), random.getstate()
before = state()
import normscape
from normscape import *
assert before == state()
print([name for name in ("matplotlib", "hydra", "wandb", "torchvision") if name in sys.modules], normscape.__version__)
"""


def test_importing_changes_nothing_of_the_process():
    done = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("[] ")
    assert set(normscape.__all__) <= set(dir(normscape))


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_a_step_of_two_optimizers_is_refused_whichever_comes_last(order):
    net, loss = nn.Sequential(nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 3)).double(), nn.CrossEntropyLoss()
    both = [torch.optim.SGD(net[place].parameters(), lr=1.0) for place in (0, 2)]
    x, y = torch.randn(16, 8, dtype=torch.float64), torch.randint(3, (16,))

    def update():
        with normscape.observe(net, both[1], loss, [normscape.InternalCovariateShift()]) as seen, seen.step(y):
            loss(net(x), y).backward()
            for place in order:
                both[place].step()

    with pytest.raises(UserError, match=r"it has moved in this step|repeated at W\(t\)"):
        update()


def test_weights_that_the_optimizer_leaves_alone_have_no_part_in_the_objective():
    """SGD skips parameters without a gradient, and with them their weight decay."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.Linear(8, 3), nn.Linear(8, 3)

        def forward(self, x):
            return self.used(x)

    net, loss = Net().double(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, weight_decay=0.1)
    x, y = torch.randn(16, 8, dtype=torch.float64), torch.randint(3, (16,))
    expected = loss(net(x), y) + 0.05 * sum(p.square().sum() for p in net.used.parameters())
    with normscape.observe(net, optimizer, loss, [normscape.Landscape([1.0])]) as seen, seen.step(y):
        loss(net(x), y).backward()
        optimizer.step()
    table = seen.table().set_index("quantity")["value"]
    assert table["objective"] == pytest.approx(expected.item(), rel=1e-12)


@pytest.mark.parametrize("norm", [normscape.Whitening, normscape.NoisyStandard, normscape.LpNorm])
def test_every_norm_of_the_suite_is_one_in_any_network(norm):
    """What enters the nonlinearity is what the norm puts out."""
    made = norm(4, 2.0) if norm is normscape.LpNorm else norm(4)
    net = nn.Sequential(nn.Linear(8, 4), made, nn.ReLU(), nn.Linear(4, 3)).double()
    out, optimizer, loss = [], sgd(net.parameters()), nn.CrossEntropyLoss()
    handle = net[1].register_forward_hook(lambda module, inputs, output: out.append(output.detach().clone()))
    x, y = 3 * torch.randn(64, 8, dtype=torch.float64) + 1, torch.randint(3, (64,))
    with normscape.observe(net, optimizer, loss, [normscape.Activations(["0"])]) as seen, seen.step(y):
        loss(net(x), y).backward()
        handle.remove()
        optimizer.step()
    moments = seen.arrays()["unit_moments/0"][0]
    np.testing.assert_allclose(moments[:, 1], out[0].var(0, correction=0), rtol=1e-6)


FLAT = """
import torch
import normscape
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(5, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.two(self.one(x).relu())


class Keeper:
    pass


keeper, kept = Keeper(), []
model, loss_fn = Net(), nn.MSELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
with normscape.observe(model, optimizer, loss_fn, [normscape.Landscape()]) as seen:
    {keep}
    for _ in range(3):
        inputs, targets = torch.randn(8, 5), torch.randn(8, 3)
        with seen.step(targets):
            optimizer.zero_grad()
            loss_fn(model(inputs), targets).backward()
            optimizer.step()
print(seen.table()["step"].nunique())
"""


@pytest.mark.parametrize("keep", ["pass", "kept.append(seen)", "keeper.seen = seen", "Net.seen = seen"])
def test_what_measures_may_stand_in_the_file_of_the_network(tmp_path, keep):
    """As in any script or notebook: a global of that file leads to the twin, whose weights move."""
    script = tmp_path / "flat.py"
    script.write_text(FLAT.replace("{keep}", keep))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("3\n", 0), done.stderr


class Describes(normscape.Probe):
    """Whether the view takes the network for a chain, and how many hooks its twin has."""

    def measure(self, view):
        twin = view.replay.replica.twin
        yield normscape.Row(view.step, "chain", None, None, float(view.network.chain))
        yield normscape.Row(view.step, "hooks", None, None, sum(len(p._forward_pre_hooks) for p in twin.modules()))


def table_of(net, *probes, loss=None, call=None, optimizer=None, samples=8, features=5, steps=1):
    """Return what probes see of some steps of a network of 5 features and 3 outputs."""
    loss, call = loss or nn.CrossEntropyLoss(), call or net
    optimizer = optimizer or sgd(net.parameters())
    with normscape.observe(net, optimizer, loss, probes) as seen:
        for _ in range(steps):
            inputs, targets = torch.randn(samples, features), torch.randint(3, (samples,))
            with seen.step(targets):
                optimizer.zero_grad()
                loss(call(inputs), targets).backward()
                optimizer.step()
    return seen.table()


@pytest.mark.parametrize("own_hooks", [0, 1])
def test_the_hooks_by_which_a_step_is_recorded_are_not_in_the_twin(own_hooks):
    """Else a chain of the suite's is none, and the first step is kept for as long as the network trains."""
    net = normscape.MLP(5, [4, 4], 3, normscape.BatchNorm)
    for _ in range(own_hooks):
        net.register_forward_pre_hook(lambda module, inputs: None)
    found = table_of(net, Describes(every=1), steps=2).pivot(index="step", columns="quantity", values="value")
    assert found.to_dict("list") == {"chain": [not own_hooks] * 2, "hooks": [own_hooks] * 2}


class Remembers(normscape.Probe):
    """A probe of somebody's that compares with the step before."""

    before = None

    def measure(self, view):
        self.before, before = view.loss.item(), self.before
        yield normscape.Row(view.step, "change", None, None, 0.0 if before is None else view.loss.item() - before)


def test_a_probe_that_keeps_something_between_steps_is_refused():
    with pytest.raises(UserError, match="probe Remembers: it keeps something between steps, which a resumed run"):
        table_of(nn.Linear(5, 3), Remembers(every=1), steps=2)


class Exhausts(nn.Module):
    """A network for which there is memory in training, but not on a copy."""

    def __init__(self, exhausted=False):
        super().__init__()
        self.layer, self.exhausted = nn.Linear(5, 3), (exhausted,)

    def __deepcopy__(self, memo):
        return Exhausts(exhausted=True)

    def forward(self, x):
        if self.exhausted[0]:
            raise torch.OutOfMemoryError("no memory left")
        return self.layer(x)


@pytest.mark.parametrize("probe", PROBES[:2])
def test_too_little_memory_is_what_it_is(probe, monkeypatch):
    """Not a step that cannot be repeated, nor one to be tried again with a graph, which takes more."""
    monkeypatch.setattr("normscape.twin.replica.Replica.restore", lambda *_: None)  # it may have run out for once alone
    with pytest.raises(torch.OutOfMemoryError, match="no memory left"):
        table_of(Exhausts(), probe)


@pytest.mark.parametrize("kind", ["module", "partial"])
def test_a_landscape_in_float64_takes_the_loss_s_own_tensors_along(kind):
    weight = torch.tensor([0.5, 1.0, 2.0])
    loss = {
        "module": nn.CrossEntropyLoss(weight=weight),
        "partial": functools.partial(nn.functional.cross_entropy, weight=weight),
    }[kind]
    found = table_of(nn.Linear(5, 3), normscape.Landscape(float64=True, weight_decay=0), loss=loss)
    assert np.isfinite(found["value"]).all()


class HoldsMore(nn.Module):
    """A network with layers and weights in plain containers, plain tensors, a counter and running statistics."""

    def __init__(self):
        super().__init__()
        self.first, self.last, self.norm = nn.Linear(5, 4), nn.Linear(4, 3), nn.BatchNorm1d(4, momentum=0.5)
        self.chain, self.named = [self.first, self.norm, self.last], {"weight": self.first.weight}
        self.mixing, self.more, self.passes = torch.full((5, 5), 1 / 3), [torch.full((3,), 1 / 7)], 0

    def forward(self, x):
        self.passes += 1
        x = x @ self.mixing
        for layer in self.chain:
            x = layer(x)
        return self.passes * x + self.named["weight"].sum() * self.more[0] * self.norm.running_mean.sum()


class InFloat64(normscape.Probe):
    """Compares a step in float64 with that of a network which was made in float64."""

    def measure(self, view):
        held = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            net = HoldsMore()
        finally:
            torch.set_default_dtype(held)
        net.load_state_dict({**net.state_dict(), **{n: p.double() for n, p in view.parameters.items()}})
        net.passes, (net.norm.running_mean, net.norm.running_var) = view.step, self.statistics(view)
        for tensor in (net.mixing, *net.more):
            tensor.copy_(tensor.float())  # the numbers that float32 holds
        loss = view.loss_function(net(view.inputs.double()), view.targets)
        gradient = torch.autograd.grad(loss, [*net.parameters()])
        wide = view.in_float64()
        off = max(
            (wide.gradient[n] - g).abs().max() for (n, _), g in zip(net.named_parameters(), gradient, strict=True)
        )
        yield normscape.Row(view.step, "loss off", None, None, float(wide.loss - loss.detach()))
        yield normscape.Row(view.step, "gradient off", None, None, float(off))

    def statistics(self, view):
        at = view.replay.state.modules[[*map(type, view.replay.replica.twin.modules())].index(nn.BatchNorm1d)]
        return at.buffers["running_mean"].double(), at.buffers["running_var"].double()


def test_a_step_in_float64_is_that_of_all_that_the_network_holds():
    found = table_of(HoldsMore(), InFloat64(every=1), steps=3)
    assert found["value"].abs().max() < 1e-14
    assert len(found) == 6


def test_the_mini_batch_may_be_given_by_name():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(5, 3)

        def forward(self, *, features):
            return self.layer(features)

    class Inputs(normscape.Probe):
        def measure(self, view):
            yield normscape.Row(view.step, "batch", None, None, float(len(view.inputs)))

    net = Named()
    assert list(table_of(net, Inputs(every=1), call=lambda x: net(features=x))["value"]) == [8.0]


@pytest.mark.parametrize("kind", [list, dict, SimpleNamespace])
def test_what_holds_itself_is_no_hindrance(kind):
    net = nn.Linear(5, 3)
    net.held = kind()
    if kind is list:
        net.held.append(net.held)
    else:
        vars(net.held).update(it=net.held) if kind is SimpleNamespace else net.held.update(it=net.held)
    assert len(table_of(net, normscape.Landscape()))


@pytest.mark.parametrize("how", ["weights that shrink", "a gradient that is 5 % longer"])
def test_an_update_that_is_not_that_of_gradient_descent_is_refused(how):
    """s = lr would not be the optimiser's own step."""
    net = nn.Linear(5, 3)

    def afterwards(optimizer, *_):
        with torch.no_grad():
            for p in net.parameters():
                p.sub_(0.05 * p if how == "weights that shrink" else 0.05 * 0.05 * p.grad)

    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    optimizer.register_step_post_hook(afterwards)
    with pytest.raises(UserError, match="the update of SGD is not -lr times the gradient of the objective"):
        table_of(net, normscape.Landscape(), optimizer=optimizer)
