"""A page as one file: text, pictures, tables, styles, scripts, data, the plotting library, nothing from elsewhere."""

import base64
import gzip
import importlib.resources
import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from normscape.errors import UserError
from normscape.storage.files import replacing

MOST_BYTES = 10 * 10**6
LIBRARY = ("plotly", "package_data/plotly.min.js")
"""Where the wheel of plotly has the library that draws in the browser."""

POLICY = "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline' blob:"
"""What a browser may load for a page: what is in it. With this it refuses all else, whatever the content."""


def rendered(template: str, scripts: tuple[str, ...], **content: Any) -> bytes:
    """Return a page from its template, the same bytes for the same content.

    Parameters
    ----------
    template
        A file of ``assets``.
    scripts
        The scripts that it needs, files of ``assets``.
    content
        What the template shows. Text is escaped by it.
    """
    environment = Environment(
        loader=PackageLoader("normscape.page", "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["packed_json"] = packed_json
    assets = {"style": _asset("style.css"), "script": Markup("\n").join(map(_asset, scripts)), "library": _library()}
    return environment.get_template(template).render(policy=POLICY, **assets, **content).encode() + b"\n"


def packed_json(content: Any) -> str:
    """Return JSON, compressed, for a ``script`` element: letters and digits, whatever text is in it."""
    return _packed(json.dumps(content, allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode())


def write_page(page: bytes, path: Path) -> str:
    """Write a page, and return a line that says where it is and how large."""
    with replacing(path) as file:
        file.write(page)
    return f"{path}  ({len(page) / 1e6:.1f} MB; open it in a browser)"


def _asset(name: str) -> Markup:
    return Markup((importlib.resources.files("normscape.page") / "assets" / name).read_text(encoding="utf-8"))


def _library() -> str:
    """Return the plotting library, compressed: the browser unpacks it when the first chart comes into view."""
    package, file = LIBRARY
    try:
        content = (importlib.resources.files(package) / file).read_bytes()
    except (ModuleNotFoundError, OSError) as error:
        raise UserError(
            f"{package}: not in this environment ({error}); expected it; build it again: make env"
        ) from error
    return _packed(content)


def _packed(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()
