"""Figures published side by side are those published alone; what one raises stops the others, and harms none."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from normscape.errors import UserError
from normscape.evidence.figure import Family
from normscape.evidence.results import Results
from normscape.reports import publish as publishing
from normscape.reports.publish import Publication, publish_all

PROJECT = Path(__file__).parents[2]
COMMITTED = PROJECT / "results"
FIGURES = [("santurkar2018", "7"), ("ioffe2015", "rates"), ("ioffe2015", "3")]
"""Small ones; of the first no run is part."""


@pytest.fixture
def asked(tmp_path):
    """Publications of copies of the committed figures."""
    made = []
    for name, figure in FIGURES:
        family, folder = Family.of(name, PROJECT), tmp_path / name / "laptop"
        folder.mkdir(parents=True, exist_ok=True)
        committed = Results(COMMITTED / name / "laptop", family.figure(figure))
        for file in (committed.table_file, committed.file):
            shutil.copy(file, folder)
        manifest = Results(folder, committed.figure).manifest()
        made.append(Publication(family, figure, folder, manifest, None, with_paper=False))
    return made


def pictures(tmp_path):
    return {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.suffix in (".png", ".pdf")}


def test_side_by_side_is_as_one_after_the_other(asked, tmp_path, monkeypatch):
    monkeypatch.setattr(publishing, "usable_cores", lambda: 1)
    alone, drawn = list(publish_all(asked)), pictures(tmp_path)
    for path in tmp_path.rglob("*.p[nd][gf]"):
        path.unlink()
    monkeypatch.setattr(publishing, "usable_cores", lambda: 2)
    assert list(publish_all(asked)) == alone
    assert pictures(tmp_path) == drawn
    assert len(drawn) == 2 * len(FIGURES)
    assert [len(verdicts) > 0 for verdicts in alone] == [False, True, True]


def test_what_one_raises_is_raised_in_its_turn_and_nothing_more_is_begun(asked, tmp_path, monkeypatch):
    monkeypatch.setattr(publishing, "usable_cores", lambda: 2)
    (tmp_path / "ioffe2015" / "laptop" / "rates.csv").write_text("damaged")
    copies = [replace(asked[0], folder=tmp_path / f"copy{number}") for number in range(6)]
    for each in copies:
        shutil.copytree(asked[0].folder, each.folder)
    published = publish_all([asked[0], asked[1], *copies])
    next(published)
    with pytest.raises(UserError, match=r"rates\.csv: "):
        next(published)
    assert (tmp_path / "santurkar2018" / "laptop" / "fig07.png").exists()
    assert not (tmp_path / "ioffe2015" / "laptop" / "rates.png").exists()
    assert not (copies[-1].folder / "fig07.png").exists()


def test_a_process_that_dies_is_one_line_and_no_wait(asked, monkeypatch):
    """Also one that has nothing to do: it dies with the lock that the others wait for."""
    monkeypatch.setattr(publishing, "usable_cores", lambda: 3)
    before = {*multiprocessing.active_children()}
    published = publish_all([*asked, asked[2]])
    next(published)
    for process in {*multiprocessing.active_children()} - before:
        process.kill()
    with pytest.raises(UserError, match="a process that draws figures died"):
        list(published)
    assert {*multiprocessing.active_children()} <= before


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs /proc")
def test_nothing_is_left_behind_by_a_process_that_is_killed(tmp_path):
    """Its helpers ignore what asks them to stop, and end when it does."""
    code = """
import time
from concurrent.futures import ProcessPoolExecutor
import multiprocessing, os
from normscape.reports.publish import _serve
if __name__ == "__main__":
    pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=_serve)
    print(pool.submit(os.getpid).result(), flush=True)
    time.sleep(60)
"""
    script = tmp_path / "publishes.py"
    script.write_text(code)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as process:
        helper = int(process.stdout.readline())
        os.kill(helper, signal.SIGINT)
        os.kill(helper, signal.SIGTERM)
        time.sleep(0.2)
        assert not _gone(helper)
        process.kill()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not _gone(helper):
        time.sleep(0.05)
    assert _gone(helper)


def _gone(process):
    """Whether a process has ended; one that nobody waits for any more is a zombie in some containers."""
    try:
        os.kill(process, 0)
        return ") Z " in Path(f"/proc/{process}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return True
