"""Seeds added to results one after the other give the table that all of them at once give, figure by figure."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from normscape.config import compose_run
from normscape.errors import UserError
from normscape.evidence.added import Kept
from normscape.evidence.figure import Family
from normscape.evidence.finished import FinishedRun
from normscape.evidence.results import Results
from normscape.evidence.table import described, parse_table, table_bytes
from normscape.overview.outline import outline
from normscape.storage.files import write_json

PROJECT = Path(__file__).parents[2]
FIGURES = [
    figure
    for folder in sorted((PROJECT / "configs" / "figure").iterdir())
    for figure in Family.of(folder.name, PROJECT).figures()
    if figure.runs
]
ACROSS = [figure for figure in FIGURES if getattr(figure.module, "ACROSS_SEEDS", False)]
SEEDS = (0, 1, 2)
FEW = 6


class Measured:
    """The rows and snapshots that a run will have, with numbers that tell runs apart."""

    def __init__(self, planned, shift):
        rows, arrays = planned.table(), planned.arrays()
        numbers = pd.Series(np.arange(len(rows)) % 17 / 100 + shift, index=rows.index)
        self._rows = rows.assign(value=rows["value"].where(rows["value"].notna(), numbers))
        stream = np.random.default_rng(round(1000 * shift))
        self._arrays = {
            name: values if name.endswith("/steps") else np.sort(stream.normal(size=values.shape), axis=1)
            for name, values in arrays.items()
        }

    def table(self):
        return self._rows

    def arrays(self):
        return self._arrays


@cache
def planned(own):
    config = compose_run([*own, "scale=smoke", "tracker=none"])
    return config, outline(config)


@cache
def measured(own, seed):
    config, plan = planned(own)
    return FinishedRun(replace(config, seed=seed), Measured(plan, 0.1 * seed + 0.01 * len(config.name)))


def runs(figure, *seeds):
    """Return the runs of a figure, or of one with many of them some."""
    every = -(-len(figure.runs) // FEW)
    return [measured(own, seed) for own in [*figure.runs.values()][::every] for seed in seeds]


def rows(figure, *seeds):
    return parse_table(table_bytes(figure.module.table(runs(figure, *seeds))))


def order(figure, *seeds):
    return [(run.config.name, run.config.seed) for run in runs(figure, *seeds)]


def built_up(figure, first, *others):
    kept = Kept(rows(figure, first), dict.fromkeys(order(figure, first)))
    for place, seed in enumerate(others):
        so_far = sorted((first, *others[: place + 1]))
        table = kept.with_new(rows(figure, seed), order(figure, *so_far))
        kept = Kept(parse_table(table_bytes(table)), dict.fromkeys(order(figure, *so_far)))
    return table_bytes(kept.rows)


def at_once(figure):
    return table_bytes(Kept().with_new(rows(figure, *SEEDS), order(figure, *SEEDS)))


@pytest.fixture(autouse=True)
def _costs(monkeypatch):
    """What whitening costs is measured for the table, on a clock."""
    module = next(figure.module for figure in FIGURES if figure.stem == "whitening")
    monkeypatch.setattr(module, "seconds", lambda norm: [1.0] * len(module.CHANNELS))


@pytest.mark.parametrize("figure", [each for each in FIGURES if each not in ACROSS], ids=lambda each: each.group)
def test_one_after_the_other_is_all_at_once(figure):
    assert built_up(figure, 1, 2, 0) == built_up(figure, 0, 1, 2) == at_once(figure)


@pytest.mark.parametrize("figure", ACROSS, ids=lambda each: each.group)
def test_rows_across_seeds_are_not_added_to(figure, tmp_path):
    """Their table would be another one, so they say no."""
    assert built_up(figure, 0, 1, 2) != at_once(figure)
    text = at_once(figure)
    (tmp_path / "smoke").mkdir()
    results = Results(tmp_path / "smoke", figure)
    (results.folder / f"{figure.stem}.csv").write_bytes(text)
    manifest = {"scale": "smoke", "seeds": [*SEEDS], "table": described(text), "runs": {}}
    write_json(results.file, {"figure": figure.name, "with_paper": False, "claims": {}, "manifest": manifest})
    with pytest.raises(UserError, match="compares runs of several seeds with each other; make it anew, without --add"):
        Kept.of(results)
