"""The page of results is one whole file that says what CLAIMS.md and the README say, whatever names are in it."""

import json
import re
import shutil
import sys

import pandas as pd
import pytest
from documents import Document, unpacked
from markdown_it import MarkdownIt
from pages import EVIL, FAMILIES, ROOT

from normscape.errors import UserError
from normscape.evidence.figure import Family
from normscape.evidence.table import described, parse_table, table_bytes
from normscape.page.document import MOST_BYTES, POLICY
from normscape.page.results import results_page
from normscape.reports.verdicts import CLAIM_COLUMNS
from normscape.storage.files import read_json, write_json

sys.path.append(str(ROOT / "scripts"))
SHOWN = ("verdict", "claim", "statistic", "ours", "n", "paper", "must be", "whose")


def rendered(markdown):
    return Document(MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown))


@pytest.fixture(scope="module")
def document(committed_page):
    return Document(committed_page.read_text())


@pytest.fixture
def some_results(tmp_path):
    """Results of two figures, which the tests may spoil."""
    folder = tmp_path / "results" / "santurkar2018" / "laptop"
    folder.mkdir(parents=True)
    for file in (ROOT / "results" / "santurkar2018" / "laptop").glob("fig0[47].*"):
        shutil.copy(file, folder)
    return folder


def figure_label(path):
    """What the figure of a file of results is called."""
    figures = Family.of(path.parts[-3], ROOT).figures()
    return next(figure.label for figure in figures if figure.stem == path.stem)


def page_of(results, *scales):
    return results_page([Family.of("santurkar2018", ROOT)], results, scales)


def test_it_is_well_formed_and_small(document, committed_page):
    assert document.wrong == []
    assert committed_page.stat().st_size < MOST_BYTES


def test_it_loads_nothing(document):
    assert document.loads == []
    policy = [given["content"] for tag, given in document.tags if given.get("http-equiv") == "Content-Security-Policy"]
    assert policy == [POLICY]
    assert "default-src 'none'" in POLICY
    assert "http" not in POLICY


def test_links_within_it_lead_somewhere(document):
    links = {given["href"] for tag, given in document.tags if tag == "a"}
    assert {link[1:] for link in links if link.startswith("#")} <= document.ids
    assert all(link.startswith(("#", "https://")) for link in links)


def test_what_would_be_wrong_is_found():
    page = '<p id="a"><b>x</p><i id="a"><img src="https://x/y.png"><link href="z.css"><style>@import "x";</style>'
    found = Document(page)
    assert len(found.wrong) >= 4
    assert len(found.loads) == 3


@pytest.mark.parametrize("family", FAMILIES)
def test_every_verdict_is_there_in_the_words_of_the_list_of_claims(document, family):
    file = ROOT / "results" / family / "CLAIMS.md"
    if not file.exists():
        pytest.skip(f"no results of {family}")
    listed = rendered(file.read_text().partition("## Every claim")[2])
    expected = [row for row in listed.rows if len(row) == len(CLAIM_COLUMNS) and row[0] != "claim"]
    shown = [dict(zip(SHOWN, row, strict=True)) for row in document.rows if len(row) == len(SHOWN)]
    there = {tuple(row[name] for name in CLAIM_COLUMNS) for row in shown}
    assert [row for row in expected if tuple(row) not in there] == []
    manifests = [path for path in file.parent.glob("*/*.json") if path.parent.name != "smoke"]
    assert len(expected) == sum(len(json.loads(path.read_text())["claims"]) for path in manifests)


def test_the_answer_and_the_question_are_those_of_the_readme(document):
    readme = (ROOT / "README.md").read_text()
    answers = readme.partition("<!-- answer: by scripts/update_readme.py -->")[2].partition("<!--")[0]
    for answer in answers.strip().splitlines():
        assert rendered(answer).text in document.text
    from santurkar2018.answers import QUESTION

    assert f"**{QUESTION}**" in " ".join(readme.split())
    assert QUESTION in document.text


