"""Retrain a few committed runs here and compare them with the committed tables, digit by digit: make verify.

python scripts/verify.py                                    the cheapest runs of results/santurkar2018/laptop
python scripts/verify.py --runs vgg_batch-s0 dln_l1-s3      these
python scripts/verify.py FOLDER --count 1                   only the cheapest of FOLDER

Exits with 0 if every row is the same, 1 if one differs, 2 if what is there cannot be compared.
"""

import normscape.process.portable  # noqa: F401, I001 - first: torch chooses its kernels when it is imported

from normscape.process.interrupts import end_at_once

if __name__ == "__main__":  # so that Ctrl-C says one line while the rest is imported
    end_at_once()

import io
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from normscape.errors import UserError, suggest
from normscape.evidence.figure import Family
from normscape.evidence.results import Results, run_entries
from normscape.evidence.table import COLUMNS, read_table, table_bytes
from normscape.process.entry import Parser, entry_point
from normscape.process.portable import LIMITS

if TYPE_CHECKING:
    from normscape.config import RunConfig

PROJECT = Path(__file__).resolve().parents[1]
sys.path.append(str(PROJECT / "experiments"))

COUNT = 3
EXAMPLE = "results/santurkar2018/laptop"


@dataclass
class Committed:
    """A run as results keep it: its entry in a manifest, and the figures whose tables have rows of it."""

    name: str
    seed: int
    scale: str
    kernels: str
    entry: Mapping[str, Any]
    figures: dict[str, Path] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What it is called on the command line."""
        return f"{self.name}-s{self.seed}"


def committed_runs(family: Family, folder: Path) -> list[Committed]:
    """Read what runs a folder of results was made from on a CPU."""
    found: dict[str, Committed] = {}
    for figure in family.figures():
        results = Results(folder, figure)
        kept, table = results.kept(), results.table_file
        if kept is None or table is None:
            continue
        manifest = kept["manifest"]
        read_table(table, manifest["table"])  # refused, if it is not the one that was made
        for name, seed, entry in run_entries(manifest):
            if entry["hardware"]["device"] == "cpu":
                kernels = manifest["runs"][name]["config"].get("kernels", "auto")
                new = Committed(name, seed, manifest["scale"], kernels, entry)
                found.setdefault(new.label, new).figures[str(figure.name)] = table
    if not found:
        raise UserError(f"{folder}: expected a folder of results with runs made on a CPU, e.g. {EXAMPLE}")
    return list(found.values())


def chosen(runs: Sequence[Committed], labels: Sequence[str], count: int) -> list[Committed]:
    """Return the runs that were asked for, or the cheapest seed of the cheapest ones."""
    by_label = {run.label: run for run in runs}
    for label in labels:
        if label not in by_label:
            raise UserError(f"--runs {label}: no such committed run{suggest(label, by_label)}")
    if labels:
        return [by_label[label] for label in labels]
    cheapest: dict[str, Committed] = {}
    for run in sorted(runs, key=lambda run: float(run.entry["wall_seconds"])):
        cheapest.setdefault(run.name, run)
    return list(cheapest.values())[:count]


def config_of(family: Family, run: Committed) -> "RunConfig":
    """Compose the run, which must be the committed one."""
    from normscape.config import compose_run
    from normscape.identity import identity

    declared = family.figure(next(iter(run.figures))).runs.get(run.name, (f"run={run.name}",))
    own = [*declared, f"scale={run.scale}", f"seed={run.seed}", f"kernels={run.kernels}"]
    config = compose_run([*own, "tracker=none", "device=cpu"])
    was = run.entry["directory"].rpartition("-")[2]
    if identity(config) != was:
        raise UserError(
            f"{run.label}: cannot be compared; the code now gives {identity(config)}, but the results have {was}: "
            "check out the commit of the results, or make them again"
        )
    return config


def agreement(family: Family, run: Committed, config: "RunConfig") -> tuple[int, int]:
    """Return how many of the run's committed rows came out the same, digit by digit, and of how many.

    What figures show of their first seed alone is not in the tables of the others: only committed rows count.
    """
    from normscape.evidence.finished import FinishedRun
    from normscape.runs import RunDirectory

    finished, same, total = FinishedRun(config, RunDirectory.of(config)), 0, 0
    for name, file in run.figures.items():
        table = table_bytes(family.figure(name).module.table([finished]))
        fresh = pd.read_csv(io.BytesIO(table), dtype=str, keep_default_na=False)
        kept = pd.read_csv(file, dtype=str, keep_default_na=False)
        kept = kept[(kept["run"] == run.name) & (kept["seed"] == str(run.seed))]
        before, now = (Counter(each[COLUMNS].itertuples(index=False, name=None)) for each in (kept, fresh))
        same += (before & now).total()
        total += before.total()
    return same, total


def expected(run: Committed) -> str:
    """Say what a difference of the run means on this machine."""
    import torch

    from normscape.process.provenance import provenance

    mine, theirs = provenance()["hardware"], run.entry["hardware"]
    here, there = mine["instruction_set"], theirs.get("instruction_set")
    if run.entry["versions"]["torch"] != torch.__version__.partition("+")[0]:
        return f"expected: made with torch {run.entry['versions']['torch']}, and here is {torch.__version__}"
    if mine["kernel_limits"] == theirs.get("kernel_limits") == LIMITS:
        return (
            "portable kernels should give the same, here and there; docs/reproducibility.md says where they are known "
            "not to; anything else please report, with both provenance.json"
        )
    if there is None:
        return (
            f"made with native kernels, for an instruction set not recorded in its manifest; here it is {here}. On "
            "another than its own a difference is expected: sums are taken in another order, which training amplifies"
        )
    if there != here:
        return f"expected: made with native kernels for {there}, and here they are for {here}, in another order of sums"
    return f"not expected: made with native kernels for {there}, as here; has the code changed without NUMERICS?"


def main(arguments: list[str]) -> int:
    """Return the exit code: 0 for the same, 1 for a difference."""
    parser = Parser(description="Retrain committed runs and compare them with the committed tables.")
    parser.add_argument("results", type=Path, nargs="?", default=PROJECT / EXAMPLE)
    parser.add_argument("--runs", nargs="+", default=[], help="e.g. dln_standard-s0 (default: the cheapest)")
    parser.add_argument("--count", type=int, default=COUNT, help=f"how many of the cheapest (default: {COUNT})")
    options = parser.parse_args(arguments)
    if options.count < 1:
        raise UserError(f"--count {options.count}: expected 1 or more")
    folder = options.results.resolve()
    if not any(folder.glob("*.json")):
        raise UserError(f"{folder}: expected a folder of results, e.g. {EXAMPLE}")
    family = Family.of(folder.parent.name, PROJECT)
    runs = chosen(committed_runs(family, folder), options.runs, options.count)
    from normscape.engines.lanes import side_by_side
    from normscape.engines.pool import execute_all
    from normscape.process.kernels import use_kernels

    configs = [config_of(family, run) for run in runs]
    use_kernels(configs)
    seconds = sum(float(run.entry["wall_seconds"]) for run in runs)
    print(
        f"Retraining {', '.join(run.label for run in runs)}; where they were made it took {seconds:.0f} s", flush=True
    )
    different = False
    with tempfile.TemporaryDirectory(prefix="normscape-verify-") as scratch:
        configs = [replace(config, runs_dir=scratch) for config in configs]
        if failures := execute_all(configs, side_by_side(configs)):
            raise UserError("; ".join(failures))
        for run, config in zip(runs, configs, strict=True):
            same, total = agreement(family, run, config)
            different |= same < total
            outcome = "the same" if same == total else f"different, {same / total:.2%} of the rows agree"
            print(f"{run.label}: {outcome} ({total} rows of {len(run.figures)} figures)")
            if same < total:
                print(f"  {expected(run)}")
    return int(different)


if __name__ == "__main__":
    with entry_point():
        sys.exit(main(sys.argv[1:]))
