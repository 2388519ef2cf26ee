"""The peak memory of a run with probes beside that of the floor, each in a process of its own."""

import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from bench.floor import floor
from bench.networks import NETS, Net
from bench.timing import Answer
from normscape.loop import train

MORE, STEPS = 1.3, 3
"""Target: the run's peak over the floor's and the view's together; and how many steps each takes."""

FEW = {"VGG, 1/8 width": ["data.train_images=256"]}
"""Settings by which making up the data is not what takes most."""

SCRIPTS = Path(__file__).resolve().parents[1]
MEGABYTE = 2**20


def memory(name: str) -> Iterator[Answer]:
    """Compare the peaks of a run, whose first step all probes measure, and of the floor plus the view's size."""
    run, least = _peak(name, "run"), _peak(name, "floor")
    view = view_size(Net.of(name, *FEW.get(name, [])))
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


def _bytes(tensor: Tensor) -> int:
    return int(tensor.nbytes)


def _peak(name: str, what: str) -> float:
    code = f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); from bench.memory import only; only({name!r}, {what!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


def only(name: str, what: str) -> None:
    """Do one of three things in this process, and print its peak in MB."""
    if what != "nothing":
        assert name in NETS
        net = Net.of(name, *FEW.get(name, []))
        if what == "floor":
            floor(net.bare(), net.state, STEPS)
        else:
            train(net.plan, net.state, lambda step, rows: step < STEPS)
    print(peak() / MEGABYTE)


def peak(status: Path = Path("/proc/self/status")) -> float:
    """Return this process's peak in bytes.

    Not what ``resource.getrusage`` says on Linux: a new process inherits there the peak of the one that started it.
    """
    try:
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
    except OSError:
        return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)  # of macOS, in bytes
    return 1024 * float(line.split()[1])
