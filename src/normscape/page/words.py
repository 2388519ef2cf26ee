"""Markdown and commands as pages show them; whatever a name contains is text, never HTML."""

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from markdown_it import MarkdownIt
from markupsafe import Markup

from normscape.evidence.claims import Kind

_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")

DEAD_LINK = re.compile(r"\[([^\[\]]*)\]\((?!https?://|#)[^)]*\)")
"""A link to a file of the project, which is not beside the page for everybody who reads it."""


def markdown(lines: Sequence[str], *, heading: int = 3) -> Markup:
    """Return Markdown as HTML: its largest heading at the given level, tables in a box of their own."""
    text = DEAD_LINK.sub(r"\1", "\n".join(lines))
    text = re.sub(r"^(#+) ", lambda found: "#" * min(heading + len(found[1]) - 1, 6) + " ", text, flags=re.MULTILINE)
    html = str(_MARKDOWN.render(text))
    html = html.replace("<table>", '<div class="box" tabindex="0" role="region" aria-label="table"><table>')
    return Markup(html.replace("</table>", "</table></div>"))


def inline(text: str) -> Markup:
    """Return a line of Markdown as HTML."""
    return Markup(_MARKDOWN.renderInline(DEAD_LINK.sub(r"\1", text)))


def kind_class(kind: Kind) -> str:
    """Return a verdict as a word for styles and filters: ``holds``, ``in-part``, ``does-not-hold`` and so on."""
    return str(kind).removeprefix("holds ").removesuffix(" at this scale").replace(" ", "-")


def reproduce_command(
    family: str, figure: int | str, manifest: Mapping[str, Any], folder: str, *, redraw: bool = False
) -> str:
    """Return what a user types to make a figure again, or to redraw it from its table."""
    words = ["python", "experiments/reproduce.py", str(figure), "--family", family]
    if redraw:
        return shlex.join([*words, "--scale", folder, "--from-results"])
    if "," in folder:  # the settings that were changed stand in what was typed
        return f"python experiments/{manifest['tabulated_by']['command']}"
    seeds, of_dln = (_seeds(manifest, dln=dln) for dln in (False, True))
    words += ["--scale", folder, "--seeds", ",".join(map(str, seeds or of_dln or manifest["seeds"] or [0]))]
    others = ["--dln-seeds", ",".join(map(str, of_dln))] if seeds and of_dln not in ([], seeds) else []
    return shlex.join([*words, *others])


def _seeds(manifest: Mapping[str, Any], *, dln: bool) -> list[int]:
    runs = [run for run in manifest["runs"].values() if (run["config"].get("net") == "dln") is dln]
    return sorted({int(seed) for run in runs for seed in run["seeds"]})


def shown(value: Any) -> str:
    """Return a setting or an outcome as a cell shows it: a number to four digits, nothing where there is nothing."""
    if value is None or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {shown(item)}" for key, item in value.items())
    return ", ".join(map(shown, value)) if isinstance(value, list | tuple) else str(value)
