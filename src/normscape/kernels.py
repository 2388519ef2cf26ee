"""Whose kernels compute a run on a CPU: the fastest that the processor has, or those that every x86 machine has.

Torch, oneDNN and MKL each choose code for the processor's instruction set, and sums are then taken in another order.
Three environment variables hold them to what all x86 processors with AVX2 have; they count only if they are there
before the libraries first compute, so a process that needs them starts itself once more with them (`use_kernels`).
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from normscape.errors import UserError, suggest
from normscape.schema import RunConfig

KINDS = ("native", "portable")

PORTABLE = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_CBWR": "COMPATIBLE"}
"""What holds torch, oneDNN and MKL to kernels that do not depend on the processor."""

INITIAL = Path("/proc/self/environ")
"""The environment with which this process began, where the system tells; what Python set later is not in it."""


def check_kernels(kernels: str, threads: int) -> None:
    """Raise `UserError` for kernels that there are not, or that are not portable with so many threads."""
    if kernels not in KINDS:
        raise UserError(f"kernels={kernels}: expected {' or '.join(KINDS)}{suggest(kernels, KINDS)}")
    if kernels == "portable" and threads != 1:  # each number of threads takes sums in an order of its own
        raise UserError(f"threads={threads}: expected 1 with kernels=portable, whose numbers are those of one thread")


def check_device(kernels: str, device: torch.device) -> None:
    """Raise `UserError` if portable kernels are asked for where there are none."""
    if kernels != "portable":
        return
    if device.type != "cpu":
        raise UserError(
            f"kernels=portable: it chooses the kernels of a CPU, and this run is on {device}, whose numbers it cannot "
            "make portable; add device=cpu, or leave kernels out"
        )
    if not torch.cpu._is_avx2_supported():
        raise UserError("kernels=portable: expected an x86 processor with AVX2, which this is not; use kernels=native")


def use_kernels(configs: Sequence[RunConfig]) -> None:
    """Make sure that this process, and those that it starts, have the kernels that some runs ask for.

    If they need limits with which it did not begin, the process is replaced by the same command with them: the function
    does not return then. For scripts alone, before they print or write anything.

    Raises
    ------
    UserError
        If the runs ask for different kernels, or the limits do not take effect.
    """
    kinds = sorted({config.kernels for config in configs})
    if len(kinds) > 1:
        raise UserError(f"kernels={','.join(kinds)}: a process has one kind; expected one value, and a call for each")
    if kinds != ["portable"]:
        return
    if any(os.environ.get(name) != value for name, value in PORTABLE.items()):
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **PORTABLE})
    require_kernels("portable")


def require_kernels(kernels: str) -> None:
    """Raise `UserError` if a run is about to be computed with other kernels than it asks for."""
    if kernels != "portable":
        return
    began = _initial_environment()
    missing = [f"{name}={value}" for name, value in PORTABLE.items() if began.get(name) != value]
    if missing:
        raise UserError(
            f"kernels=portable: expected {' '.join(missing)} in the environment before Python starts, e.g. in that of "
            "the processes of a launcher"
        )
    if (found := torch.backends.cpu.get_cpu_capability()) != "AVX2":
        raise UserError(f"kernels=portable: expected torch's kernels for AVX2, and it has {found}; use kernels=native")


def _initial_environment() -> dict[str, str]:
    """Return the environment with which this process began; today's, if the system does not tell."""
    try:
        entries = INITIAL.read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return dict(os.environ)
    began = dict(entry.split("=", 1) for entry in entries if "=" in entry)
    return began if "PATH" in began else dict(os.environ)  # without: it was overwritten, as to give a process a title
