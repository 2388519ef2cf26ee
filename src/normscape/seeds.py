"""Random streams as functions of (seed, purpose, counter).

No stream has a state that outlives its use: the batch order is a function of the epoch, layer noise of the step. So a
resumed run needs no saved generator, and a probe can draw again exactly what the training step drew.
"""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor


def derive(seed: int, *purpose: str | int) -> int:
    """Return a 63-bit seed that depends on all of ``seed`` and ``purpose``, e.g. ``derive(0, "order", epoch)``."""
    text = "/".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *purpose: str | int) -> torch.Generator:
    """Return a CPU generator at the start of the stream for ``purpose``."""
    return torch.Generator().manual_seed(derive(seed, *purpose))


def seed_streams(seed: int, *purpose: str | int) -> None:
    """Set every global random stream that foreign code may draw from: torch's on all devices, NumPy's and Python's."""
    derived = derive(seed, *purpose)
    if torch.cuda.is_initialized() or torch.backends.mps.is_built():  # type: ignore[no-untyped-call]
        torch.manual_seed(derived)
    else:  # the same on a CPU, where torch.manual_seed spends most of its time on devices that are not in use
        torch.default_generator.manual_seed(derived)
    np.random.seed(derived % 2**32)
    random.seed(derived)


def seed_layer_noise(seed: int, step: int) -> None:
    """Set the global random streams to their positions at the start of ``step``'s forward pass.

    Layers that draw (noise, dropout) draw from the global streams, so every forward pass of a step that starts here
    draws the same numbers.
    """
    seed_streams(seed, "layer_noise", step)


@dataclass(frozen=True)
class Streams:
    """The positions of the global random streams: torch's on the CPU and on one device, NumPy's and Python's."""

    device: torch.device
    cpu: Tensor
    on_device: Tensor | None
    numpy: Any
    python: Any

    @classmethod
    def now(cls, device: torch.device) -> "Streams":
        """Record where the streams are."""
        on_device = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        return cls(device, torch.get_rng_state(), on_device, np.random.get_state(), random.getstate())

    def restore(self) -> None:
        """Restore the streams to these positions."""
        torch.set_rng_state(self.cpu)
        if self.on_device is not None:
            torch.cuda.set_rng_state(self.on_device, self.device)
        np.random.set_state(self.numpy)
        random.setstate(self.python)


@contextmanager
def kept_streams(device: torch.device) -> Iterator[None]:
    """Let the block draw from the global random streams, and restore them afterwards."""
    before = Streams.now(device)
    try:
        yield
    finally:
        before.restore()
