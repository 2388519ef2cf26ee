"""Hold this process's CPU kernels to those that every x86 machine with AVX2 has; imported first by scripts that train.

Torch, oneDNN and MKL each choose code for the processor's instruction set, and sums are then taken in another order:
the same run has other bits on another machine. Three environment variables hold them to what all x86 processors with
AVX2 have. They count only if they are there before torch is imported.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import normscape.process.surroundings  # noqa: F401 - so that matplotlib can be imported

LIMITS = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_CBWR": "COMPATIBLE"}
"""What holds torch, oneDNN and MKL to kernels that do not depend on the processor."""

NATIVE = "NORMSCAPE_NATIVE_KERNELS"
"""The variable that tells a process to leave its kernels as they are, and the processes that it starts."""


def has_avx2(processor: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor has AVX2; where the system does not tell, it counts as having none."""
    try:
        return "avx2" in processor.read_text().split()
    except OSError:
        return False


def set_limits(modules: Mapping[str, object] = sys.modules) -> None:
    """Set the limits where they can take effect; what the user has set stays."""
    if NATIVE not in os.environ and "torch" not in modules and has_avx2():
        for name, value in LIMITS.items():
            os.environ.setdefault(name, value)


set_limits()
BEGAN = None if "torch" in sys.modules else dict(os.environ)
"""The environment with which torch will be imported; None if it has been."""
