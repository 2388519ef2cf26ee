"""What the suite costs on a GPU, at the paper's width: ways to compute a step, probes, company, small nets."""

import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from multiprocessing import get_context
from multiprocessing.connection import Connection

import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.deep_linear import Runs, configs
from bench.floor import floor
from bench.loops import LOOP, LOOP_QUESTION, beside_the_floor, cadence
from bench.measures import measures
from bench.naive import Naive
from bench.networks import Net
from bench.timing import Answer, Clock, Timed, Work, compared, gpu_clock, in_turn
from normscape.errors import UserError
from normscape.forward import set_tf32
from normscape.loop import train

FULL = "VGG, full width"
VGG = ["run=vgg_batch", "scale=paper", "data=synthetic", "data.train_images=8192", "device=cuda"]
EXACT = "float32"
WAYS = {
    EXACT: [],
    "TF32": ["tf32=true"],
    "bfloat16": ["precision=bfloat16"],
    "TF32, CUDA graphs": ["tf32=true", "compile=reduce-overhead"],
}
"""Ways to compute a training step, by the settings that ask for them."""
COMPANY = ("TF32", "TF32, CUDA graphs", EXACT)
"""The ways of which trainings are timed side by side."""
PRODUCT = 8192
"""Rows and columns of the matrices whose product shows what a GPU can do."""
WARM_STEPS = 20
"""The first steps, which are slower: libraries are loaded, steps compiled."""


def probes(steps: int, rounds: int) -> Iterator[Answer]:
    """Compare the loop with the floor, and measures with the passes that they consist of."""
    net = Net.of(FULL, *VGG)
    loop, least = beside_the_floor(net, net.fresh(), steps, rounds)
    yield compared(LOOP_QUESTION.format(steps), FULL, loop, least, target=LOOP, note="data, step, rows")
    yield cadence(net, (loop.median / steps, least.median / steps), dense=2, rounds=rounds)
    yield from measures(net, rounds)
    yield from replays(net, rounds, count=4)


def replays(net: Net, rounds: int, count: int) -> Iterator[Answer]:
    """Compare passes on the twin with plain ones, and how long the processor takes to give the GPU their work.

    What a landscape's point costs beyond the first is computing the point and the norms; where the second nears the
    pass itself, the GPU waits for Python.
    """
    before, view = net.step()
    naive = Naive(before, view)

    def on_the_twin(passes: int = 1) -> None:
        for _ in range(passes):
            view.loss_and_gradient_at(view.parameters)

    ours, plain = in_turn(rounds, lambda: on_the_twin(count), lambda: naive.passes(count), clock=net.clock)
    yield compared(f"{count} passes on the twin / as many plain passes", net.name, ours, plain)
    given = [_giving(rounds, work, net.clock) for work in (on_the_twin, lambda: naive.passes(1))]
    yield compared("giving the GPU a pass on the twin / a plain pass", net.name, *given)


def _giving(rounds: int, work: Work, clock: Clock) -> Timed:
    """Return the seconds after which work that waits for nothing returns, though the GPU has not done it yet."""
    seconds = []
    for _ in range(rounds + 1):
        clock()
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return Timed(seconds[1:])


def ways(steps: int, rounds: int) -> Iterator[Answer]:
    """Compare the steps of each way with those in float32, and its rate with that of one large product of matrices."""
    exact: Timed | None = None
    for name, overrides in WAYS.items():
        net = Net.of(FULL, *VGG, *overrides)
        taken = _steps(net, steps, rounds)
        exact = exact or taken
        operations, best = _operations(net), _product_rate(net)
        rate = operations / taken.median
        note = f"{rate / 1e12:.1f} TFLOP/s; one product of {PRODUCT} x {PRODUCT} matrices, {best / 1e12:.0f} TFLOP/s"
        yield compared(f"a training step in {name} / in {EXACT}", FULL, taken, exact, note=note)


