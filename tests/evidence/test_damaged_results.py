"""Damaged files of results: redrawn, a figure has the same verdicts, or one line names the file; never others."""

import json
import shutil
from pathlib import Path

import pytest

from damages import a_folder, cut, emptied, missing
from normscape.errors import UserError
from normscape.evidence.figure import Family
from normscape.evidence.original import checksums, read_original
from normscape.evidence.results import Results
from normscape.reports import publish as publishing
from normscape.reports.publish import publish
from normscape.reports.verdicts import claims_markdown, write_claims
from normscape.storage.files import read_json, write_json

PROJECT = Path(__file__).parents[2]
FAMILY = Family.of("santurkar2018", PROJECT)
FIGURE = FAMILY.figure("4")
FILES = ["laptop/fig04.csv", "laptop/fig04.json", "laptop/fig04.png", "laptop/fig04.pdf", "CLAIMS.md"]


class OneFigure:
    """The family, as if it had one figure."""

    name, title, notes = FAMILY.name, FAMILY.title, FAMILY.notes

    def __init__(self, figure):
        self.figure = figure

    def figures(self):
        """Return its figure."""
        return [self.figure]


@pytest.fixture(autouse=True)
def _not_drawn(monkeypatch):
    """Drawing takes seconds and is not what is looked at."""
    monkeypatch.setattr(publishing, "rendered", lambda drawing, suffix: suffix.encode())
    monkeypatch.setattr(FIGURE.module, "draw", lambda shown: None)


@pytest.fixture
def results(tmp_path):
    """The committed figure, published here."""
    (tmp_path / "laptop").mkdir()
    for suffix in (".csv", ".json"):
        shutil.copy(PROJECT / "results" / FAMILY.name / "laptop" / f"fig04{suffix}", tmp_path / "laptop")
    redraw(tmp_path)
    return tmp_path


def redraw(folder):
    """Redraw a figure from its results, and return its claims as they are published."""
    there = Results(folder / "laptop", FIGURE)
    publish(there, there.manifest(), FAMILY.original, with_paper=False)
    return write_claims(OneFigure(FIGURE), folder).read_text()


def judged(folder):
    """Return the claims as another figure's publishing would write them: from the manifest alone."""
    return claims_markdown(OneFigure(FIGURE), folder)


def outcome(work, folder):
    try:
        return work(folder), None
    except UserError as error:
        return None, str(error)


def last_line_cut(file):
    """What once made "inf, holds" of a number."""
    file.write_bytes(file.read_bytes()[:-4])


def altered(file):
    content = bytearray(file.read_bytes())
    digits = [place for place, byte in enumerate(content) if chr(byte).isdigit()] or [0]
    content[digits[len(digits) // 2]] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("damage", [emptied, cut, last_line_cut, altered, missing, a_folder])
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_of_results_gives_the_same_verdicts_or_one_line(results, name, damage):
    expected = judged(results)
    damage(results / name)
    found, line = outcome(judged, results)
    if name.endswith(".json"):
        assert (damage is missing) if line is None else str(results / name) in line
    else:
        assert found == expected
    found, line = outcome(redraw, results)
    stem = str((results / name).with_suffix(""))
    assert (found == expected) if line is None else (stem in line and "\n" not in line)


def test_a_verdict_that_was_written_by_hand_is_refused(results):
    """A number changed in the manifest would be what CLAIMS.md says."""
    file = results / "laptop" / "fig04.json"
    content = json.loads(file.read_text())
    claim = next(iter(content["claims"].values()))
    claim["values"] = [2 * value for value in claim["values"]]
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"fig04\.json: not what was written there"):
        judged(results)


def places(node, path=()):
    """Yield the place of each key in a manifest, of one claim, one run and one seed for all of them."""
    for number, (key, value) in enumerate(node.items()):
        yield (*path, key)
        if isinstance(value, dict) and not (number and path[-1:] in [("claims",), ("runs",), ("seeds",)]):
            yield from places(value, (*path, key))


def test_a_manifest_of_another_version_is_read_or_refused_in_one_line(results):
    """Of an older version: without a key that is there now, wherever it is."""
    file, expected = results / "laptop" / "fig04.json", redraw(results)
    whole = read_json(file)
    for place in places(whole):
        node = content = json.loads(json.dumps(whole))
        for key in place[:-1]:
            node = node[key]
        del node[place[-1]]
        write_json(file, content)
        for work in [judged, *([redraw] if len(place) < 3 else [])]:
            found, line = outcome(work, results)
            assert found == expected if line is None else (str(file) in line and "\n" not in line), place
        write_json(file, whole)


@pytest.mark.parametrize("damage", [emptied, cut, last_line_cut, altered, a_folder])
def test_the_paper_s_own_curves_are_those_that_were_digitised(tmp_path, damage):
    folder = tmp_path / "original"
    shutil.copytree(FAMILY.original, folder)
    assert read_original(folder, "fig04").equals(read_original(FAMILY.original, "fig04"))
    damage(folder / "fig04_b.csv")
    with pytest.raises(UserError, match=r"fig04_b\.csv: "):
        read_original(folder, "fig04")


@pytest.mark.parametrize("family", ["santurkar2018", "ioffe2015"])
def test_every_curve_of_a_paper_has_its_checksum(family):
    folder = PROJECT / "results" / family / "original"
    assert {file.name for file in folder.glob("*.csv")} == set(checksums(folder) or ())
