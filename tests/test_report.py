"""CLAIMS.md says what the manifests say, no more and no less."""

import json

import pandas as pd
import pytest

from normscape.claims import Claim, judge
from normscape.report import README_MARKS, claims_markdown, figures_in, readme_block, summary


def value(rows):
    return float(rows["value"].iloc[0])


def publish(folder, figure, claims, values, original=None):
    table = pd.DataFrame({"seed": range(len(values)), "value": values})
    theirs = None if original is None else pd.DataFrame({"value": [original]})
    judged = [judge(claim, table, theirs).to_json() for claim in claims]
    folder.mkdir(exist_ok=True)
    stem = f"fig{figure:02d}" if isinstance(figure, int) else figure
    (folder / f"{stem}.json").write_text(json.dumps({"figure": figure, "title": "sizes", "claims": judged}))


@pytest.fixture
def results(tmp_path):
    reasons = [
        Claim("It is halved", "half its size", lambda rows: value(rows) / 2, below=1),
        Claim("It is doubled", "double its size", lambda rows: value(rows) * 2, below=1),
    ]
    evidence = {"a third": lambda rows: value(rows) / 3}
    explained = {"note": "Read so.", "reasons": reasons, "evidence": evidence}
    large = Claim("it is large", "its size", value, "large", above=2, **explained)
    small = Claim("it is small", "|its| size", value, below=9)
    publish(tmp_path / "laptop", 1, [large, small], [1.0, 1.5, 1.25], original=0.5)
    publish(tmp_path / "laptop", "text", [large], [1.0])
    publish(tmp_path / "smoke", 1, [large], [1.0])
    return tmp_path


def test_one_row_per_claim(results):
    rows = [line for line in claims_markdown(results).splitlines() if line.startswith("| `")]
    theirs, ours = "0.5 (does not hold)", "1.25 (1 to 1.5)"
    assert rows == [
        f"| `reproduce-fig1` | it is large | its size | {theirs} | {ours} | 3 | above 2 | **does not hold** |",
        r"| `reproduce-fig1` | it is small | \|its\| size | 0.5 | 1.25 (1 to 1.5) | 3 | below 9 | **holds** |",
        "| `reproduce-text` | it is large | its size |  | 1 (one seed) | 1 | above 2 | **does not hold** |",
    ]
    assert "smoke" not in claims_markdown(results)


def test_the_overview_counts_verdicts_by_figure(results):
    text = claims_markdown(results)
    assert "Of 3 claims, judged on 1 or 3 seeds, 1 hold, 0 hold in part, 2 do not hold, and 0 remain undecided." in text
    assert "| Figure 1 | sizes | 1 | 0 | 1 | 0 |" in text
    assert "| The paper's text | sizes | 0 | 0 | 1 | 0 |" in text


def test_what_does_not_hold_comes_with_reasons_and_evidence(results):
    lines = claims_markdown(results).splitlines()
    start = lines.index("#### Figure 1")
    assert lines[start + 2 : start + 5] == [
        "- it is large: **does not hold** (0 of 3). It is halved (half its size: 0.625 (0.5 to 0.75); the paper's "
        "curves: 0.25). The paper's own curves do not meet it either (0.5).",
        "",
        "Read so.",
    ]
    assert lines[start + 8 : start + 12] == [
        "| it is large | its size: above 2 | 0.5 (does not hold) | 1.25 (1 to 1.5) | **does not hold** (0 of 3) |",
        "| why: It is halved | half its size: below 1 | 0.25 | 0.625 (0.5 to 0.75) | holds |",
        "| considered: It is doubled | double its size: below 1 | 1 | 2.5 (2 to 3) | does not hold |",
        "|  | a third | 0.1667 | 0.4167 (0.3333 to 0.5) |  |",
    ]
    assert "- it is large: **does not hold** (0 of 1). It is halved (half its size: 0.5 (one seed))." in lines
    assert not any("it is small" in line for line in lines[start:])


def test_where_all_hold_nothing_is_explained(tmp_path):
    publish(tmp_path / "laptop", 1, [Claim("it is small", "size", value, below=9)], [1.0, 2.0])
    assert "### Claims that do not hold" not in claims_markdown(tmp_path)
    assert summary(figures_in(tmp_path / "laptop")).startswith("Of 1 claims, judged on 2 seeds, 1 hold, ")


def test_a_claim_that_holds_only_over_a_part_is_listed(tmp_path):
    parts = {
        "at first": lambda rows: value(rows) - 1,
        "then": lambda rows: value(rows) + 1,
        "at last": lambda rows: 2 * value(rows),
    }
    claim = Claim("it is large", "size", value, above=1, parts=parts)
    publish(tmp_path / "laptop", 1, [claim], [1.5, 1.75])
    lines = claims_markdown(tmp_path).splitlines()
    assert "- it is large: **holds in part** (2 of 2). It holds then and at last. It does not hold at first." in lines
    assert "| Figure 1 | sizes | 0 | 1 | 0 | 0 |" in lines
    assert lines[-4:-2] == [
        "| it is large | size: above 1 |  | 1.625 (1.5 to 1.75) | **holds in part** (2 of 2) |",
        "|  | at first |  | 0.625 (0.5 to 0.75) | does not hold |",
    ]
    publish(tmp_path / "laptop", 1, [claim], [2.5, 3.0])
    assert "at first" not in claims_markdown(tmp_path)


def test_the_readme_gets_the_claims_that_it_is_to_show(results):
    manifest = results / "laptop" / "fig01.json"
    content = json.loads(manifest.read_text())
    content["headline"] = ["large"]
    manifest.write_text(json.dumps(content))
    lines = readme_block(figures_in(results / "laptop")).splitlines()
    assert (lines[0], lines[-1]) == README_MARKS
    assert lines[1].startswith("Of 3 claims, judged on 1 or 3 seeds, ")
    ours = "1.25 (1 to 1.5) | above 2 | **does not hold** |"
    assert lines[5:-1] == [f"| Figure 1 | it is large | its size | 0.5 | {ours}"]


def test_a_part_that_is_the_whole_is_not_told(tmp_path):
    parts = {"before it fitted": value, "at first": lambda rows: value(rows) - 1}
    publish(tmp_path / "laptop", 1, [Claim("it is large", "size", value, above=1, parts=parts)], [1.5, 1.75])
    assert "before it fitted" not in claims_markdown(tmp_path)
    assert "It does not hold at first." in claims_markdown(tmp_path)
