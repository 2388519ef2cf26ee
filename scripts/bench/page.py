"""Write the answers down: a table, a header that says where and when, and both as a page."""

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from bench.growth import Growth
from bench.networks import NETS, RESIDUAL_NAME
from bench.on_paper import Costs, on_paper
from bench.shares import Share
from bench.timing import Answer
from normscape.storage.files import replacing

VERDICT = {True: "met", False: "missed", None: ""}


def machine_name(processor: str) -> str:
    """Return a processor's name as that of a file."""
    plain = re.sub(r"\((R|TM)\)|\bCPU\b|@.*", " ", processor)
    return re.sub(r"[^a-z0-9.]+", "-", plain.lower()).strip("-")


@dataclass
class Findings:
    """What was found, by kind, in the order in which it was."""

    answers: list[Answer] = field(default_factory=list)
    grown: list[Growth] = field(default_factory=list)
    shares: list[Share] = field(default_factory=list)

    def add(self, found: Answer | Growth | Share) -> str:
        """Keep what was found, and return its line for the terminal."""
        if isinstance(found, Answer):
            self.answers.append(found)
            value = f"{found.ours:.2f} {found.unit}" if found.ratio is None else f"{found.ratio:.3f}"
            return f"{value:>10}  {found.question}{', ' * bool(found.net)}{found.net}"
        if isinstance(found, Growth):
            self.grown.append(found)
            return f"{found.power:>10.2f}  power of {found.case.size}: {found.case.work}, {found.case.net}"
        self.shares.append(found)
        return f"{found.share:>10.1%}  of a step: {found.part}, {found.net}"


def machine(hardware: Mapping[str, Any]) -> str:
    """Return what the pieces of work were done by: a GPU, or the processor."""
    return str(hardware["processor"] if hardware["device"] == "cpu" else hardware["device"])


def write(folder: Path, header: Mapping[str, Any], found: Findings) -> list[Path]:
    """Write ``<machine>.csv``, its ``-growth.csv``, ``-shares.csv``, ``.json`` and ``.md`` and return their paths."""
    name = machine_name(machine(header["hardware"]))
    contents = {
        ".csv": table(found.answers),
        **({"-growth.csv": growth_table(found.grown)} if found.grown else {}),
        **({"-shares.csv": shares_table(found.shares)} if found.shares else {}),
        ".json": json.dumps(header, indent=1) + "\n",
        ".md": page(header, found),
    }
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for ending, text in contents.items():
        files.append(folder / f"{name}{ending}")
        with replacing(files[-1]) as file:
            file.write(text.encode())
    return files


def table(answers: Sequence[Answer]) -> str:
    """Return the answers as CSV."""
    out = io.StringIO()
    writer = csv.DictWriter(out, [*(field.name for field in fields(Answer)), "met"], lineterminator="\n")
    writer.writeheader()
    for answer in answers:
        row = {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in asdict(answer).items()}
        writer.writerow({**row, "met": VERDICT[answer.met]})
    return out.getvalue()


def growth_table(grown: Sequence[Growth]) -> str:
    """Return how cost grows as CSV: a row for each size, with the power that is fitted to all of a case."""
    rows: list[Sequence[object]] = []
    for each in grown:
        case, powers = each.case, (f"{each.power:.3g}", f"{each.last_power:.3g}")
        for size, taken in zip(each.sizes, each.milliseconds, strict=True):
            rows.append([case.work, case.net, case.size, size, f"{taken:.4g}", *powers, *case.expected])
    columns = ("work", "net", "grows", "size", "ms", "power", "power_at_the_end", "expected_from", "expected_to")
    return _csv(columns, rows)


def shares_table(shares: Sequence[Share]) -> str:
    """Return where the time of a step goes as CSV."""
    rows = [(each.net, each.part, f"{each.milliseconds:.4g}", f"{each.share:.3f}") for each in shares]
    return _csv(("net", "part", "ms", "share"), rows)


def _csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([columns, *rows])
    return out.getvalue()


