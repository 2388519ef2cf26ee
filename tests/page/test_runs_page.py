"""The page of a folder of runs: whatever state they are in, it is made, and says what is not on it."""

import math
import re
import shutil

import pytest
from documents import Document, unpacked
from pages import EVIL, leave

from normscape.errors import UserError
from normscape.page.sweep import runs_page


def read(page):
    document = Document(page.decode())
    assert document.wrong == document.loads == []
    return document


def charts(page):
    (data,) = re.findall(r'id="curves">(.*?)</script>', page.decode())
    return unpacked(data)


def test_no_run(tmp_path):
    with pytest.raises(UserError, match="no run in it"):
        runs_page(tmp_path)


def test_one_run(tmp_path):
    leave(tmp_path, "batch")
    page, notes = runs_page(tmp_path)
    assert notes == []
    document = read(page)
    assert "1 run:" in document.text
    assert "batch-s0" in document.text
    assert {chart["title"] for chart in charts(page)["charts"]} >= {"Test accuracy", "||G - G'|| in layer 3"}
    assert page == runs_page(tmp_path)[0]


def test_runs_that_have_not_ended_are_named_and_have_no_curves(tmp_path):
    leave(tmp_path, "batch")
    leave(tmp_path, "slow", status="training")
    page, notes = runs_page(tmp_path)
    assert notes == ["slow-s0: training at step 2, no curves until it ends"]
    assert notes[0] in read(page).text
    assert {line["name"] for chart in charts(page)["charts"] for line in chart["lines"]} == {"batch-s0"}


def test_a_copy_of_a_run_is_left_out_and_named(tmp_path):
    run = leave(tmp_path, "batch")
    shutil.copytree(run, tmp_path / f"old_{run.name}")
    page, notes = runs_page(tmp_path)
    assert notes == [f"left out, copied or renamed: old_{run.name}"]
    assert notes[0] in read(page).text
    assert "1 run:" in read(page).text


def test_only_runs_in_training(tmp_path):
    leave(tmp_path, "slow", status="training")
    page, _ = runs_page(tmp_path)
    assert "No run has ended yet" in read(page).text


def test_a_diverged_run_has_gaps_where_nothing_is_finite(tmp_path):
    leave(tmp_path, "gone", status="diverged", values=(0.1, math.nan, math.inf))
    page, notes = runs_page(tmp_path)
    assert notes == []
    assert "diverged at step 1" in read(page).text
    accuracy, *_ = charts(page)["charts"]
    assert accuracy["lines"][0]["y"] == [pytest.approx(0.1, rel=6.2e-5), None, None]


def test_sixty_runs_stay_small(tmp_path):
    for seed in range(60):
        leave(tmp_path, "batch", seed=seed, values=[seed / 60 + step / 5000 for step in range(200)])
    page, _ = runs_page(tmp_path)
    assert len(page) < 10**7
    (accuracy,) = (chart for chart in charts(page)["charts"] if chart["title"] == "Test accuracy")
    looks = {(line["color"], line.get("dash")) for line in accuracy["lines"]}
    assert len(accuracy["lines"]) == 60
    assert len(looks) == 40
    assert sum(row[1:2] == [f"batch-s{seed}"] for seed in range(60) for row in read(page).rows) == 60


DAMAGE = {
    "config_json": ["", "[1]", "{", '"x"', "null"],
    "status_json": ["", "3"],
    "summary_json": [
        "",
        "[]",
        "{}",
        '{"status": "finished", "files": {"metrics.csv": {"sha256": "0", "size": "1 rows"}}}',
    ],
    "metrics_csv": ["", "a,b\n1,2\n", "step,quantity,layer,step_size,value\n0,q,,x,y\n", "\0\0"],
    "provenance_json": ["[1]", "{"],
}


@pytest.mark.parametrize(("file", "content"), [(file, text) for file, texts in DAMAGE.items() for text in texts])
def test_a_damaged_run_is_left_out_and_named_in_a_line(tmp_path, file, content):
    leave(tmp_path, "batch")
    bad = leave(tmp_path, "bad", **{file: content})
    page, notes = runs_page(tmp_path)
    (note,) = notes
    assert bad.name in note
    assert "\n" not in note
    assert note in read(page).text
    assert "bad-s0" not in {line["name"] for chart in charts(page)["charts"] for line in chart["lines"]}


def test_only_damaged_runs_are_refused_in_a_line(tmp_path):
    leave(tmp_path, "bad", config_json="{")
    with pytest.raises(UserError, match=r"no run in it can be read; .*bad"):
        runs_page(tmp_path)


def test_a_run_without_its_origin_is_shown(tmp_path):
    (leave(tmp_path, "batch") / "provenance.json").unlink()
    page, notes = runs_page(tmp_path)
    assert notes == []
    assert "batch-s0" in read(page).text


def test_names_are_text_and_those_that_are_alike_are_told_apart(tmp_path):
    leave(tmp_path, EVIL)
    leave(tmp_path, "größe-λ", rate=0.1)
    leave(tmp_path, "größe-λ", rate=0.2)
    page, _ = runs_page(tmp_path)
    document = read(page)
    names = {row[1] for row in document.rows if len(row) > 3 and row[0] == ""}
    assert len(names) == 3
    assert sum(name.startswith("größe-λ-s0-") for name in names) == 2
    assert all(given["src"].startswith("data:") for tag, given in document.tags if tag == "img")
    assert EVIL in document.text  # as its series; the folder has a name that suits a shell
