"""Charts hold what a figure's table says, as its pictures show it, thinned without losing an extreme."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from documents import decoded
from pages import ROOT

from normscape.drawing import panels
from normscape.drawing.style import COLORS
from normscape.evidence.figure import Family, Shown
from normscape.evidence.results import Results, configs_of
from normscape.evidence.table import COLUMNS
from normscape.page.charts import charts_of
from normscape.page.lines import Chart, Line, packed, points_each, spans_decades, thinned
from normscape.page.look import Look

LAPTOP = ROOT / "results" / "santurkar2018" / "laptop"


def rows(values, **facts):
    """Return rows of a table, one per step."""
    plain = {"run": "r", "net": "vgg", "series": "batch", "lr": 0.1, "augment": False, "seed": 0, "quantity": "q"}
    return pd.DataFrame({"value": values, "step": np.arange(len(values)) * 10, **plain, **facts}).reindex(
        columns=COLUMNS
    )


def test_a_curve_is_the_median_over_seeds_in_their_range():
    table = pd.concat([rows([1.0, 2.0], seed=0), rows([3.0, 5.0], seed=1), rows([2.0, 9.0], seed=2)])
    (chart,) = charts_of(table)
    (line,) = chart.lines
    assert (line.name, line.color) == ("Standard + BatchNorm", COLORS["batch"])
    assert [[*part] for part in (line.x, line.y, line.low, line.high)] == [[0, 10], [2, 5], [1, 2], [3, 9]]


def test_a_seed_that_diverged_keeps_its_last_accuracy_and_nothing_else():
    for quantity, last in (("train_accuracy", 0.35), ("train_loss", 0.6)):
        table = pd.concat([rows([0.1, 0.6], seed=0, quantity=quantity), rows([0.1], seed=1, quantity=quantity)])
        (line,) = charts_of(table)[0].lines
        assert line.y[-1] == pytest.approx(last)


def test_a_range_over_step_sizes_has_two_edges():
    table = pd.concat([rows([1.0, 2.0], edge="min"), rows([4.0, 6.0], edge="max")])
    (line,) = charts_of(table)[0].lines
    assert line.y is None
    assert [[*line.low], [*line.high]] == [[1, 2], [4, 6]]


def test_rates_are_dashed_in_their_order_and_many_become_an_axis():
    few = pd.concat([rows([1.0, 2.0], lr=rate, run=f"r{rate}") for rate in (0.5, 0.1)])
    (chart,) = charts_of(few)
    assert {line.name.rpartition(" ")[2]: line.dash for line in chart.lines} == {"0.1": "solid", "0.5": "dash"}
    many = pd.concat([rows([1.0, rate], lr=rate, run=f"r{rate}") for rate in (0.01, 0.1, 0.2, 0.5, 1.0)])
    (chart,) = charts_of(many)
    assert chart.x_label == "learning rate"
    assert [*chart.lines[0].x] == [*chart.lines[0].y] == [0.01, 0.1, 0.2, 0.5, 1.0]


def test_levels_are_a_distribution_and_step_sizes_a_distance():
    levels = pd.concat([rows([level, level], level=level, layer=3) for level in (0.05, 0.25, 0.45, 0.55, 0.75, 0.95)])
    (chart,) = charts_of(levels)
    wide, half, middle = chart.lines
    assert (wide.low[0], wide.high[0], half.low[0], half.high[0], middle.y[0]) == (0.05, 0.95, 0.25, 0.75, 0.45)
    sizes = pd.concat([rows([size, 10 * size], step_size=size) for size in (0.2, 0.1)])
    (chart,) = charts_of(sizes)
    assert [line.name for line in chart.lines] == ["step 0", "step 10"]
    assert [[*line.x] for line in chart.lines] == [[0.1, 0.2]] * 2
    assert [[*line.y] for line in chart.lines] == [[0.1, 0.2], [1.0, 2.0]]


def test_the_paper_s_curves_are_stretched_marked_and_of_our_series_alone():
    theirs = pd.concat([rows([5.0, 6.0, 7.0], quantity="theirs"), rows([1.0], quantity="theirs", series="other")])
    look = Look(paper={"theirs": "q"})
    ours, paper = charts_of(rows([1.0, 2.0]), theirs, look)[0].lines
    assert not ours.paper
    assert paper.paper
    assert [*paper.x] == [0, 5, 10]
    assert [line.paper for line in charts_of(rows([1.0, 2.0]), theirs)[0].lines] == [False]


def test_single_numbers_are_no_curves():
    assert charts_of(rows([1.0])) == charts_of(rows([])) == []


def test_labels_of_two_networks_and_runs_differ():
    table = pd.concat([rows([1.0, 2.0], run=run, net=net) for run in ("a", "b") for net in ("vgg", "dln")])
    first, second = charts_of(table)
    assert [first.group, second.group] == ["VGG", "DLN"]
    assert [line.name for line in first.lines] == ["Standard + BatchNorm (a)", "Standard + BatchNorm (b)"]


def test_axes_are_logarithmic_where_they_are_in_the_pictures(monkeypatch):
    drawn, scale = {}, panels._scale

    def spy(chosen, *, log):
        if len(chosen) and "layer" in chosen:  # not of the widths of bands
            layer = chosen["layer"].iloc[0]
            at = chosen["net"].iloc[0], chosen["quantity"].iloc[0], 0 if pd.isna(layer) else int(layer)
            drawn[at] = scale(chosen, log=log) == "log"
        return scale(chosen, log=log)

    monkeypatch.setattr(panels, "_scale", spy)
    family, compared = Family.of("santurkar2018", ROOT), 0
    for figure in map(family.figure, ("1", "4", "8", "10")):
        results = Results(LAPTOP, figure)
        if results.file.exists():
            drawn.clear()
            table = results.table(results.manifest())
            figure.module.draw(Shown(table, None, configs_of(results.manifest())))
            charts = {chart.about: chart for chart in charts_of(table)}
            assert {at: charts[at].y_log for at in drawn} == drawn, figure.label
            compared += len(drawn)
    assert compared > 20


def test_thinning_keeps_ends_and_extremes():
    x = np.arange(10_000.0)
    y = np.sin(x / 50)
    y[[1234, 7777]] = 9.0, -9.0
    thin = thinned(Line("a", "#000000", x, y), 100)
    assert len(thin.x) <= 102
    assert {0.0, 1234.0, 7777.0, 9999.0} <= {*thin.x}
    assert all(y[int(at)] == value for at, value in zip(thin.x, thin.y, strict=True))
    band = thinned(Line("a", "#000000", x, low=y, high=y + 1), 100)
    assert (band.low.min(), band.high.max()) == (-9.0, 10.0)
    holes = thinned(Line("a", "#000000", x, np.full(10_000, np.nan)), 100)
    assert np.isnan(holes.y).all()
    assert thinned(Line("a", "#000000", x[:5], y[:5]), 100).x.tolist() == [0, 1, 2, 3, 4]


def test_what_is_not_finite_is_a_gap_and_numbers_are_short():
    line = Line("a", "#000000", np.arange(4.0), np.array([1 / 3, math.inf, math.nan, 2.0]))
    content = packed([Chart("c", (line, line))])
    assert content["xs"] == [[0, 1, 2, 3]]
    assert content["starts"] == [0]
    json.dumps(content, allow_nan=False)
    assert decoded(content)["charts"][0]["lines"][1]["y"] == [pytest.approx(1 / 3, rel=6.2e-5), None, None, 2]


def test_values_keep_four_digits_over_all_that_float32_holds():
    values = np.array(
        [s * m * 10.0**e for e in range(-36, 38) for m in (1.0, 1.23456, 9.87654) for s in (1, -1)] + [0.0]
    )
    line = Line("a", "#000000", np.arange(float(len(values))), low=values, high=2 * values)
    (found,) = decoded(packed([Chart("c", (line,))], points=10**6))["charts"][0]["lines"]
    np.testing.assert_allclose(found["low"], values, rtol=6.2e-5, atol=0)
    np.testing.assert_allclose(found["high"], 2 * values, rtol=6.2e-5, atol=0)
    beyond = Line("a", "#000000", np.arange(2.0), np.array([1e39, -1e300]))
    assert decoded(packed([Chart("c", (beyond,))]))["charts"][0]["lines"][0]["y"] == [None, None]


def test_an_axis_spans_decades_only_if_all_is_positive():
    assert spans_decades([np.array([1.0, 1e3, math.nan])])
    assert not spans_decades([np.array([1.0, 5.0])])
    assert not spans_decades([np.array([0.0, 1e3])])
    assert not spans_decades([])


def test_very_many_values_are_thinned_to_what_a_page_has_room_for():
    def charts(lines, length):
        return [Chart("c", tuple(Line("a", "#000000", x := np.arange(length), low=x, high=x) for _ in range(lines)))]

    assert points_each(charts(10, 5000.0)) == 400
    assert points_each(charts(1400, 150.0)) == 400  # all of them are there
    assert points_each(charts(2100, 150.0)) == 100
    assert points_each(charts(20_000, 150.0)) == 40
    assert points_each([]) == 400
