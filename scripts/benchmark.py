"""Measure what the suite costs, beside the least that the same arithmetic costs: make bench.

python scripts/benchmark.py            all of it, about ten minutes on two cores
python scripts/benchmark.py --quick    fewer rounds and steps, about two minutes
python scripts/benchmark.py --only loops startup
python scripts/benchmark.py --gpu      what a GPU does, about two minutes

Writes results/bench/<machine>.{csv,json,md}, -growth.csv and -shares.csv; with --quick or --only it only prints the
page.
"""

import normscape.process.portable  # noqa: F401, I001 - first: torch chooses its kernels when it is imported

from normscape.process.interrupts import end_at_once

if __name__ == "__main__":  # so that Ctrl-C says one line while the rest is imported
    end_at_once()

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normscape.errors import UserError, suggest
from normscape.process.entry import Parser, entry_point

if TYPE_CHECKING:
    from bench.growth import Growth
    from bench.shares import Share
    from bench.timing import Answer

PROJECT = Path(__file__).resolve().parents[1]


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(prog="benchmark.py", description="Measure what the suite costs.")
    parser.add_argument(
        "--quick", action="store_true", help="fewer rounds and steps: about two minutes; writes nothing"
    )
    parser.add_argument("--only", nargs="+", default=[], help=f"of {', '.join(QUESTIONS)}; writes nothing")
    parser.add_argument("--gpu", action="store_true", help="ask what a GPU does, and that alone")
    parser.add_argument("--results", type=Path, default=PROJECT / "results" / "bench", help="where the files go")
    options = parser.parse_args(arguments)
    for name in options.only:
        if name not in QUESTIONS:
            raise UserError(f"--only {name}: no such question{suggest(name, QUESTIONS)}")
    if options.gpu and options.only:
        raise UserError("--gpu: expected without --only, which asks what a processor does")
    return options


def _gpu_probes(quick: bool) -> "Iterator[Answer]":
    from bench.gpu import probes

    yield from probes(steps=10 if quick else 60, rounds=2 if quick else 5)


def _gpu_company(quick: bool) -> "Iterator[Answer]":
    from bench.gpu import side_by_side

    yield from side_by_side((1, 4), seconds=1.0 if quick else 4.0)


def _gpu_ways(quick: bool) -> "Iterator[Answer]":
    from bench.gpu import ways

    yield from ways(steps=10 if quick else 50, rounds=2 if quick else 5)


def _gpu_small_nets(quick: bool) -> "Iterator[Answer]":
    from bench.gpu import small_nets

    yield from small_nets(steps=20, rounds=1)


def _loops(quick: bool) -> "Iterator[Answer]":
    from bench.loops import loops
    from bench.networks import NETS, Net

    for name in NETS:
        more = 10 if name == "DLN" else 1
        steps, dense, rounds = (2 * more, 1, more) if quick else (8 * more, 2, 5)
        yield from loops(Net.of(name), steps, dense, rounds)


def _measures(quick: bool) -> "Iterator[Answer]":
    from bench.deep_linear import shift_as_one
    from bench.measures import measures, shift_of_all
    from bench.networks import NETS, RESIDUAL, RESIDUAL_NAME, Net

    for name in NETS:
        yield from measures(Net.of(name), (1 if quick else 3) * (4 if name == "DLN" else 1))
    yield from shift_of_all(Net.of(RESIDUAL_NAME, *RESIDUAL), rounds=1)
    yield from shift_as_one(seeds=10, rounds=3 if quick else 9)


def _deep_linear(quick: bool) -> "Iterator[Answer]":
    from bench.deep_linear import as_one

    yield from as_one(seeds=10, steps=50 if quick else 100, rounds=1 if quick else 2)


def _mlps(quick: bool) -> "Iterator[Answer]":
    from bench.mlps import as_one

    yield from as_one(seeds=10, rounds=3 if quick else 15)


def _memory(quick: bool) -> "Iterator[Answer]":
    from bench.memory import memory
    from bench.networks import NETS

    for name in NETS:
        yield from memory(name)


def _startup(quick: bool) -> "Iterator[Answer]":
    from bench.startup import startup

    yield from startup(rounds=1 if quick else 2, all_figures=not quick)


def _growth(quick: bool) -> "Iterator[Growth]":
    from bench.growth import growth

    yield from growth(quick)


def _kernels(quick: bool) -> "Iterator[Answer]":
    from bench.kernels import kernels

    yield from kernels(rounds=1 if quick else 5)


def _shares(quick: bool) -> "Iterator[Share | Answer]":
    from bench.networks import NETS, Net
    from bench.shares import shares

    for name in NETS:
        yield from shares(Net.of(name), 4 if quick else 16)


QUESTIONS: dict[str, "Callable[[bool], Iterator[Answer | Growth | Share]]"] = {
    "loops": _loops,
    "measures": _measures,
    "deep_linear": _deep_linear,
    "mlps": _mlps,
    "memory": _memory,
    "startup": _startup,
    "kernels": _kernels,
    "shares": _shares,
    "growth": _growth,
}
"""What can be asked, in this order; each takes whether it should be quick."""

ON_GPU: dict[str, "Callable[[bool], Iterator[Answer]]"] = {
    "probes": _gpu_probes,
    "ways": _gpu_ways,
    "small_nets": _gpu_small_nets,
    "company": _gpu_company,
}
"""The same for a GPU."""


def main(arguments: Sequence[str]) -> None:
    """Do what the command line asks."""
    options = parse(arguments)
    os.environ.setdefault("KINETO_LOG_LEVEL", "5")  # torch's profiler reports that there is no GPU as an error
    import torch
    from bench.page import Findings, page, write

    from normscape.process.provenance import provenance

    torch.set_num_threads(1)
    device = torch.device("cuda" if options.gpu else "cpu")
    if options.gpu and not torch.cuda.is_available():
        raise UserError("--gpu: expected a machine with a GPU")
    header: dict[str, Any] = {**provenance(device), "load": [os.getloadavg()[0]] * 2}
    findings = Findings()
    files: list[Path] = []

    def keep() -> list[Path]:
        return [] if options.quick or options.only else write(options.results, header, findings)

    questions = ON_GPU if options.gpu else QUESTIONS
    asked = [name for name in questions if not options.only or name in options.only]
    for place, name in enumerate(asked):
        for found in questions[name](options.quick):
            print(findings.add(found), flush=True)
            header["load"][1], header["unanswered"] = os.getloadavg()[0], asked[place:]
            files = keep()
        header["unanswered"] = asked[place + 1 :]
        files = keep()
    print("\n".join(map(str, files)) if files else f"\n{page(header, findings)}", flush=True)


if __name__ == "__main__":
    with entry_point():
        main(sys.argv[1:])
