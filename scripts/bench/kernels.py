"""What portable kernels cost: training steps with them, and with the processor's own, in processes that take turns."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from bench.floor import floor
from bench.growth import MLP
from bench.growth import NETS as GROWING
from bench.networks import NETS, Net
from bench.timing import Answer, Timed, compared
from normscape.process.portable import LIMITS, NATIVE

SCRIPTS = Path(__file__).resolve().parents[1]
STEPS = 10


def kernels(rounds: int) -> Iterator[Answer]:
    """Compare the floor's steps with portable and with native kernels."""
    for name in [*NETS, MLP]:
        portable: list[float] = []
        native: list[float] = []
        for _ in range(rounds):
            portable.append(_seconds(name, {}))
            native.append(_seconds(name, {NATIVE: "1"}))
        yield compared(f"{STEPS} steps, portable / native kernels", name, Timed(portable), Timed(native))


def _seconds(name: str, more: dict[str, str]) -> float:
    code = f"import normscape.process.portable, sys; sys.path.insert(0, {str(SCRIPTS)!r}); "
    code += f"from bench.kernels import only; only({name!r})"
    environment = {key: value for key, value in os.environ.items() if key not in (*LIMITS, NATIVE)} | more
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return float(done.stdout)


def only(name: str) -> None:
    """Take some steps in this process, and print the processor's seconds of the latter half of them."""
    torch.set_num_threads(1)
    net = Net.of(name, *(GROWING[MLP] if name == MLP else ()))
    plan, state = net.bare(), net.fresh()
    floor(plan, state, STEPS)
    begin = time.process_time()
    floor(plan, state, 2 * STEPS)
    print(time.process_time() - begin)
