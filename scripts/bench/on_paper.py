"""What the suite would cost on ImageNet with a ResNet-50, on one GPU and on eight: on paper, from what was measured.

A run costs its training steps, each three forward passes' arithmetic, and its probes, counted in such steps: a point of
a landscape and a layer's covariate shift cost what they were measured to cost beside a plain pass. Runs are independent
and go to the GPUs of a node one by one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.measures import POINTS_BESIDE, SHIFT_BESIDE
from bench.timing import Answer

IMAGES, EPOCHS, BATCH = 1_281_167, 90, 256
"""ImageNet's training set, and how long and in what batches ResNet-50 is usually trained."""
FORWARD_FLOP = 2 * 4.1e9
"""Of one image of 224 x 224, two for each multiplication with its addition."""
LAYERS = 54
"""ResNet-50's weight layers: 53 convolutions and one linear layer."""
REACHED = 200e12
"""Floating-point operations per second that training is taken to reach: two fifths of an H100's peak in TF32."""
POINTS, EVERY, OFTEN, ALL_EVERY = 4, 100, 2, 1000
"""The probes: so many points and layers' shift each hundred steps, and the shift of all layers each thousand."""
RUNS, SEEDS, GPUS = 13, 3, 8
"""The VGG's runs of all of the paper's figures, as many seeds, and a node."""


@dataclass(frozen=True)
class Costs:
    """What a point and the shift of one layer cost, in plain forward-backward passes."""

    point: float
    layer: float

    @classmethod
    def among(cls, answers: Sequence[Answer], point_on: str, layer_on: str) -> "Costs | None":
        """Take both from the benchmark's answers on these networks; None if one of them was not asked."""
        found = {(answer.net, end): answer.ratio for answer in answers for end in ENDS if answer.question.endswith(end)}
        point, layer = found.get((point_on, POINTS_BESIDE)), found.get((layer_on, SHIFT_BESIDE))
        return None if point is None or layer is None else cls(point, layer)


ENDS = (POINTS_BESIDE, SHIFT_BESIDE)


def steps() -> int:
    """Return how many steps a run takes."""
    return EPOCHS * -(-IMAGES // BATCH)


def plain_hours() -> float:
    """Return how long a run takes without probes."""
    return steps() * 3 * FORWARD_FLOP * BATCH / REACHED / 3600


def overhead(costs: Costs) -> float:
    """Return how many times as long it takes with them."""
    return 1 + (POINTS * costs.point + OFTEN * costs.layer) / EVERY + LAYERS * costs.layer / ALL_EVERY


def on_paper(costs: Costs) -> list[str]:
    """Return it as the lines of a page."""
    hours = plain_hours() * overhead(costs)
    one, rounds = hours * RUNS * SEEDS, -(-RUNS * SEEDS // GPUS)
    return [
        f"A ResNet-50 on ImageNet, {EPOCHS} epochs in batches of {BATCH}: {steps():,} steps of "
        f"{3 * FORWARD_FLOP * BATCH / 1e12:.1f} TFLOP. "
        f"At {REACHED / 1e12:g} TFLOP/s, which is assumed (times go as its inverse):",
        "",
        "| what | time |",
        "|---|---:|",
        f"| a run without probes | {plain_hours():.1f} h |",
        f"| with {POINTS} points and {OFTEN} layers' covariate shift each {EVERY} steps, all {LAYERS} layers' each "
        f"{ALL_EVERY}: x {overhead(costs):.3f} | {hours:.1f} h |",
        f"| {RUNS} runs x {SEEDS} seeds on one GPU | {one / 24:.1f} days |",
        f"| on {GPUS} GPUs, each a run at a time, {rounds} rounds | {rounds * hours:.0f} h |",
        "",
        f"A point is taken to cost {costs.point:.2f} passes and a layer's shift {costs.layer:.2f}, as measured here; a "
        "GPU that waits for data, or whose step is not bound by arithmetic, takes longer.",
    ]
