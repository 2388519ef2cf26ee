"""How long the commands take that train nothing: the help of each, and figures from committed tables."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.timing import Answer

PROJECT = Path(__file__).resolve().parents[2]
HELP, FIGURE, ALL = 1.5, 5.0, 30.0
"""Targets, in seconds."""

FAMILY = "santurkar2018"
SCALE = "laptop"


def startup(rounds: int, all_figures: bool) -> Iterator[Answer]:
    """Time each entry point's help, one figure and, if asked for, all."""
    for script in ("train", "reproduce", "audit"):
        yield _timed(f"experiments/{script}.py --help", rounds, HELP, f"experiments/{script}.py", "--help")
    with tempfile.TemporaryDirectory() as folder:
        _copied(Path(folder))
        for what, target in (("4", FIGURE), *([("all", ALL)] if all_figures else [])):
            arguments = ("experiments/reproduce.py", what, "--scale", SCALE, "--from-results", "--results", folder)
            shown = f"experiments/reproduce.py {what} --from-results"
            yield _timed(shown, 1 if what == "all" else rounds, target, *arguments)


def _copied(folder: Path) -> None:
    """Copy the results there, so that the committed ones stay as they are."""
    subprocess.run(["cp", "-r", str(PROJECT / "results" / FAMILY), str(folder)], check=True)


def _timed(question: str, rounds: int, target: float, *arguments: str) -> Answer:
    seconds, waited = zip(*(_run(arguments) for _ in range(rounds)), strict=True)
    own, wall = statistics.median(seconds), statistics.median(waited)
    return Answer(question, "", wall, None, "s", target=target, note=f"by the clock; {own:.1f} s of the processor")


def _run(arguments: tuple[str, ...]) -> tuple[float, float]:
    """Return the processor's and the clock's seconds of a command."""
    begin = time.monotonic()
    process = subprocess.Popen([sys.executable, *arguments], cwd=PROJECT, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return used.ru_utime + used.ru_stime, time.monotonic() - begin
