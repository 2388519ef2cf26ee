"""Verdicts for people: a table on the terminal, and ``results/CLAIMS.md`` from the manifests of all figures."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from normscape.claims import BOOTSTRAP_FROM, Verdict
from normscape.files import read_json

VERDICTS = ("holds", "holds in part", "does not hold", "undecided")
README_MARKS = ("<!-- claims: by scripts/update_readme.py -->", "<!-- end of claims -->")
HOW_TO_READ = """\
# Claims of the paper, judged

Made by `experiments/reproduce.py` from the manifests beside the figures; do not edit.

- *Ours* is the median over n seeds with its interval: from 5 seeds on a 95 % bootstrap interval of the median, else,
  and where a value is infinite, the range. `inf` is what is never reached, too large for a float32, or divided by 0;
  `nan` is what cannot be computed.
- A claim **holds** if the whole interval meets the threshold (of three seeds: all three), **does not hold** if none of
  it does, and is **undecided** otherwise. It **holds in part** if it holds on the whole, but not in every part of the
  run or in all terms that were looked at.
- *Must be*: thresholds stand in `experiments/figures/`. Where the paper says *similar*, *far more* or *nearly*, the
  number is our reading of it.
- *Paper* is the same statistic, by the same code, on the paper's own curves, with the verdict in brackets where the
  claim does not hold of them. Our gradient differences and beta are Euclidean; the paper's seem to be sums of tensor
  norms (see `ORIGINAL_NAMES` in `src/normscape/tables.py`).
- DLN: the target matrix has entries around 1/2 (uniform on [0, 1)), as we infer from the paper's loss curves, which fix
  mean and variance, not the shape; its text says Gaussian. With centred Gaussian entries, commit 1851831, six claims
  of figures 10, 11 and 13 that are undecided here did not hold.
- *Ours*, *finding on the plotted curves*: not claims of the paper's text, but judged in the same way.
"""
HOW_TO_READ_NOTES = """
### Claims that do not hold, are undecided, or hold in part

In brackets behind a verdict: how many seeds meet the threshold by themselves. What a note gives as a reason was thought
of after the results were seen, is judged as a claim is, and holds; what was thought of and does not hold stands in the
table below it. A network has *fitted* its training data from 99 % training accuracy on."""


def verdict_table(title: str, verdicts: Sequence[Verdict]) -> Table:
    """Return the verdicts of one figure as a table for the terminal."""
    table = Table(title=title, title_justify="left")
    for column in ("the paper's claim", "here", "over seeds", "paper", "must be", "verdict"):
        table.add_column(column)
    for verdict in (v.to_json() for v in verdicts):
        table.add_row(*_cells(verdict), verdict["threshold"], _verdict(verdict))
    return table


def _cells(claim: dict[str, Any]) -> list[str]:
    return [claim["claim"], _short(claim["value"]), _spread(claim), _paper(claim)]


def _spread(measured: dict[str, Any]) -> str:
    spread, n = measured["spread"], measured["n"]
    ends = f"{_short(spread['low'])} to {_short(spread['high'])}"
    return "one seed" if n == 1 else ends + (", range" if n >= BOOTSTRAP_FROM and "range" in spread["kind"] else "")


def _paper(measured: dict[str, Any]) -> str:
    """Return the value on the paper's own curves, empty if they do not have it."""
    return "" if measured["paper_value"] in (None, "nan") else _short(measured["paper_value"])


def _paper_judged(claim: dict[str, Any]) -> str:
    """Return the value on the paper's own curves, and the verdict on it where the claim does not hold of them."""
    judged = "" if claim.get("paper_verdict") in (None, "holds") else f" ({claim['paper_verdict']})"
    return _paper(claim) + judged


def _short(value: float | str) -> str:
    """Return a manifest's number with four digits."""
    return f"{float(value):.4g}"


def figures_in(folder: Path) -> list[dict[str, Any]]:
    """Return the manifests of all figures in a folder of results, in order; older ones lack parts and evidence."""
    return [read_json(file) for file in sorted(folder.glob("*.json"))]


