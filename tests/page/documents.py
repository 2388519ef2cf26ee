"""What is in a page of HTML: whether it is well formed, its tables, its text, what it would load."""

import base64
import gzip
import json
import re
from html.parser import HTMLParser

import numpy as np

VOID = {"br", "hr", "img", "input", "link", "meta", "path"}
LOADING = ("src", "srcset", "data", "poster", "action", "formaction", "background", "xlink:href")


def unpacked(data):
    """Return the JSON that a page keeps compressed, the values of lines in place."""
    content = json.loads(gzip.decompress(base64.b64decode(data)))
    return decoded(content) if "values" in content else content


def decoded(content):
    """Put values where charts refer to them, as a browser does: None, a gap, for NaN."""
    low, middle, high = np.frombuffer(base64.b64decode(content["values"]), np.uint8).reshape(3, -1).astype("<u4")
    values = ((low | middle << 8 | high << 16) << 10).view("<f4").astype(float)
    for line in [line for chart in content["charts"] for line in chart["lines"]]:
        for name in {"y", "low", "high"} & line.keys():
            own = values[line[name] : line[name] + len(content["xs"][line["x"]])]
            line[name] = [float(value) if np.isfinite(value) else None for value in own]
    return content


class Document(HTMLParser):
    """A page, read once: mistakes in ``wrong``, rows of cells in ``rows``, visible text in ``text``."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.wrong, self.open, self.ids, self.rows, self.loads, self.tags = [], [], set(), [], [], []
        self._text, self._cell = [], None
        self.feed(page)
        self.close()
        if self.open:
            self.wrong.append(f"never closed: {self.open}")

    @property
    def text(self):
        return " ".join("".join(self._text).split())

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        given = dict(attributes)
        self.tags.append((tag, given))
        if len(names) != len(given):
            self.wrong.append(f"<{tag}> has an attribute twice")
        if (name := given.get("id")) is not None:
            if name in self.ids:
                self.wrong.append(f"id {name} twice")
            self.ids.add(name)
        if tag == "img" and not given.get("alt"):
            self.wrong.append("<img> without words")
        loaded = [given[name] or "" for name in LOADING if name in given]
        loaded += [given.get("href", "")] if tag == "link" else []
        self.loads += [address for address in loaded if not address.startswith("data:")]
        self.loads += re.findall(r"url\([^)]*\)", given.get("style") or "")
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self._cell = []

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if tag in VOID or not self.open or self.open[-1] != tag:
            self.wrong.append(f"</{tag}> closes {self.open[-1:]} at {self.getpos()}")
            return
        self.open.pop()
        if tag in ("td", "th"):
            self.rows[-1].append(" ".join("".join(self._cell).split()))
            self._cell = None

    def handle_data(self, text):
        if self.open[-1:] == ["style"]:
            self.loads += re.findall(r"url\([^)]*\)|@import[^;]*", text)
        elif "script" not in self.open:
            self._text.append(text)
            if self._cell is not None:
                self._cell.append(text)
