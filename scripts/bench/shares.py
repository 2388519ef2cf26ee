"""Where the time of a training step goes, and how near its convolutions are to what a core can do."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from bench.floor import floor
from bench.networks import Net
from bench.timing import Answer, in_turn

CONVOLUTIONS = "convolutions"
KINDS = {
    CONVOLUTIONS: ("convolution",),
    "BatchNorm": ("batch_norm", "batchnorm", "addcmul"),
    "ReLU": ("relu", "clamp_min", "threshold"),
    "pooling": ("pool2d",),
    "matrix products": ("aten::mm", "addmm"),
}
"""Parts of a step, and what the names of torch's operations have in them; the first that fits counts."""
REST = "everything else: optimiser, loss, data, memory, calls"
RATE = "convolutions of a step, their rate / a wide one's"
WIDE = (32, 256, 16)
"""Samples, channels and side of the images whose convolution, 3 x 3, shows what a core can do."""


@dataclass(frozen=True)
class Share:
    """A part of a training step: its milliseconds by torch's profiler, and its share of the whole."""

    net: str
    part: str
    milliseconds: float
    share: float


def kind(operation: str) -> str:
    """Return the part of a step that one of torch's operations belongs to."""
    return next((name for name, marks in KINDS.items() if any(mark in operation.lower() for mark in marks)), REST)


def shares(net: Net, steps: int) -> Iterator[Share | Answer]:
    """Profile so many steps of the floor: each part, the largest first, then the rate of the convolutions."""
    plan, state = net.bare(), net.fresh()
    floor(plan, state, 2)
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        floor(plan, state, state.step + steps)
    taken: Counter[str] = Counter()
    for event in profiled.key_averages():
        taken[kind(event.key)] += event.self_cpu_time_total  # microseconds
    for part, microseconds in taken.most_common():
        yield Share(net.name, part, microseconds / steps / 1e3, microseconds / taken.total())
    with FlopCounterMode(display=False) as counter:
        floor(plan, state, state.step + 1)
    counts = counter.get_flop_counts()["Global"]
    convolved = sum(count for name, count in counts.items() if kind(str(name)) == CONVOLUTIONS)
    if convolved:
        yield _rate(net, convolved / (taken[CONVOLUTIONS] / steps / 1e6))


def _rate(net: Net, convolved: float) -> Answer:
    """Compare operations per second with those of one wide convolution, forward."""
    samples, channels, side = WIDE
    images = torch.randn(samples, channels, side, side).contiguous(memory_format=torch.channels_last)
    wide = nn.Conv2d(channels, channels, 3, padding=1).requires_grad_(False)
    (taken,) = in_turn(5, lambda: wide(images))
    best = 2 * samples * side**2 * 9 * channels**2 / taken.median
    return Answer(RATE, net.name, convolved / 1e9, best / 1e9, "GFLOP/s", convolved / best)
