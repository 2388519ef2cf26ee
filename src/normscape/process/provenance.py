"""Where numbers come from: code, versions, machine."""

import hashlib
import importlib.metadata
import os
import platform
import re
import shlex
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from normscape.process.entry import COMMAND, typed_command
from normscape.storage.files import read_json

PACKAGES = ("torch", "torchvision", "numpy", "pandas", "matplotlib", "hydra-core", "wandb")


KERNEL_LIMITS = (
    "ATEN_CPU_CAPABILITY",
    "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA",
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
)
"""Variables that limit the kernels of torch, oneDNN and MKL to an instruction set; they change a CPU's bits."""

LIBRARIES = {"blas": r"BLAS_INFO=(\w+)", "mkl": r"Math Kernel Library Version (\S+)", "onednn": r"MKL-DNN v(\S+)"}
"""Where torch's own description of its build names the libraries that multiply and convolve on a CPU."""


class _UnknownError(Exception):
    """Why git does not say what it is asked."""


def _git(*arguments: str) -> str:
    here = Path(__file__).parent
    english = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, timeout=10, env=english)
    except FileNotFoundError:
        raise _UnknownError("there is no git on this machine") from None
    except (OSError, subprocess.SubprocessError) as error:
        raise _UnknownError(f"git does not answer ({type(error).__name__})") from error
    if done.returncode == 0:
        return done.stdout.strip()
    if "dubious ownership" in done.stderr:
        trust = f"git config --global --add safe.directory {shlex.quote(str(here.parents[2]))}"
        raise _UnknownError(f"the repository belongs to another user, and git refuses it; to trust it: {trust}")
    said = next((line for known, line in REASONS.items() if known in done.stderr), None)
    raise _UnknownError(said or f"git fails ({next(iter(done.stderr.splitlines()), done.returncode)})")


REASONS = {
    "not a git repository": "the code is in no git repository",
    "did not match any file": "the code is in no git repository",  # it lies in one of somebody else's
    "ambiguous argument 'HEAD'": "the repository has no commit yet",
}


STAMP = Path(".carry") / "code.json"
"""In a copy of the code that is carried to a machine without its git history: the commit, and what it consists of."""

CODE = ("src", "configs", "experiments")
MADE = ("__pycache__", ".egg-info")
"""How folders end that Python makes beside the code."""


def code_digest(project: Path) -> str:
    """Return a hash of the code and the configs of a copy of the project: of all but what Python makes of it."""
    there = [path for folder in CODE for path in (project / folder).rglob("*") if path.is_file()]
    files = [path for path in there if not any(part.endswith(MADE) for part in path.relative_to(project).parts)]
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path.relative_to(project).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _stamped() -> str | None:
    """Return the commit that a copy of the code was stamped with, with ``+changes`` if it has changed since."""
    project = Path(__file__).resolve().parents[3]
    stamp = read_json(project / STAMP)
    if not isinstance(stamp, dict) or not {"commit", "sha256"} <= set(stamp):
        return None
    same = code_digest(project) == stamp["sha256"] or stamp["commit"].endswith("+changes")
    return str(stamp["commit"]) if same else f"{stamp['commit']}+changes"


def commit_of_code() -> tuple[str | None, str | None]:
    """Return the commit of the code that runs, as `commit` does, and if none is known, why."""
    try:
        revision = _git("rev-parse", "HEAD")
        _git("ls-files", "--error-unmatch", Path(__file__).name)
    except _UnknownError as error:
        stamped = _stamped()
        return stamped, None if stamped else str(error)
    try:
        changed = _git("status", "--porcelain", "--", *(f"../../{folder}" for folder in CODE))
    except _UnknownError:
        changed = "perhaps"
    if not changed:
        return revision, None
    stamped = _stamped()  # a copy may be carried into a checkout of another commit
    known = stamped and not stamped.endswith("+changes")
    return (stamped if known else f"{revision}+changes"), None


def commit() -> str | None:
    """Return the commit of the code that runs, with ``+changes`` if it or its configs differ; None if none is known."""
    return commit_of_code()[0]


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {**versions, **_libraries()}


def _libraries() -> dict[str, str]:
    described = torch.__config__.show()
    found = {name: re.search(pattern, described) for name, pattern in LIBRARIES.items()}
    return {name: match[1] if match else "not there" for name, match in found.items()}


def _vector_extensions() -> list[str]:
    """Return the processor's, from which oneDNN chooses; what it chose it does not tell, save in ONEDNN_VERBOSE=1."""
    known: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # which older ones have not
    return sorted(name for name in known if name.startswith(("avx", "amx", "fma", "sve", "neon")) and known[name])


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def provenance(device: torch.device | None = None) -> dict[str, Any]:
    """Return commit, command, versions, hardware and time, ready for JSON.

    The command is the one that the user typed, in every process that it started.

    The bits of a run on a CPU depend on the instruction set that its kernels use, not on the processor's name.
    """
    revision, unknown = commit_of_code()
    return {
        "commit": revision,
        **({"commit_unknown": unknown} if unknown else {}),
        "command": os.environ.get(COMMAND) or typed_command(),
        "versions": _versions(),
        "hardware": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "instruction_set": torch.backends.cpu.get_cpu_capability(),
            "vector_extensions": _vector_extensions(),
            "kernel_limits": {name: os.environ[name] for name in KERNEL_LIMITS if name in os.environ},
            "device": torch.cuda.get_device_name(device) if device and device.type == "cuda" else "cpu",
            "threads": torch.get_num_threads(),
        },
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
    }
