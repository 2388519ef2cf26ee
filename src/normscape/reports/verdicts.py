"""Verdicts for people: a table on the terminal, and a family's ``CLAIMS.md``."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rich.table import Table

from normscape.evidence.cells import (
    WHOSE,
    markdown_table,
    met,
    number,
    on_paper,
    on_paper_judged,
    spread,
    value_and_spread,
)
from normscape.evidence.claims import Kind, Verdict
from normscape.evidence.figure import Family
from normscape.evidence.interval import Measured
from normscape.evidence.parts import BINS
from normscape.evidence.results import JudgedFigure, judged_figures, scales_in
from normscape.evidence.words import display_name
from normscape.reports.counts import listed, summary
from normscape.storage.files import replacing

HOW_TO_READ = """\
## How to read this

- *Ours* is the median over n seeds with its interval: from the k-th smallest to the k-th largest value, k being the
  largest for which it covers the true median with 95 % probability (order statistics; 97.9 % for 10 seeds, the range
  of 6 seeds: 96.9 %). Fewer seeds have no such interval: their range is shown (of 3 seeds: 75 %), and the verdict says
  "on all 3 seeds". `inf`: a level never reached, an overflow of float32, or a division by zero; `0` in a ratio of
  steps: the second network never gets there; `nan`: cannot be computed, as where networks are never at equal training
  accuracy.
- A claim **holds** if the whole interval meets the threshold (of three seeds: all three), over the whole run, in every
  part of it and for every other statistic that was looked at. It **holds in part** if it holds over the whole run but
  not everywhere. It **does not hold** if over the whole run the interval misses the threshold and it holds in no part
  either; if it holds in some part, it **mostly fails**. It is **undecided** if over the whole run the seeds disagree,
  if the statistic cannot be computed, or if nothing that it compares is above its noise floor.
  **Not applicable at this scale** means that it can only be judged on the paper's own setup, `scale=paper` or
  `paper_tf32`.
- *Must be*: the thresholds are in `experiments/`, beside the figures. Where the paper says *similar*, *far more* or
  *nearly*, the number is our reading of it.
- *Paper* is the same statistic, by the same code, on the paper's own curves, with the verdict in brackets where the
  claim does not hold on them throughout: on the whole, and in every part that they give. They are of one unit where
  ours are medians over units (figure 8); the unit that we draw is a part there.
- *Whose*: the paper's text makes the claim; or it is a finding on its plotted curves; or it is ours.
- The summary counts claims that rest on the same statistic of the same runs once; if only the weaker one holds, they
  hold in part. The table by figure counts every claim."""
HOW_TO_READ_NOTES = """\
In brackets after a verdict: how many seeds meet the threshold on their own. Reasons were thought of after the results
were seen; they are judged like claims. A note gives only the reasons that hold and that no part of the run refutes:
that a network moves less from some time on is no reason where a claim fails before that. The table below lists all that
were considered. A network has *fitted* its training data once its training accuracy reaches 99 %."""

CLAIM_COLUMNS = ("claim", "whose", "statistic", "paper", "ours", "n", "must be", "verdict")


def verdict_table(title: str, verdicts: Sequence[Verdict]) -> Table:
    """Return the verdicts of one figure as a table for the terminal."""
    table = Table(title=title, title_justify="left")
    for column in ("claim", "here", "over seeds", "paper", "must be", "verdict"):
        table.add_column(column)
    for verdict in verdicts:
        here = [number(verdict.measured.value), spread(verdict.measured), on_paper(verdict.measured)]
        table.add_row(verdict.claim.statement, *here, verdict.claim.threshold, verdict.words)
    return table


def claims_markdown(family: Family, results: Path) -> str:
    """Return ``CLAIMS.md`` of a family: a summary page, then every claim, scale by scale and figure by figure."""
    found = [(folder.name, judged_figures(family, folder)) for folder in scales_in(results)]
    scales = [(name, figures) for name, figures in found if any(figure.verdicts for figure in figures)]
    lines = [f"# {family.title}: claims, judged", ""]
    lines += ["Made by `experiments/reproduce.py` from the manifests beside the figures; do not edit."]
    for name, figures in scales:
        lines += ["", f"## In short, at scale={name}", "", summary(figures)]
        lines += [*headline_table(figures), *_overview(figures)]
    lines += ["", *HOW_TO_READ.splitlines(), *family.notes]
    for name, figures in scales:
        lines += ["", f"## Every claim, at scale={name}", "", *HOW_TO_READ_NOTES.splitlines()]
        for figure in figures:
            lines += _figure(figure)
    return "\n".join(lines) + "\n"


def headline_table(figures: Iterable[JudgedFigure]) -> list[str]:
    """Return the claims that the figures declare as the main ones, one row each."""
    rows = []
    for verdict, label in headlines(figures):
        values = [on_paper(verdict.measured), value_and_spread(verdict.measured)]
        cells = [verdict.claim.statement, verdict.claim.statistic.words, *values, verdict.claim.threshold]
        rows.append([label, *cells, f"**{verdict.words}**"])
    return markdown_table(["", "claim", "statistic", "paper", "ours", "must be", "verdict"], rows)


def headlines(figures: Iterable[JudgedFigure]) -> Iterator[tuple[Verdict, str]]:
    """Yield the verdicts on the claims that the figures declare as the main ones, each with its figure's label."""
    for judged in figures:
        for name in judged.figure.headline:
            yield judged.verdict(name), judged.figure.label


