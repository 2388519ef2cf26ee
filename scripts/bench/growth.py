"""How cost grows: one size of a problem at a time, and the power of it that the times follow."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from bench.deep_linear import stacked_step
from bench.networks import Net
from bench.timing import Work, in_turn
from normscape.loop import train
from normscape.probes import InternalCovariateShift, Landscape
from normscape.reduced.measure import measured

VGG, MLP, DLN = "VGG", "MLP", "DLN"
SHORT = ["scale=laptop", "data=synthetic", "data.train_images=2048", "probe=[]"]
NETS = {
    VGG: ["run=vgg_batch", *SHORT],
    MLP: ["run=mlp_batch", *SHORT],
    DLN: ["run=dln_batch", "scale=laptop", "probe=[]"],
}
"""With BatchNorm; the VGG at 1/8 width unless that is what grows."""


@dataclass(frozen=True)
class Case:
    """A piece of work at several sizes.

    Attributes
    ----------
    work, net, size
        What is done, in which network, and what of it grows.
    sizes
        In growing order.
    prepare
        Returns the work of a size.
    expected
        The powers between which the arithmetic alone would grow.
    why
        In a few words.
    """

    work: str
    net: str
    size: str
    sizes: Sequence[float]
    prepare: Callable[[float], Work]
    expected: tuple[float, float]
    why: str


@dataclass(frozen=True)
class Growth:
    """How long a case takes at some of its sizes, in ms: medians of rounds."""

    case: Case
    sizes: Sequence[float]
    milliseconds: Sequence[float]

    @property
    def power(self) -> float:
        """The slope of the logarithm of time over that of size, by least squares."""
        return float(np.polyfit(np.log(self.sizes), np.log(self.milliseconds), 1)[0])

    @property
    def last_power(self) -> float:
        """The same between the two largest sizes, where what does not grow weighs least."""
        return Growth(self.case, self.sizes[-2:], self.milliseconds[-2:]).power


def growth(quick: bool) -> Iterator[Growth]:
    """Time every case; quickly at its smallest and its largest size alone, and once."""
    for case in CASES:
        sizes = case.sizes[:: len(case.sizes) - 1] if quick else case.sizes
        timed = in_turn(1 if quick else 5, *map(case.prepare, sizes))
        yield Growth(case, sizes, [1e3 * each.median for each in timed])


def _net(name: str, *overrides: str) -> Net:
    return Net.of(name, *NETS[name], *overrides)


def _steps(name: str, setting: str) -> Callable[[float], Work]:
    """Return what prepares a few training steps with a setting: four of the VGG, twenty of others."""

    def prepare(size: float) -> Work:
        net = _net(name, f"{setting}={size}")
        plan, state, count = net.bare(), net.fresh(), 4 if name == VGG else 20

        def work() -> None:
            until = state.step + count
            train(plan, state, lambda step, rows: step < until)

        return work

    return prepare


def _points(count: float) -> Work:
    _, view = _net(VGG).step()
    landscape = Landscape([0.5 * (1 + number) for number in range(int(count))])
    return lambda: [*landscape.measure(view)]


def _shift(count: float) -> Work:
    """Return the covariate shift of so many layers, evenly spaced from the last one on."""
    _, view = _net(VGG).step()
    chosen = np.linspace(len(view.network.layers), 1, int(count)).round()
    probe = InternalCovariateShift(sorted(int(number) for number in chosen))
    return lambda: [*probe.measure(view)]


def _shift_of_all(name: str) -> Callable[[float], Work]:
    def prepare(depth: float) -> Work:
        setting = f"model.depth={depth}" if name == DLN else f"model.hidden={[100] * (int(depth) - 1)}"
        _, view = _net(name, setting).step()
        return lambda: [*InternalCovariateShift().measure(view)]

    return prepare


def _seeds(count: float) -> list[Net]:
    return [_net(DLN, f"seed={seed}") for seed in range(int(count))]


def _steps_as_one(count: float) -> Work:
    """Return twenty steps of so many seeds, reduced and as one."""
    step = stacked_step(_seeds(count))
    rates = torch.tensor([lane.learning_rate for lane in step.lanes])

    def work() -> None:
        for _ in range(20):
            _, gradient = step.stack.losses_and_gradients(step.stack.point, step.batch)
            step.stack.update(gradient, rates)

    return work


def _shift_as_one(count: float) -> Work:
    step = stacked_step(_seeds(count))
    return lambda: measured(InternalCovariateShift(), step)


STEP, SHIFT = "training step", "covariate shift"
SEEDS = (1, 5, 10, 20)
DEPTHS = (5, 10, 20, 40)
CASES = (
    Case(STEP, VGG, "width", (0.0625, 0.125, 0.25), _steps(VGG, "model.width"), (1, 2), "activations; convolutions"),
    Case(STEP, VGG, "batch", (32, 64, 128, 256), _steps(VGG, "batch_size"), (1, 1), "samples"),
    Case(STEP, DLN, "depth", DEPTHS, _steps(DLN, "model.depth"), (1, 1), "layers"),
    Case("landscape", VGG, "points", (1, 2, 4, 8), _points, (1, 1), "a pass each"),
    Case(SHIFT, VGG, "layers asked for", (1, 3, 7, 15), _shift, (1, 1), "for each the passes from it on"),
    Case(
        f"{SHIFT} of all layers", DLN, "depth", DEPTHS, _shift_of_all(DLN), (2, 2), "layers, times passes from each on"
    ),
    Case(
        f"{SHIFT} of all layers", MLP, "depth", DEPTHS, _shift_of_all(MLP), (2, 2), "layers, times passes from each on"
    ),
    Case(f"{STEP}, reduced", DLN, "seeds as one", SEEDS, _steps_as_one, (0, 1), "calls are shared, arithmetic is not"),
    Case(
        f"{SHIFT} of all layers, reduced",
        DLN,
        "seeds as one",
        SEEDS,
        _shift_as_one,
        (0, 1),
        "calls are shared, arithmetic is not",
    ),
)
"""What is timed, in this order."""
