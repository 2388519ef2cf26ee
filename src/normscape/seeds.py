"""Random streams as functions of (seed, purpose, counter).

No stream has a state that outlives its use: the batch order is a function of the epoch, layer noise of the step. So a
resumed run needs no saved generator, and a probe can draw again exactly what the training step drew.
"""

import hashlib

import torch


def derive(seed: int, *purpose: str | int) -> int:
    """Return a 63-bit seed that depends on all of ``seed`` and ``purpose``, e.g. ``derive(0, "order", epoch)``."""
    text = "/".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *purpose: str | int) -> torch.Generator:
    """Return a CPU generator at the start of the stream for ``purpose``."""
    return torch.Generator().manual_seed(derive(seed, *purpose))