def page(header: Mapping[str, Any], found: Findings) -> str:
    """Return the page."""
    hardware, load, unanswered = header["hardware"], header["load"], header["unanswered"]
    lines = [
        f"# What it costs on {machine(hardware)}",
        "",
        f"Written {header['written']} by `{header['command']}` at commit {header['commit'] or 'unknown'}.",
        f"{hardware['processor']}, {hardware['cores']} cores, of which each piece of work used {hardware['threads']}; "
        f"kernels {hardware['instruction_set']}; torch {header['versions']['torch']}, "
        f"Python {header['versions']['python']}; load {load[0]:.1f} at the beginning, {load[1]:.1f} at the end.",
        "",
        "Times are the processor's, those of commands, and all on a GPU, the clock's: medians of rounds. A ratio is "
        "that of the medians, its range over the rounds. How each is taken: [docs/speed.md](../../docs/speed.md).",
        *([f"It ended before these questions were answered: {', '.join(unanswered)}."] if unanswered else []),
        "",
        "| question | network | ours | beside | ratio | range | target | |",
        "|---|---|---:|---:|---:|---:|---:|---|",
    ]
    lines += [*map(_line, found.answers), "", *_notes(found.answers)]
    lines += [*_shares(found.shares), *_growth(found.grown), *_on_paper(found.answers)]
    return "\n".join(lines) + "\n"


def _line(answer: Answer) -> str:
    base = "" if answer.base is None else f"{answer.base:.4g} {answer.unit}"
    ratio = "" if answer.ratio is None else f"{answer.ratio:.3f}"
    limits = "" if answer.lowest in (None, answer.highest) else f"{answer.lowest:.2f} to {answer.highest:.2f}"
    target = (
        "" if answer.target is None else f"{answer.target:g}{'' if answer.ratio is not None else ' ' + answer.unit}"
    )
    cells = [answer.question, answer.net, f"{answer.ours:.4g} {answer.unit}", base, ratio, limits, target]
    return f"| {' | '.join([*cells, VERDICT[answer.met]])} |"


def _notes(answers: Sequence[Answer]) -> list[str]:
    return [
        f"- {answer.question}{', ' * bool(answer.net)}{answer.net}: {answer.note}" for answer in answers if answer.note
    ]


def _shares(shares: Sequence[Share]) -> list[str]:
    if not shares:
        return []
    lines = [
        "",
        "## Where a training step goes",
        "",
        "By torch's profiler, over steps of the floor; what operations have in their names decides (`shares.py`).",
        "",
        "| network | part | ms | share |",
        "|---|---|---:|---:|",
    ]
    return [*lines, *(f"| {each.net} | {each.part} | {each.milliseconds:.3g} | {each.share:.1%} |" for each in shares)]


def _growth(grown: Sequence[Growth]) -> list[str]:
    if not grown:
        return []
    lines = [
        "",
        "## How cost grows",
        "",
        "Times over one size at a time, and the power of it that is fitted to them (least squares of logarithms): over "
        "all sizes, and between the two largest, where fixed costs weigh least. Expected: what arithmetic alone does.",
        "",
        "| what | network | grows | sizes | ms | power | at the end | expected | from |",
        "|---|---|---|---|---|---:|---:|---:|---|",
    ]
    for each in grown:
        case = each.case
        expected = " to ".join(f"{power:g}" for power in dict.fromkeys(case.expected))
        sizes, taken = (", ".join(f"{it:.3g}" for it in them) for them in (each.sizes, each.milliseconds))
        cells = [case.work, case.net, case.size, sizes, taken, f"{each.power:.2f}", f"{each.last_power:.2f}"]
        lines.append(f"| {' | '.join([*cells, expected, case.why])} |")
    return lines


def _on_paper(answers: Sequence[Answer]) -> list[str]:
    costs = Costs.among(answers, point_on=next(iter(NETS)), layer_on=RESIDUAL_NAME)
    return [] if costs is None else ["", "## On paper: ImageNet", "", *on_paper(costs)]
