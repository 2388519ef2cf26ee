"""Pages that several tests look at, each made once."""

import math

import pytest
from pages import EVIL, FAMILIES, ROOT, leave

from normscape.evidence.figure import Family
from normscape.page.results import results_page
from normscape.page.sweep import runs_page


@pytest.fixture(scope="session")
def committed_page(tmp_path_factory):
    """The page of the committed results."""
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_bytes(results_page([Family.of(name, ROOT) for name in FAMILIES], ROOT / "results"))
    return file


@pytest.fixture(scope="session")
def sweep_page(tmp_path_factory):
    """The page of a sweep: eight finished runs, one diverged, one in training, one with a name that is no name."""
    folder = tmp_path_factory.mktemp("sweep") / "my <runs>"
    for name in ("standard", "batch"):
        for rate in (0.01, 0.1):
            for seed in (0, 1):
                leave(folder, name, seed=seed, rate=rate, values=(0.1, 0.4 + rate, 0.6 + seed / 10))
    leave(folder, "gone", status="diverged", values=(0.1, math.nan, math.inf))
    leave(folder, "going", status="training")
    leave(folder, EVIL.replace("/", "")).joinpath("note.txt").write_text("not a file of a run")
    page, _ = runs_page(folder)
    file = folder / "report.html"
    file.write_bytes(page)
    return file
