"""The peak memory of a run with probes beside that of the floor, each in a process of its own."""

import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.floor import floor
from bench.networks import NETS, Net
from bench.timing import Answer
from normscape.loop import train

MORE, STEPS = 1.3, 3
"""Target: the run's peak over the floor's and the view's together; and how many steps each takes."""

SCRIPTS = Path(__file__).resolve().parents[1]
MEGABYTE = 2**20


def memory(name: str) -> Iterator[Answer]:
    """Compare the peaks of a run, whose first step all probes measure, and of the floor plus the view's size."""
    run, least = _peak(name, "run"), _peak(name, "floor")
    view = view_size(Net.of(name))
    note = f"the floor {least:.0f} MB (torch alone {_peak(name, 'nothing'):.0f} MB), the view {view:.1f} MB"
    base = MORE * least + view
    yield Answer("peak memory of a run / 1.3 x floor + view", name, run, base, "MB", run / base, None, None, 1.0, note)


def view_size(net: Net) -> float:
    """Return what a view holds besides the network, in MB: W(t), its gradient, W(t+1), a twin, state and batch."""
    tensors = [*net.state.model.parameters()]
    state = [*net.state.model.buffers()]
    count = net.config.batch_size or len(net.plan.dataset.train)
    inputs = net.plan.dataset.network_inputs(net.plan.dataset.train.inputs[:count])
    sizes = [4 * sum(map(_bytes, tensors)), 2 * sum(map(_bytes, state)), _bytes(inputs)]
    return sum(sizes) / MEGABYTE


def _bytes(tensor: "object") -> int:
    return int(tensor.nbytes)  # type: ignore[attr-defined]


def _peak(name: str, what: str) -> float:
    code = f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); from bench.memory import only; only({name!r}, {what!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


def only(name: str, what: str) -> None:
    """Do one of three things in this process, and print its peak in MB."""
    if what != "nothing":
        assert name in NETS
        net = Net.of(name)
        if what == "floor":
            floor(net.bare(), net.state, STEPS)
        else:
            train(net.plan, net.state, lambda step, rows: step < STEPS)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
