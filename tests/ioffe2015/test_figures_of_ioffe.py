"""The figures of the family as they are declared, and what their tables compute from curves of known numbers."""

import math
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from ioffe2015 import properties_shown
from ioffe2015.fig01_mnist import saturation
from ioffe2015.fig03_table import BEST, STEPS
from ioffe2015.rates_search import Lead
from ioffe2015.shared import marks
from normscape.config import compose_run
from normscape.drawing.style import rendered
from normscape.errors import UserError
from normscape.evidence.correlation import RankCorrelation, rank_correlation
from normscape.evidence.curves import Curve, Curves, Key, indexed
from normscape.evidence.figure import Family, Shown
from normscape.evidence.finished import FinishedRun
from normscape.evidence.original import read_original
from normscape.evidence.preflight import planned, require_evidence
from normscape.evidence.statistics import Difference, Ratio
from normscape.evidence.table import COLUMNS, parse_table, table_bytes
from normscape.overview.outline import Outline
from normscape.storage.records import Records

PROJECT = Path(__file__).parents[2]
FAMILY = Family.of("ioffe2015", PROJECT)


def test_the_family_knows_its_paper_and_what_comes_first():
    assert FAMILY.title.startswith("Batch Normalization: Accelerating Deep Network Training")
    assert set(FAMILY.known) == {"1", "2", "3", "story", "whitening", "properties", "rates"}
    assert [*map(str, FAMILY.first)] == ["1", "3", "2", "story", "whitening", "properties", "rates"]


@cache
def plan(name):
    """Return a run of the catalogue and what it will have measured, without values."""
    config = compose_run([f"run={name}", "scale=smoke", "device=cpu"])
    return config, planned(config)


@pytest.mark.parametrize("name", FAMILY.known)
def test_its_runs_give_what_a_figure_and_its_claims_need_and_it_can_be_drawn(name, monkeypatch):
    monkeypatch.setattr(properties_shown, "SEEDS", range(1))
    figure = FAMILY.figure(name)
    configs, plans = ({run: plan(run)[place] for run in figure.runs} for place in (0, 1))
    require_evidence(figure, configs, plans)
    table = parse_table(table_bytes(figure.module.table(list(plans.values()))))
    drawn = rendered(figure.module.draw(Shown(table)), ".png")
    assert drawn.startswith(b"\x89PNG")


@pytest.mark.parametrize("name", [name for name in FAMILY.known if name != "properties"])
def test_a_run_without_what_it_should_measure_is_refused_before_training(name):
    figure = FAMILY.figure(name)
    configs = {run: plan(run)[0] for run in figure.runs}
    plans = {run: FinishedRun(config, Outline(Records())) for run, config in configs.items()}
    with pytest.raises(UserError, match=r"has no|no such"):
        require_evidence(figure, configs, plans)


def run(series, accuracies, seed=0):
    """Return a finished run that has a test accuracy every 10 steps."""
    frame = pd.DataFrame({"step": 10 * np.arange(len(accuracies)), "value": accuracies, "quantity": "test_accuracy"})
    facts = {"run": series, "net": "conv", "series": series, "lr": 0.1, "augment": False, "seed": seed}
    rows = frame.assign(**facts).reindex(columns=COLUMNS)
    return SimpleNamespace(config=SimpleNamespace(series=series, seed=seed), rows=lambda *_: rows)


def test_marks_are_the_best_accuracy_and_the_steps_to_that_of_the_baseline_of_the_same_seed():
    runs = [
        run("baseline", [0.1, 0.5, 0.7, 0.6]),
        run("baseline", [0.1, 0.2, 0.3, 0.2], seed=1),
        run("BN-x5", [0.2, 0.7, 0.8, 0.1]),
        run("BN-x5", [0.2, 0.2, 0.2, 0.2], seed=1),
    ]
    seeds = indexed(marks(runs))
    faster, better = Ratio(STEPS, "baseline", "BN-x5"), Difference(BEST, "BN-x5", "baseline")
    assert [STEPS.of(seeds[seed], "baseline") for seed in (0, 1)] == [20, 20]
    assert [faster.of(seeds[seed]) for seed in (0, 1)] == [2.0, 0.0]
    assert STEPS.of(seeds[1], "BN-x5") == math.inf
    assert [better.of(seeds[seed]) for seed in (0, 1)] == pytest.approx([10.0, -10.0])