def test_every_figure_has_its_picture_and_where_its_runs_come_from(document):
    figures = [path for path in (ROOT / "results").glob("*/*/*.json") if path.parent.name != "smoke"]
    rows = [tuple(row) for row in document.rows]
    commits = {(row[0], row[2][:12]) for row in rows if len(row) == 5}
    shown_in = {(*row[:2], *row[4:6], label) for row in rows if len(row) == 7 for label in row[6].split(", ")}
    for path in figures:
        assert str(path.with_suffix(".png").relative_to(ROOT / "results")) in document.ids
        manifest, label = json.loads(path.read_text())["manifest"], figure_label(path)
        for name, run in manifest["runs"].items():
            for seed, origin in run["seeds"].items():
                made_by = {number for number, commit in commits if commit == origin["commit"][:12]}
                told = {(name, seed, origin["written"], number, label) for number in made_by}
                assert told & shown_in, (path, name, seed)
    pictures = {path.with_suffix(".png").read_bytes() for path in figures}
    assert len([tag for tag, given in document.tags if tag == "img"]) == len(pictures) < len(figures)
    again = [text.partition("; file")[0] for text in document.text.split("its picture ")[1:]]
    assert len(again) == len(figures) - len(pictures)
    assert {text.partition("of scale")[0] for text in again} == {"and its curves are those "}


def test_the_same_results_give_the_same_bytes(some_results):
    assert page_of(some_results.parents[1]) == page_of(some_results.parents[1])


def test_whatever_a_run_or_a_series_is_called_is_text(some_results):
    table, manifest = some_results / "fig04.csv", some_results / "fig04.json"
    rows = parse_table(table.read_bytes())
    strange = rows[rows["series"] == "batch"].assign(series=EVIL, run=EVIL)
    text = table_bytes(pd.concat([rows, strange]))
    table.write_bytes(text)
    content = read_json(manifest)
    content["manifest"]["table"] = described(text)
    content["manifest"]["runs"][EVIL] = content["manifest"]["runs"]["vgg_batch"]
    write_json(manifest, content)
    page = page_of(some_results.parents[1]).decode()
    document = Document(page)
    assert document.wrong == document.loads == []
    assert EVIL in document.text
    assert all(given.get("src", "").startswith("data:") for tag, given in document.tags if tag == "img")
    (data,) = re.findall(r'<script [^>]*data-charts="[^"]*fig04.png">(.*?)</script>', page)
    names = {line["name"] for chart in unpacked(data)["charts"] for line in chart["lines"]}
    assert f"Standard + {EVIL}" in names


def test_damaged_or_missing_results_are_refused_in_a_line(some_results, tmp_path):
    with pytest.raises(UserError, match="no figure in it; expected results"):
        page_of(tmp_path / "nothing")
    (some_results / "fig04.csv").write_bytes((some_results / "fig04.csv").read_bytes()[:-40])
    with pytest.raises(UserError, match="not the table that its manifest describes"):
        page_of(some_results.parents[1])


def test_a_figure_without_its_picture_says_how_to_draw_it(some_results):
    (some_results / "fig04.png").unlink()
    assert "Its picture is not there" in page_of(some_results.parents[1]).decode()
    (some_results / "fig07.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"fig07\.png: not a picture"):
        page_of(some_results.parents[1])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--family", "santurkar2081"], "did you mean 'santurkar2018'"),
        (["--runs", "runs", "--scale", "laptop"], "--runs: expected without"),
        (["--runs", "no such folder"], "no run in it"),
        (["--scale", "paper"], "--scale paper: no results at it in"),
        (["--sacle", "paper"], "--sacle"),
    ],
)
def test_the_script_says_what_is_wrong_in_a_line(arguments, words, tmp_path, monkeypatch):
    import report

    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=words):
        report.main(arguments)
    assert list(tmp_path.iterdir()) == []


def test_the_script_writes_where_it_is_told_and_says_where(some_results, tmp_path, capsys):
    import report

    out = tmp_path / "pages" / "of me.html"
    report.main(["--results", str(some_results.parents[1]), "--family", "santurkar2018", "--out", str(out)])
    assert str(out) in capsys.readouterr().out
    assert Document(out.read_text()).wrong == []
