"""Write the answers down: a table, a header that says where and when, and both as a page."""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from bench.timing import Answer
from normscape.files import replacing

VERDICT = {True: "met", False: "missed", None: ""}


def machine_name(processor: str) -> str:
    """Return a processor's name as that of a file."""
    plain = re.sub(r"\((R|TM)\)|\bCPU\b|@.*", " ", processor)
    return re.sub(r"[^a-z0-9.]+", "-", plain.lower()).strip("-")


def write(folder: Path, header: Mapping[str, Any], answers: Sequence[Answer]) -> list[Path]:
    """Write ``<machine>.csv``, ``.json`` and ``.md`` and return their paths."""
    name = machine_name(header["hardware"]["processor"])
    contents = {"csv": table(answers), "json": json.dumps(header, indent=1) + "\n", "md": page(header, answers)}
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for kind, text in contents.items():
        files.append(folder / f"{name}.{kind}")
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


def page(header: Mapping[str, Any], answers: Sequence[Answer]) -> str:
    """Return the page."""
    hardware, load = header["hardware"], header["load"]
    lines = [
        f"# What it costs on {hardware['processor']}",
        "",
        f"Written {header['written']} by `{header['command']}` at commit {header['commit'] or 'unknown'}.",
        f"{hardware['cores']} cores, of which each piece of work used {hardware['threads']}; kernels "
        f"{hardware['instruction_set']}; torch {header['versions']['torch']}, Python {header['versions']['python']}; "
        f"load {load[0]:.1f} at the beginning, {load[1]:.1f} at the end.",
        "",
        "Times are the processor's, medians of rounds in which all sides take turns; a ratio is that of the medians, "
        "its range over the rounds. How each is taken: [docs/speed.md](../../docs/speed.md).",
        "",
        "| question | network | ours | beside | ratio | range | target | |",
        "|---|---|---:|---:|---:|---:|---:|---|",
    ]
    return "\n".join([*lines, *map(_line, answers), "", *_notes(answers)]) + "\n"


def _line(answer: Answer) -> str:
    base = "" if answer.base is None else f"{answer.base:.4g} {answer.unit}"
    ratio = "" if answer.ratio is None else f"{answer.ratio:.3f}"
    limits = "" if answer.lowest is None else f"{answer.lowest:.2f} to {answer.highest:.2f}"
    target = (
        "" if answer.target is None else f"{answer.target:g}{'' if answer.ratio is not None else ' ' + answer.unit}"
    )
    cells = [answer.question, answer.net, f"{answer.ours:.4g} {answer.unit}", base, ratio, limits, target]
    return f"| {' | '.join([*cells, VERDICT[answer.met]])} |"


def _notes(answers: Sequence[Answer]) -> list[str]:
    return [
        f"- {answer.question}{', ' * bool(answer.net)}{answer.net}: {answer.note}" for answer in answers if answer.note
    ]
