"""Whose kernels compute a run on a CPU: those that every x86 machine with AVX2 has (`portable`), or its fastest."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from normscape.errors import UserError, suggest
from normscape.process import portable
from normscape.process.portable import LIMITS
from normscape.schema import RunConfig

KINDS = ("auto", "portable", "native")
"""``auto`` is portable where a process can have them, and native elsewhere; provenance says what it was."""

INITIAL = Path("/proc/self/environ")
"""The environment with which this process began, where the system tells; what Python set later is not in it."""


def check_kernels(kernels: str, threads: int) -> None:
    """Raise `UserError` for kernels that there are not, or that are not portable with so many threads."""
    if kernels not in KINDS:
        raise UserError(f"kernels={kernels}: expected {', '.join(KINDS[:-1])} or {KINDS[-1]}{suggest(kernels, KINDS)}")
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

    If it has others, the process is replaced by the same command with the right ones: the function does not return
    then. For scripts alone, before they print or write anything.

    Raises
    ------
    UserError
        If the runs ask for different kernels, or the limits do not take effect.
    """
    kinds = sorted({config.kernels for config in configs})
    if len(kinds) > 1:
        raise UserError(f"kernels={','.join(kinds)}: a process has one kind; expected one value, and a call for each")
    limited = all(os.environ.get(name) == value for name, value in LIMITS.items())
    if kinds == ["portable"] and not limited:
        _start_again({**os.environ, **LIMITS})
    if kinds == ["native"] and limited:
        own = {name: value for name, value in os.environ.items() if name not in LIMITS}
        _start_again({**own, portable.NATIVE: "1"})
    for kind in kinds:
        require_kernels(kind)


def _start_again(environment: dict[str, str]) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def require_kernels(kernels: str) -> None:
    """Raise `UserError` if a run is about to be computed with other kernels than it asks for."""
    if kernels == "auto":
        return
    began = _initial_environment()
    missing = [f"{name}={value}" for name, value in LIMITS.items() if began.get(name) != value]
    if kernels == "native":
        if not missing:
            raise UserError(f"kernels=native: expected an environment without {', '.join(LIMITS)}; unset them")
        return
    if missing:
        raise UserError(
            f"kernels=portable: expected {' '.join(missing)} in the environment before Python starts, e.g. in that of "
            "the processes of a launcher"
        )
    if (found := torch.backends.cpu.get_cpu_capability()) != "AVX2":
        raise UserError(f"kernels=portable: expected torch's kernels for AVX2, and it has {found}; use kernels=native")


def _initial_environment() -> dict[str, str]:
    """Return the environment with which torch was imported; today's, if nothing tells."""
    if portable.BEGAN is not None:
        return portable.BEGAN
    try:
        entries = INITIAL.read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return dict(os.environ)
    began = dict(entry.split("=", 1) for entry in entries if "=" in entry)
    return began if "PATH" in began else dict(os.environ)  # without: it was overwritten, as to give a process a title