def test_the_original_s_table_gives_the_ratios_that_its_text_states():
    curves = indexed(read_original(FAMILY.original, "fig03"))[0]
    assert Ratio(STEPS, "baseline", "BN-x5").of(curves) == pytest.approx(14, abs=1)
    assert Ratio(STEPS, "baseline", "BN-x30").of(curves) == pytest.approx(11.5, abs=0.1)
    assert Difference(BEST, "BN-x30", "BN-x5").of(curves) == pytest.approx(1.8)


def test_the_lead_of_a_rate_is_over_the_best_other_one():
    def curves(best):
        return Curves(
            {
                Key("conv", "baseline", lr, False, "test_accuracy", 0, ""): Curve(
                    np.arange(2.0), np.array([0.0, value]), np.full(2, np.nan)
                )
                for lr, value in best.items()
            }
        )

    assert Lead(0.1).of(curves({0.05: 0.5, 0.1: 0.62, 0.2: 0.6})) == pytest.approx(2.0)
    assert Lead(0.1).of(curves({0.05: 0.5, 0.1: 0.55, 0.2: 0.6})) == pytest.approx(-5.0)
    assert math.isnan(Lead(0.1).of(curves({0.1: 0.55})))


def test_saturation_is_the_share_of_quantiles_beyond_three():
    quantiles = np.array([[[-5.0, 0.0, 3.0, 3.1]], [[0.0, 0.0, 0.0, 0.0]]])
    finished = SimpleNamespace(snapshots=lambda *_: (quantiles, np.array([0, 500])), labelled=lambda rows: rows)
    assert saturation(finished, 3)["value"].tolist() == [0.5, 0.0]


@pytest.mark.parametrize(
    ("other", "expected"),
    [([10.0, 20.0, 40.0], 1.0), ([3.0, 2.0, 1.0], -1.0), ([1.0, 3.0, 2.0], 0.5), ([1.0, 1.0, 2.0], math.sqrt(0.75))],
)
def test_rank_correlation_by_hand_and_by_scipy(other, expected):
    from scipy.stats import spearmanr

    one = pd.Series([1.0, 2.0, 3.0])
    assert rank_correlation(one, pd.Series(other)) == pytest.approx(expected)
    assert rank_correlation(one, pd.Series(other)) == pytest.approx(spearmanr(one, other).statistic)


@pytest.mark.parametrize(("one", "other"), [([1.0, 2.0], [1.0, 2.0]), ([1.0, 1.0, 1.0], [1.0, 2.0, 3.0])])
def test_too_few_steps_or_no_change_have_none(one, other):
    assert math.isnan(rank_correlation(pd.Series(one), pd.Series(other)))


def test_it_is_over_the_steps_that_both_have():
    def key(quantity):
        return Key("mnist", "batch", 0.1, False, quantity, 3, "")

    def curve(steps, values):
        return Curve(np.array(steps, float), np.array(values, float), np.full(len(steps), np.nan))

    curves = Curves(
        {
            key("movement"): curve([1, 2, 3, 4], [1, 2, math.nan, 4]),
            key("shift"): curve([0, 1, 2, 3, 4], [9, 3, 5, 0, 7]),
        }
    )
    measure = RankCorrelation("movement", 3, other="shift")
    assert measure.of(curves, "batch") == pytest.approx(1.0)
    assert measure.words == "rank correlation over steps of movement in layer 3 and shift in layer 3"
