"""The documentation as a site: the Markdown pages of the repository, and the API from its docstrings.

`make docs` builds it and treats every warning as an error: a link, an anchor or a name that leads nowhere fails. Pages
are plain Markdown, so that they can also be read on a code host. What only the site needs, its navigation and the
directives that print docstrings, is added here.
"""

import shutil
from pathlib import Path

from sphinx.application import Sphinx

project = "normscape"
author = "The normscape authors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

root_doc = "README"
include_patterns = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md", "results/*.md", "results/**/*.md"]
exclude_patterns = [".*", "docs/_build", "runs", "multirun", "outputs", "wandb", "src", "tests"]

html_theme = "furo"
html_title = "normscape"
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # CLAIMS.md goes from second to fourth level

default_role = "py:obj"
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(abc|torch|numpy|pandas)\..*"),  # their documentation is not at hand offline
    ("py:.*", r"normscape\.evidence\..*"),
]
nitpick_ignore = [
    ("py:class", "collections.abc.Mapping"),
    ("py:class", "scale"),  # like the next a returned value, which napoleon takes for a type
    ("py:class", "shift"),
]
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # signatures name them, docstrings say what they mean
napoleon_google_docstring = False


CONTENTS = {
    "Use": [
        "docs/start",
        "docs/sweeps",
        "docs/pieces",
        "docs/ioffe2015",
        "docs/wandb",
        "docs/report",
        "docs/verify",
        "docs/troubleshooting",
        "docs/reproducibility",
        "docs/speed",
        "docs/bring-your-own",
        "docs/beyond",
    ],
    "Look up": [
        "docs/measurements",
        "docs/theory",
        "docs/scales-and-verdicts",
        "docs/reference",
        "docs/api",
        "results/**",
    ],
    "Project": ["docs/index", "CONTRIBUTING", "CHANGELOG"],
}
"""The site's navigation."""

DOCSTRINGS = """
## Docstrings

```{eval-rst}
.. automodule:: normscape
   :imported-members:
.. automodule:: normscape.network
   :no-members:
.. autoclass:: normscape.network.Network
.. autoclass:: normscape.network.WeightLayer
.. autoclass:: normscape.update_rule.UpdateRule
   :no-members:
.. autoclass:: normscape.twin.replay.Replay
   :no-members:
.. autofunction:: normscape.norms.noise.draw_noise
.. autoclass:: normscape.data.dataset.Dataset
   :no-members:
.. autoclass:: normscape.data.dataset.Split
   :no-members:
.. automodule:: normscape.theory
   :imported-members:
.. automodule:: normscape.norms.accurate
   :no-members:
```
"""
"""What the site adds to the page on the API."""


def _add_what_only_the_site_has(_app: Sphinx, page: str, source: list[str]) -> None:
    if page == root_doc:
        for caption, pages in CONTENTS.items():
            source[0] += "\n```{toctree}\n:hidden:\n:glob:\n:caption: " + "\n".join([caption, *pages]) + "\n```\n"
    if page == "docs/api":
        source[0] += DOCSTRINGS


def _begin_with_the_readme(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        shutil.copy(Path(app.outdir) / "README.html", Path(app.outdir) / "index.html")


def setup(app: Sphinx) -> None:
    """Connect the functions above to Sphinx's events."""
    app.connect("source-read", _add_what_only_the_site_has)
    app.connect("build-finished", _begin_with_the_readme)