def _overview(figures: Iterable[JudgedFigure]) -> list[str]:
    """Return how many claims hold, figure by figure."""
    rows = []
    for judged in figures:
        counts = Counter(verdict.kind for verdict in judged.verdicts)
        if counts:
            numbers = [str(counts[kind]) for kind in Kind]
            rows.append([judged.figure.label, judged.figure.title, *numbers])
    return markdown_table(["", "shows", *map(str, Kind)], rows)


def _figure(judged: JudgedFigure) -> list[str]:
    """Return every claim of a figure, then why some do not hold throughout."""
    if not judged.verdicts:
        return []
    rows = [claim_cells(verdict) for verdict in judged.verdicts]
    title = f"### {judged.figure.label}: {judged.figure.title}"
    return ["", title, *markdown_table(CLAIM_COLUMNS, rows), *explained(judged)]


def claim_cells(verdict: Verdict) -> list[str]:
    """Return what a table says of a claim, in Markdown, for each of `CLAIM_COLUMNS`."""
    claim, measured = verdict.claim, verdict.measured
    ours = [value_and_spread(measured), str(len(measured.values)), claim.threshold, f"**{verdict.words}**"]
    return [claim.statement, WHOSE[claim.origin], claim.statistic.words, on_paper_judged(verdict), *ours]


def explained(judged: JudgedFigure) -> list[str]:
    """Return, in lines of Markdown, what to know of a figure's claims: of those that hold, and why others do not."""
    return [*_by_construction(judged), *_within_noise(judged), *_bins(judged), *_why(judged)]


def _within_noise(judged: JudgedFigure) -> list[str]:
    """Return what of the claims compares nothing but noise, or compares with noise."""
    lines = []
    for verdict in judged.verdicts:
        if verdict.in_noise:
            which = listed([f"{each.words}: {value_and_spread(each, 3)}" for each in verdict.in_noise])
            all_of_it = len(verdict.in_noise) == len(verdict.resolved)
            then = "so this cannot be told" if all_of_it else "so the statistic is but a bound"
            lines.append(f"- {verdict.claim.statement}: no more than noise ({which}), {then}.")
    return ["", *lines] if lines else []


def _bins(judged: JudgedFigure) -> list[str]:
    """Return on how many measured steps comparisons at equal accuracy rest, each set of numbers once."""
    told: dict[str, dict[str, None]] = {}
    for verdict in judged.verdicts:
        if any(map(any, verdict.bins.values())):
            runs = "".join(f"{fact} {value}: " for fact, value in verdict.claim.about.items() if fact != "net")
            of = [f"{display_name(name)} {', '.join(map(str, steps))}" for name, steps in verdict.bins.items()]
            told.setdefault(runs, {}).update(dict.fromkeys(of))
    spans = listed([f"{100 * part.low:g}-{100 * part.high:g}" for part in BINS])
    counts = [runs + "; ".join(sorted(of)) for runs, of in told.items()]
    line = f"- Measured steps at {spans} % training accuracy, of the seed with the fewest: {'. '.join(counts)}."
    return ["", line] if told else []


