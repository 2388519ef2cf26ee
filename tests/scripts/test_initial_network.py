"""The comparison of initial networks: distances are those of the marks, the paper's own and ours at step 0."""

import math
import sys
from pathlib import Path

import pandas as pd
import pytest

sys.path.append(str(Path(__file__).parents[2] / "scripts"))

import initial_network
from initial_network import CANDIDATES, MARKS, RESULTS, SIZES, first_step, page, paper

from normscape.errors import UserError


def table(factor):
    """Return the marks of two candidates: the paper's, and those with sizes so many times as large or as small."""
    made = []
    for candidate, scale in zip(CANDIDATES, (1.0, factor), strict=False):
        for series in ("standard", "batch"):
            for mark, value in paper(series).items():
                made.append((candidate, series, 0, mark, value * scale if mark in SIZES else value))
            made.append((candidate, series, 0, "L2 term of the weights", 2.0))
    return pd.DataFrame(made, columns=["candidate", "series", "seed", "mark", "value"])


@pytest.mark.parametrize("factor", [2.0, 0.5])
def test_a_candidate_is_as_far_as_its_sizes_differ(factor):
    rows = [line.split(" | ")[1:] for line in page(table(factor)).splitlines() if line.startswith("| ")]
    assert rows[1][:4] == ["1.00", "1.00", "1", "0.000"]
    assert rows[2][:4] == ["2.00", "2.00", "2", "0.000"]


def test_the_paper_s_marks_are_those_of_its_first_step():
    standard, batch = paper("standard"), paper("batch")
    assert standard["effective beta"] == pytest.approx(11.523, rel=1e-3)
    assert batch["ICS, layer 5"] == pytest.approx(14.70, rel=1e-3)
    assert standard["objective after a step, least"] < standard["objective after a step, most"] < 4.3


def test_a_first_step_has_every_mark():
    small = ["scale=smoke", "model.width=0.03125", "data.train_images=64", "batch_size=32"]
    found = first_step("batch", 0, small)
    assert list(found) == [*MARKS, "L2 term of the weights"]
    assert all(math.isfinite(value) for value in found.values())


def test_the_committed_page_is_that_of_the_committed_table():
    kept = pd.read_csv(RESULTS / "initial_network.csv")
    assert list(kept["candidate"].unique()) == list(CANDIDATES)
    assert page(kept) == (RESULTS / "INITIAL_NETWORK.md").read_text()


def test_what_is_asked_wrongly_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(initial_network, "RESULTS", tmp_path)
    with pytest.raises(UserError, match=r"initial_network.csv: there is no such table"):
        initial_network.main(["--from-results"])
    with pytest.raises(UserError, match="--seeds one: expected numbers separated by commas"):
        initial_network.main(["--seeds", "one"])
