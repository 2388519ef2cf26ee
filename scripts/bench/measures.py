"""What a measure costs beside the passes that it consists of, and beside its naive form."""

from collections.abc import Iterator

from bench.naive import Naive
from bench.networks import Net
from bench.timing import Answer, compared, in_turn
from normscape.probes import InternalCovariateShift, Landscape

POINTS = {"vgg": 1.05, "dln": 1.20}
SHIFT = {"vgg": 0.33, "dln": 0.45}
"""Targets, by network: points of a landscape over plain passes, and covariate shift over its naive form."""


POINTS_BESIDE, SHIFT_BESIDE = "points of a landscape / as many plain passes", "layers / as many plain passes"
"""How the questions end that say what a point, and a layer's shift, cost in passes."""


def measures(net: Net, rounds: int) -> Iterator[Answer]:
    """Compare a landscape and the covariate shift of all layers with their naive forms."""
    before, view = net.step()
    naive = Naive(before, view)
    landscape = next(probe for probe in net.plan.probes if isinstance(probe, Landscape))
    sizes, decays = landscape.sizes_of(view), view.rule.weight_decays
    points, passes, copied = in_turn(
        rounds,
        lambda: [*landscape.measure(view)],
        lambda: naive.passes(len(sizes)),
        lambda: naive.landscape(sizes, decays),
        clock=net.clock,
    )
    beside = f"{len(sizes)} {POINTS_BESIDE}"
    yield compared(beside, net.name, points, passes, target=POINTS[net.config.net])
    yield compared(f"{len(sizes)} points of a landscape / naive", net.name, points, copied)
    yield from shift_of_all(net, rounds)


def shift_of_all(net: Net, rounds: int) -> Iterator[Answer]:
    """Compare the covariate shift of all layers with its naive form and with as many plain passes."""
    before, view = net.step()
    naive = Naive(before, view)
    shift = InternalCovariateShift(layers="all")
    count, target = len(view.network.layers), SHIFT.get(net.config.net) if view.network.chain else None
    ours, full, passes = in_turn(
        rounds, lambda: [*shift.measure(view)], naive.shift, lambda: naive.passes(count), clock=net.clock
    )
    question = f"covariate shift of all {count}"
    yield compared(f"{question} layers / naive", net.name, ours, full, target=target)
    yield compared(f"{question} {SHIFT_BESIDE}", net.name, ours, passes, target=target)
