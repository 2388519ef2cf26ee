"""Bring what a machine without network lacks, as wheels: python scripts/wheels.py .carry/wheels --python 3.12.

Versions and hashes are those of requirements.lock. Torch, torchvision, NumPy and Pillow are left out, which a machine
with a GPU has in versions of its own, and W&B, which runs do without (tracker=none). There:

python -m pip install --no-index --no-deps --target .carry/site .carry/wheels/*.whl
"""

from normscape.process.interrupts import end_at_once

if __name__ == "__main__":  # so that Ctrl-C says one line while the rest is imported
    end_at_once()

import importlib.metadata
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.requirements import Requirement

from normscape.errors import UserError, suggest
from normscape.process.entry import Parser, entry_point
from normscape.storage.parts import MEBIBYTE

LOCK = Path(__file__).resolve().parents[1] / "requirements.lock"
THERE = ("torch", "torchvision", "numpy", "pillow", "wandb")
GLIBC = ("2014", "_2_17", "_2_24", "_2_27", "_2_28", "_2_31", "_2_34", "_2_35")
"""Of the wheels for Linux that are taken; pip compares each exactly."""


def main(arguments: list[str]) -> None:
    """Do what the command line asks."""
    parser = Parser(description="Download what a machine without network lacks, as wheels.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("packages", nargs="*", help="only these (default: what normscape needs beside torch)")
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    parser.add_argument("--python", default=here, help=f"the version there (default: {here})")
    options = parser.parse_intermixed_args(arguments)
    if not re.fullmatch(r"3\.\d+", options.python):
        raise UserError(f"--python {options.python}: expected a version such as 3.12")
    locked = read_lock(options.python)
    for name in options.packages:
        if name not in locked:
            raise UserError(f"{name}: not in requirements.lock{suggest(name, locked)}")
    for name in options.packages or needed():
        if name in locked:
            download(locked[name], name, options.folder, options.python)
    size = sum(wheel.stat().st_size for wheel in options.folder.glob("*.whl")) / MEBIBYTE
    print(f"{options.folder}: {len(list(options.folder.glob('*.whl')))} wheels, {size:.1f} MiB")


def read_lock(python: str) -> dict[str, str]:
    """Return the lines of the lock that hold for Linux and a version of Python, by package."""
    entries = re.split(r"\n(?=\S)", LOCK.read_text().replace("\\\n", ""))
    machine = {"python_full_version": f"{python}.0", "python_version": python, "sys_platform": "linux"}
    locked = {}
    for entry in entries:
        requirement = Requirement(entry.partition("--hash")[0].strip())
        if requirement.marker is None or requirement.marker.evaluate(machine):
            locked[requirement.name] = entry
    return locked


def needed() -> list[str]:
    """Return what normscape needs, directly or not, beside what is there."""
    found: dict[str, None] = {}
    waiting = ["normscape"]
    while waiting:
        name = waiting.pop()
        for line in importlib.metadata.requires(name) or []:
            requirement = Requirement(line)
            name = requirement.name.lower().replace("_", "-")
            if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
                continue
            if name not in found and name not in THERE:
                found[name] = None
                waiting.append(name)
    return sorted(found)


def download(entry: str, name: str, folder: Path, python: str) -> None:
    """Fetch the wheel of a package for the machine there, or build it if it has no code to compile."""
    there = [f"--python-version={python}", "--implementation=cp", "--only-binary=:all:"]
    there += [f"--platform=manylinux{version}_x86_64" for version in GLIBC]
    with tempfile.TemporaryDirectory() as scratch:
        line = Path(scratch) / "requirement.txt"
        line.write_text(re.sub(r";.*?(?=--hash)", "", entry) + "\n")
        shared = ["--no-deps", "--require-hashes", "--disable-pip-version-check", "-q", "-r", str(line)]
        said = pip("download", *there, "-d", str(folder), *shared)
        if said is None:
            return
        built = Path(scratch) / "built"
        said = pip("wheel", "--no-build-isolation", "-w", str(built), *shared) or said
        wheels = list(built.glob("*-none-any.whl"))
        if not wheels:
            raise UserError(f"{name}: no wheel for Python {python} on Linux ({said.splitlines()[-1]})")
        (folder / wheels[0].name).write_bytes(wheels[0].read_bytes())


def pip(*arguments: str) -> str | None:
    """Call pip; return what it says of a failure."""
    done = subprocess.run([sys.executable, "-m", "pip", *arguments], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else (done.stderr.strip() or f"exit status {done.returncode}")


if __name__ == "__main__":
    with entry_point():
        main(sys.argv[1:])
