"""Keep what the runs of a figure that have ended measured, while others are still to be trained elsewhere.

python scripts/keep_runs.py 1 --scale desk --results unfinished/fig01
python experiments/reproduce.py 1 --scale desk --results unfinished/fig01 --add    trains, judges and draws

The first one writes the rows that these runs have in the figure's table, and where they come from: no picture and no
verdict. Given again, also elsewhere, it adds those that have ended since. The second one trains the runs that are
missing, on any machine. Until it has, no other figure can be in the same folder.
"""

import normscape.process.portable  # noqa: F401, I001 - first: torch chooses its kernels when it is imported

from normscape.process.interrupts import end_at_once

if __name__ == "__main__":  # so that Ctrl-C says one line while the rest is imported
    end_at_once()

import sys
from pathlib import Path

from normscape.errors import UserError
from normscape.process.entry import Parser, entry_point

PROJECT = Path(__file__).resolve().parents[1]
sys.path.append(str(PROJECT / "experiments"))


def main(arguments: list[str]) -> None:
    """Do what the command line asks, which is that of ``reproduce.py``."""
    parser = Parser(prog="keep_runs.py", description="Keep what a figure's runs that have ended measured.")
    parser.epilog = (
        "The arguments are those of reproduce.py: one figure, --family, --scale, --seeds, --dln-seeds, --results, "
        "--config-dir, and settings of the runs."
    )
    parser.parse_known_args(arguments)  # --help alone
    import reproduce
    from normscape.evidence.added import Kept
    from normscape.evidence.results import Results
    from normscape.evidence.table import written
    from normscape.evidence.tabulate import tabulate
    from normscape.runs import RunDirectory
    from normscape.storage.files import replace_all, require_writable

    if "--renew" in arguments:
        raise UserError("--renew: expected none, keep_runs keeps what there is; reproduce.py --add --renew trains anew")
    options = reproduce.parse(arguments)
    if options.figure == "all":
        raise UserError("keep_runs: expected one figure, e.g. keep_runs.py 1")
    for name in ("from_results", "add", "dry_run", "paper", "workers"):
        if getattr(options, name):
            raise UserError(f"--{name.replace('_', '-')}: expected none, keep_runs trains, draws and judges nothing")
    if options.launcher != "local":
        raise UserError(f"--launcher {options.launcher}: expected none, keep_runs trains nothing")
    figure = options.family.figure(options.figure)
    results = Results(options.folder, figure)
    before = results.kept()
    if {*options.folder.glob("*.json")} - {results.file} or (before and before["claims"]):
        raise UserError(f"--results {options.folder}: has results; give an empty folder")
    kept = Kept.of(results)
    declared = reproduce.asked(options).declared([figure], [kept])
    configs = [config for runs in declared.values() for config in runs]
    ended = [config for config in configs if config in kept or RunDirectory.of(config).summary is not None]
    missing = [config.label for config in configs if config not in ended]
    if not ended or not missing:
        raise UserError(f"{figure.label}: {len(ended)} of its {len(configs)} runs have ended; expected some, not all")
    kept.require_same(results, ended)
    text, manifest = tabulate(figure, ended, options.scale, kept)
    require_writable(options.folder, "--results")
    table, content, beside = written(text, options.folder, figure.stem)
    replace_all({table: content, results.file: results.judged_content((), manifest, with_paper=False)})
    beside.unlink(missing_ok=True)
    print(f"{figure.label}: kept {len(ended)} of its {len(configs)} runs; missing: {', '.join(missing)}")
    for file in results.files:
        print(f"  {file}")


if __name__ == "__main__":
    with entry_point():
        main(sys.argv[1:])