def _steps(net: Net, steps: int, rounds: int) -> Timed:
    """Return the seconds of a step over some rounds of one training."""
    until, marks = WARM_STEPS + rounds * steps, []

    def note(step: int, rows: Sequence[object]) -> bool:
        if step >= WARM_STEPS and (step - WARM_STEPS) % steps == 0:
            marks.append(gpu_clock())
        return step < until

    train(net.bare(), net.fresh(), note)
    return Timed([(end - begin) / steps for begin, end in pairwise(marks)])


def _operations(net: Net) -> float:
    """Return the floating-point operations of a step's convolutions and products of matrices."""
    plan, state = net.bare(), net.fresh()
    floor(plan, state, 1)
    with FlopCounterMode(display=False) as counter:
        floor(plan, state, 2)
    return float(counter.get_total_flops())


def _product_rate(net: Net) -> float:
    """Return the operations a second of a large product of matrices, in what the net is trained in."""
    kind = torch.bfloat16 if net.config.precision == "bfloat16" else torch.float32
    matrix = torch.randn(PRODUCT, PRODUCT, device="cuda", dtype=kind)
    set_tf32(net.config.tf32)
    (taken,) = in_turn(5, lambda: matrix @ matrix, clock=gpu_clock)
    return 2 * PRODUCT**3 / taken.median


def side_by_side(counts: Sequence[int], seconds: float) -> Iterator[Answer]:
    """Compare the time of a step of several trainings that share the GPU, each divided by their number, with one's."""
    for name in COMPANY:
        alone: Timed | None = None
        for count in counts:
            taken = Timed([_shared(WAYS[name], count, seconds)])
            alone = alone or taken
            if count > 1:
                question = f"a step of {count} runs side by side, each / {count}, {name} / alone"
                yield compared(question, FULL, taken, alone)


def _shared(overrides: Sequence[str], count: int, seconds: float) -> float:
    """Return the seconds of a step of processes that train at the same time, divided by their number."""
    context = get_context("spawn")
    pipes, processes = [], []
    for _ in range(count):
        ours, theirs = context.Pipe()
        processes.append(context.Process(target=_train_for, args=(theirs, [*VGG, *overrides], seconds)))
        processes[-1].start()
        theirs.close()  # so that the death of a process is the end of its pipe
        pipes.append(ours)
    try:
        for pipe in pipes:
            pipe.recv()
        for pipe in pipes:
            pipe.send(None)
        rates: list[float] = [pipe.recv() for pipe in pipes]
    except EOFError:
        raise UserError(
            f"--gpu: a process died, of {count} that train side by side; is there too little memory?"
        ) from None
    finally:
        for process in processes:
            process.terminate()
            process.join()
    return 1 / sum(rates)


def _train_for(pipe: Connection, overrides: Sequence[str], seconds: float) -> None:
    """Say when it is ready, and when told to, train for so long; answer with the steps a second."""
    net = Net.of(FULL, *overrides)
    begin = 0.0

    def note(step: int, rows: Sequence[object]) -> bool:
        nonlocal begin
        taken = step - WARM_STEPS
        if taken == 0:
            torch.cuda.synchronize()
            pipe.send(None)
            pipe.recv()
            begin = gpu_clock()
        elif taken > 0 and taken % 10 == 0 and gpu_clock() - begin >= seconds:
            pipe.send(taken / (gpu_clock() - begin))
            return False
        return True

    train(net.bare(), net.fresh(), note)


def small_nets(steps: int, rounds: int) -> Iterator[Answer]:
    """Compare the deep linear nets, ten seeds of all norms as one, on the GPU and on one core."""
    there, here = (Runs(configs(10, f"device={device}")) for device in ("cuda", "cpu"))
    on_gpu, on_cpu = in_turn(rounds, lambda: there.as_one(steps), lambda: here.as_one(steps), clock=gpu_clock)
    yield compared(f"7 runs x 10 seeds as one, {steps} steps, with probes: GPU / one core", "DLN", on_gpu, on_cpu)
