"""CLAIMS.md says what the manifests say, no more and no less."""

import json

import pandas as pd
import pytest

from normscape.claims import Claim, judge
from normscape.report import claims_markdown, summary


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
    large = Claim(
        "large", "it is large", "its size", value, above=2, note="read so", evidence={"half": lambda r: value(r) / 2}
    )
    small = Claim("small", "it is small", "|its| size", value, below=9)
    publish(tmp_path / "laptop", 1, [large, small], [1.0, 1.5, 1.25], original=0.5)
    publish(tmp_path / "laptop", "text", [large], [1.0])
    publish(tmp_path / "smoke", 1, [large], [1.0])
    return tmp_path


def test_one_row_per_claim(results):
    rows = [line for line in claims_markdown(results).splitlines() if line.startswith("| `")]
    assert rows == [
        "| `reproduce-fig1` | it is large | its size | 0.5 | 1.25 (1 to 1.5) | 3 | above 2 | **does not hold** |",
        r"| `reproduce-fig1` | it is small | \|its\| size | 0.5 | 1.25 (1 to 1.5) | 3 | below 9 | **holds** |",
        "| `reproduce-text` | it is large | its size |  | 1 (one seed) | 1 | above 2 | **does not hold** |",
    ]
    assert "smoke" not in claims_markdown(results)


def test_the_overview_counts_verdicts_by_figure(results):
    text = claims_markdown(results)
    assert "Of 3 claims 1 hold, 2 do not hold, and 0 remain undecided." in text
    assert "| Figure 1 | sizes | 1 | 1 | 0 |" in text
    assert "| The paper's text | sizes | 0 | 1 | 0 |" in text


def test_what_does_not_hold_comes_with_its_evidence(results):
    lines = claims_markdown(results).splitlines()
    start = lines.index("**Figure 1** read so")
    assert lines[start + 4 : start + 6] == [
        "| it is large | its size: above 2 | 0.5 (does not hold) | 1.25 (1 to 1.5) | **does not hold** (0 of 3) |",
        "|  | half | 0.25 | 0.625 (0.5 to 0.75) |  |",
    ]
    assert lines[-2:] == [
        "| it is large | its size: above 2 |  | 1 (one seed) | **does not hold** (0 of 1) |",
        "|  | half |  | 0.5 (one seed) |  |",
    ]
    assert not any("it is small" in line for line in lines[start:])


def test_where_all_hold_nothing_is_explained(tmp_path):
    publish(tmp_path / "laptop", 1, [Claim("small", "it is small", "size", value, below=9)], [1.0, 2.0])
    assert "Claims that do not hold" not in claims_markdown(tmp_path)
    assert summary([]) == "Of 0 claims 0 hold, 0 do not hold, and 0 remain undecided."


def test_a_claim_that_holds_only_over_a_part_is_listed(tmp_path):
    claim = Claim("large", "it is large", "size", value, above=1, parts={"at first": lambda r: value(r) - 1})
    publish(tmp_path / "laptop", 1, [claim], [1.5, 1.75])
    assert claims_markdown(tmp_path).splitlines()[-2:] == [
        "| it is large | size: above 1 |  | 1.625 (1.5 to 1.75) | **holds** (2 of 2) |",
        "|  | at first |  | 0.625 (0.5 to 0.75) | does not hold |",
    ]
    publish(tmp_path / "laptop", 1, [claim], [2.5, 3.0])
    assert "at first" not in claims_markdown(tmp_path)