def claims_markdown(results: Path) -> str:
    """Return ``CLAIMS.md``: every claim of every committed figure, one row each, scale by scale."""
    lines = HOW_TO_READ.splitlines()
    for folder in _folders(results):
        figures = figures_in(folder)
        lines += ["", f"## scale={folder.name}", "", summary(figures)]
        lines += [*_overview(figures), *_rows(figures), *_why(figures)]
    return "\n".join(lines) + "\n"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a table in Markdown."""
    cells = [columns, ["---"] * len(columns), *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    return ["", *("| " + " | ".join(row) + " |" for row in cells)]


def _overview(figures: Iterable[dict[str, Any]]) -> list[str]:
    """Return how many claims hold, figure by figure."""
    rows = []
    for figure in figures:
        counts = Counter(map(_verdict, figure["claims"]))
        if counts:
            numbers = [str(counts[verdict]) for verdict in VERDICTS]
            rows.append([figure_label(figure["figure"]), figure["title"], *numbers])
    return _table(["", "shows", *VERDICTS], rows)


def _rows(figures: Iterable[dict[str, Any]]) -> list[str]:
    """Return every claim, one row each."""
    rows = []
    for figure in figures:
        name = figure["figure"]
        command = f"`reproduce-fig{name}`" if isinstance(name, int) else f"`reproduce-{name}`"
        for claim in figure["claims"]:
            ours = [_measured(claim), str(claim["n"]), claim["threshold"], f"**{_verdict(claim)}**"]
            rows.append([command, claim["claim"], claim["statistic"], _paper_judged(claim), *ours])
    return _table(["figure", "claim", "statistic", "paper", "ours", "n", "must be", "verdict"], rows)


def _why(figures: Iterable[dict[str, Any]]) -> list[str]:
    """Return, figure by figure, a note on each claim that does not hold throughout, and what bears on it."""
    lines = []
    for figure in figures:
        claims = [claim for claim in figure["claims"] if _verdict(claim) != "holds"]
        if claims:
            notes = {claim["note"]: None for claim in claims if claim["note"]}
            lines += ["", f"#### {figure_label(figure['figure'])}", ""]
            lines += [f"- {claim['claim']}: {_reasoned(claim)}" for claim in claims]
            lines += ["", " ".join(notes)] if notes else []
            rows = [row for claim in claims for row in _evidence(claim)]
            lines += _table(["claim", "statistic", "paper", "ours", "verdict"], rows)
    if not lines:
        return []
    return [*HOW_TO_READ_NOTES.splitlines(), *lines]


def _reasoned(claim: dict[str, Any]) -> str:
    """Return why a claim does not hold throughout, as far as its parts, its reasons and the paper's own curve tell."""
    sentences = [f"{_met(claim)}."]
    for verdict, verb in (("holds", "holds"), ("does not hold", "does not hold"), ("undecided", "is undecided")):
        parts = [part["statistic"] for part in _parts(claim) if part["verdict"] == verdict]
        if parts:
            sentences.append(f"It {verb} {_listed(parts)}.")
    for reason in claim.get("reasons", []):
        if reason["verdict"] == "holds":
            paper = f"; the paper's curves: {_paper(reason)}" if _paper(reason) else ""
            sentences.append(f"{reason['claim']} ({reason['statistic']}: {_measured(reason)}{paper}).")
    if claim.get("paper_verdict") == "does not hold":
        either = " either" if claim["verdict"] == "does not hold" else ""
        sentences.append(f"The paper's own curves do not meet it{either} ({_paper(claim)}).")
    return " ".join(sentences)


def _parts(claim: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the parts of a claim that are not the whole, as the time before a network fits that never does."""
    return [part for part in claim.get("parts", []) if part["values"] != claim["values"]]


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _verdict(claim: dict[str, Any]) -> str:
    """Return a claim's verdict; ``holds in part`` if it holds on the whole, but not in all parts or terms."""
    whole = {judged["verdict"] for judged in (claim, *claim.get("parts", []))} == {"holds"}
    return "holds in part" if claim["verdict"] == "holds" and not whole else str(claim["verdict"])


def _evidence(claim: dict[str, Any]) -> list[list[str]]:
    """Return the row of a claim, with how many seeds meet it, and those of its reasons, its parts and its evidence."""
    judged = f"{claim['statistic']}: {claim['threshold']}"
    rows = [[claim["claim"], judged, _paper_judged(claim), _measured(claim), _met(claim)]]
    for reason in claim.get("reasons", []):
        words = f"{'why' if reason['verdict'] == 'holds' else 'considered'}: {reason['claim']}"
        judged = f"{reason['statistic']}: {reason['threshold']}"
        rows.append([words, judged, _paper(reason), _measured(reason), reason["verdict"]])
    others = [*_parts(claim), *claim.get("evidence", [])]
    return rows + [["", m["statistic"], _paper(m), _measured(m), m.get("verdict", "")] for m in others]


def _met(claim: dict[str, Any]) -> str:
    return f"**{_verdict(claim)}** ({claim['seeds_that_meet_it']} of {claim['n']})"


def _measured(measured: dict[str, Any]) -> str:
    return f"{_short(measured['value'])} ({_spread(measured)})"


def figure_label(name: int | str) -> str:
    """Return a figure's name in a sentence."""
    return f"Figure {name}" if isinstance(name, int) else f"The paper's {name}"


def summary(figures: Iterable[dict[str, Any]]) -> str:
    """Return how many claims hold, and on how many seeds, in a sentence."""
    claims = [claim for figure in figures for claim in figure["claims"]]
    counts, seeds = Counter(map(_verdict, claims)), sorted({claim["n"] for claim in claims})
    held, partly, failed, open_ = (counts[verdict] for verdict in VERDICTS)
    judged = f"Of {len(claims)} claims, judged on {'one seed' if seeds == [1] else f'{_either(seeds)} seeds'}"
    return f"{judged}, {held} hold, {partly} hold in part, {failed} do not hold, and {open_} remain undecided."


def _either(numbers: Sequence[int]) -> str:
    return " or ".join(map(str, numbers))


def readme_block(figures: Sequence[dict[str, Any]]) -> str:
    """Return what the README says of the claims, between its marks: how many hold, and a table of the main ones."""
    rows = []
    for figure in figures:
        for claim in figure["claims"]:
            if claim["name"] in figure.get("headline", []):
                cells = [claim["claim"], claim["statistic"], _paper(claim), _measured(claim), claim["threshold"]]
                rows.append([figure_label(figure["figure"]), *cells, f"**{_verdict(claim)}**"])
    begin, end = README_MARKS
    table = _table(["", "the paper says", "statistic", "paper", "ours", "must be", "here"], rows)
    return "\n".join([begin, f"{summary(figures)} The main ones:", *table, end])


def _folders(results: Path) -> list[Path]:
    """Return the folders of results that say something of the paper."""
    return sorted({path.parent for path in results.glob("*/*.json") if path.parent.name != "smoke"})


def write_claims(results: Path) -> Path | None:
    """Write ``CLAIMS.md`` beside the figures' folders, if there is a figure that says something of the paper."""
    if not _folders(results):
        return None
    path = results / "CLAIMS.md"
    path.write_text(claims_markdown(results))
    return path