def _by_construction(judged: JudgedFigure) -> list[str]:
    """Return what of the claims holds by construction, each thing once."""
    told: dict[str, list[str]] = {}
    for verdict in judged.verdicts:
        if verdict.claim.construction:
            told.setdefault(verdict.claim.construction, []).append(verdict.claim.statement)
    lines = [f"- By construction: {what} This bears on: {'; '.join(claims)}." for what, claims in told.items()]
    return ["", *lines] if lines else []


def _why(judged: JudgedFigure) -> list[str]:
    """Return a note on each claim that does not hold throughout, and what bears on it."""
    failing = [verdict for verdict in judged.verdicts if verdict.kind is not Kind.HOLDS]
    if not failing:
        return []
    notes = {verdict.claim.note: None for verdict in failing if verdict.claim.note}
    lines = ["", *(f"- {verdict.claim.statement}: {_reasoned(verdict)}" for verdict in failing)]
    lines += ["", " ".join(notes)] if notes else []
    rows = [row for verdict in failing for row in _evidence(verdict)]
    return [*lines, *markdown_table(["claim", "statistic", "paper", "ours", "verdict"], rows)]


def _reasoned(verdict: Verdict) -> str:
    """Return why a claim does not hold throughout, as far as its parts, its reasons and the paper's own curve tell."""
    sentences = [f"{met(verdict)}."]
    verbs = {Kind.HOLDS: "holds", Kind.FAILS: "does not hold", Kind.UNDECIDED: "is undecided"}
    for kind, verb in verbs.items():
        parts = [part.words for part in verdict.telling_parts if verdict.of(part) is kind]
        if parts:
            sentences.append(f"It {verb} {listed(parts)}.")
    for reason in verdict.reasons:
        if verdict.explained_by(reason):
            paper = f"; the paper's curves: {on_paper(reason.measured)}" if on_paper(reason.measured) else ""
            because = f"{reason.claim.statistic.words}: {value_and_spread(reason.measured)}{paper}"
            sentences.append(f"{reason.claim.statement} ({because}).")
    if verdict.on_paper in (Kind.FAILS, Kind.MOSTLY_FAILS):
        too = " too" if verdict.kind in (Kind.FAILS, Kind.MOSTLY_FAILS) else ""
        sentences.append(f"The paper's own curves fail it{too} ({on_paper(verdict.measured)}).")
    if verdict.on_paper is Kind.IN_PART:
        sentences.append(f"On the paper's own curves it holds in part ({on_paper(verdict.measured)} on the whole).")
    return " ".join(sentences)


def _evidence(verdict: Verdict) -> list[list[str]]:
    """Return the row of a claim, with how many seeds meet it, and those of its reasons, its parts and its evidence."""
    judged = f"{verdict.claim.statistic.words}: {verdict.claim.threshold}"
    head = [verdict.claim.statement, judged, on_paper_judged(verdict), value_and_spread(verdict.measured), met(verdict)]
    rows = [head]
    for reason in verdict.reasons:
        words = f"{'why' if verdict.explained_by(reason) else 'considered'}: {reason.claim.statement}"
        judged = f"{reason.claim.statistic.words}: {reason.claim.threshold}"
        values = [on_paper(reason.measured), value_and_spread(reason.measured)]
        rows.append([words, judged, *values, reason.words])
    for part in verdict.shown_parts:
        some = f"of {len(part.values)} of {len(verdict.measured.values)} seeds"
        rows.append([*_row(part), str(verdict.of(part)) if verdict.of_all(part) else some])
    return rows + [[*_row(measured), ""] for measured in verdict.evidence]


def _row(measured: Measured) -> list[str]:
    return ["", measured.words, on_paper(measured), value_and_spread(measured)]


def write_claims(family: Family, results: Path) -> Path | None:
    """Write a family's ``CLAIMS.md`` beside its folders of results, if one of them means something."""
    if not scales_in(results):
        return None
    path = results / "CLAIMS.md"
    with replacing(path) as file:
        file.write(claims_markdown(family, results).encode())
    return path
