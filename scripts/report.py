"""One page for a browser, of the results or of a folder of runs; it needs no server, no network and no account.

python scripts/report.py                    the results of all families and scales: report.html
python scripts/report.py --runs runs        the runs of a folder, e.g. of a sweep: runs/report.html
"""

from normscape.process.interrupts import end_at_once

if __name__ == "__main__":  # so that Ctrl-C says one line while the rest is imported
    end_at_once()

import sys
from pathlib import Path

from normscape.errors import UserError, suggest
from normscape.page.document import MOST_BYTES, write_page
from normscape.process.entry import Parser, entry_point

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT / "experiments"))


def main(arguments: list[str]) -> None:
    """Write the page, and say where it is."""
    parser = Parser(prog="report.py", description="Write one page for a browser, of results or of runs.")
    parser.add_argument("--runs", type=Path, help="a folder of runs, e.g. runs; without it the page is of the results")
    parser.add_argument("--results", type=Path, default=PROJECT / "results", help="default: results of the project")
    parser.add_argument("--family", action="append", default=[], help="only this family of results; can be repeated")
    parser.add_argument("--scale", action="append", default=[], help="only this scale of results; can be repeated")
    parser.add_argument("--out", type=Path, help="the page (default: report.html, of runs in their folder)")
    options = parser.parse_args(arguments)
    options.runs = options.runs and options.runs.expanduser()
    if options.runs is not None:
        if options.family or options.scale:
            raise UserError("--runs: expected without --family and --scale, which choose among results")
        page, notes = page_of_runs(options.runs)
    else:
        page, notes = page_of_results(options.results, options.family, options.scale), []
    out = options.out or (options.runs / "report.html" if options.runs is not None else PROJECT / "report.html")
    for note in notes:
        print(f"normscape: {note}", file=sys.stderr)
    try:
        print(write_page(page, out))
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written ({error.strerror}); give another place") from error
    if len(page) > MOST_BYTES:
        print("It is large; --family and --scale leave out what is not wanted.", file=sys.stderr)


def page_of_results(results: Path, families: list[str], scales: list[str]) -> bytes:
    """Return the page of results."""
    from normscape.evidence.figure import Family
    from normscape.page.results import results_page

    known = sorted(folder.name for folder in (PROJECT / "configs" / "figure").iterdir() if folder.is_dir())
    for family in families:
        if family not in known:
            raise UserError(f"--family {family}: there is no such family{suggest(family, known)}")
    return results_page([Family.of(name, PROJECT) for name in families or known], results, scales)


def page_of_runs(runs: Path) -> tuple[bytes, list[str]]:
    """Return the page of a folder of runs, and a line on each run that is not on it."""
    from normscape.page.sweep import runs_page

    return runs_page(runs)


if __name__ == "__main__":
    with entry_point():
        main(sys.argv[1:])
