"""Figures: densities against the normal law, bands, and files that are the same every time."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from scipy.stats import norm

from normscape.drawing.bands import median_over_seeds, running_medians, widths_over_step_sizes
from normscape.drawing.panels import step_axis
from normscape.drawing.ridges import density, ridge_plot, save_ridge_plots
from normscape.drawing.style import save_figure

LEVELS = (np.arange(100) + 0.5) / 100
NORMAL = norm.ppf(LEVELS)
GRID = np.linspace(-5, 5, 501)


def axes():
    return Figure().add_subplot()


def snapshots(*extra):
    return np.array([NORMAL, 2 * NORMAL + 1, *extra])


def test_density_of_normal_quantiles_is_the_normal_density():
    found = density(2 * NORMAL + 1, 2 * GRID + 1)
    np.testing.assert_allclose(found, norm.pdf(GRID) / norm.pdf(0), atol=0.06)
    assert found.max() == 1
    assert GRID[found.argmax()] == pytest.approx(0, abs=0.1)
    integral = found.sum() * (GRID[1] - GRID[0])
    assert integral == pytest.approx(np.sqrt(2 * np.pi), rel=0.1)


def test_density_of_two_clusters_has_two_peaks():
    found = density(np.concatenate([0.1 * NORMAL[::2] - 2, 0.1 * NORMAL[::2] + 2]), GRID)
    at = {x: found[np.abs(GRID - x).argmin()] for x in (-2, 0, 2)}
    assert at[-2] == pytest.approx(at[2], abs=0.01)
    assert at[0] < 0.5 * at[2]


def test_density_of_a_constant_is_one_narrow_peak():
    found = density(np.full(100, 1.0), GRID)
    assert GRID[found.argmax()] == pytest.approx(1)
    assert (found > 0.01).sum() < 20


@pytest.mark.parametrize(
    "quantiles",
    [
        snapshots(np.full(100, 0.0)),
        np.zeros((3, 100)),
        np.zeros((1, 100)),
        snapshots(np.full(100, np.nan), np.full(100, np.inf), np.append(NORMAL[:-1], np.inf)),
        snapshots(1e30 * NORMAL).astype(np.float32),
        np.full((2, 100), np.nan),
        np.empty((0, 100)),
    ],
    ids=["a constant", "only constants", "one", "not finite", "huge", "none finite", "none"],
)
def test_ridge_plot_takes_every_snapshot(tmp_path, quantiles):
    figure = Figure()
    ridge_plot(figure.add_subplot(), np.arange(len(quantiles)) * 100, quantiles, "#0072B2")
    save_figure(figure, tmp_path / "ridge.png")


def test_ridge_plot_draws_finite_snapshots_at_their_steps_last_in_full_colour():
    drawn = axes()
    quantiles = snapshots(np.full(100, np.nan), NORMAL)
    ridge_plot(drawn, np.array([0, 100, 200, 300]), quantiles, "#0072B2")
    bases = [fill.get_paths()[0].vertices[:, 1].max() for fill in drawn.collections]
    assert bases == [0, 100, 300]
    assert drawn.collections[-1].get_facecolor()[0][:3] == pytest.approx(to_rgba("#0072B2")[:3])
    assert drawn.get_ylim()[0] > 300 > 0 > drawn.get_ylim()[1]  # later steps lower


def test_ridge_plot_thins_out():
    drawn = axes()
    ridge_plot(drawn, np.arange(100), np.tile(NORMAL, (100, 1)), "#0072B2", ridges=5)
    assert len(drawn.collections) == 5


def curves(*seeds):
    rows = [(seed, 10 * i, value) for seed, values in enumerate(seeds) for i, value in enumerate(values)]
    return pd.DataFrame(rows, columns=["seed", "step", "value"])


def extent(drawn):
    (fill,) = drawn.collections
    points = fill.get_paths()[0].vertices
    return {step: (ys.min(), ys.max()) for step in (0, 10, 20) for ys in [points[points[:, 0] == step, 1]]}


def test_band_draws_median_least_and_greatest():
    drawn = axes()
    median_over_seeds(drawn, curves([0, 1, 2], [2, 5, 8], [4, 0, 2]), color="#0072B2", label="ours")
    (line,) = drawn.lines
    assert line.get_xdata().tolist() == [0, 10, 20]
    assert line.get_ydata().tolist() == [2, 1, 2]
    assert line.get_label() == "ours"
    assert extent(drawn) == {0: (0, 4), 10: (0, 5), 20: (2, 8)}
    assert drawn.collections[0].get_facecolor()[0][:3] == pytest.approx(to_rgba("#0072B2")[:3])


def test_one_seed_has_no_band():
    drawn = axes()
    median_over_seeds(drawn, curves([0, 1, 2]))
    assert drawn.lines[0].get_ydata().tolist() == [0, 1, 2]
    assert not drawn.collections


def test_the_band_can_be_left_out():
    drawn = axes()
    median_over_seeds(drawn, curves([0, 1, 2], [2, 5, 8]), band=False)
    assert drawn.lines[0].get_ydata().tolist() == [1, 3, 5]
    assert not drawn.collections


def test_a_seed_that_ended_early_keeps_its_last_accuracy():
    drawn = axes()
    median_over_seeds(drawn, curves([0, 1, 2], [4, 3]), hold=True)
    assert drawn.lines[0].get_ydata().tolist() == [2, 2, 2.5]
    assert extent(drawn)[20] == (2, 3)


def test_a_loss_that_ended_early_is_not_carried_on():
    drawn = axes()
    median_over_seeds(drawn, curves([0, 1, 2], [4, 3]))
    assert drawn.lines[0].get_ydata().tolist() == [2, 2, 2]
    assert extent(drawn)[20] == (2, 2)


@pytest.mark.parametrize("suffix", [".png", ".pdf"])
def test_a_redraw_is_the_same_file(tmp_path, monkeypatch, suffix):
    files = []
    for when in ("1", "1000000000"):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", when)  # stands for the clock
        figure = Figure(layout="constrained")
        drawn = figure.add_subplot(title=r"$\ell_1$")
        ridge_plot(drawn, np.array([0, 100]), snapshots(), "#0072B2")
        file = tmp_path / f"{when}{suffix}"
        save_figure(figure, file)
        files.append(file.read_bytes())
    assert files[0] == files[1]
    assert mpl.__version__.encode() not in files[0]


def test_pdf_holds_fonts_that_an_editor_can_use(tmp_path):
    figure = Figure()
    figure.add_subplot(title="title")
    with mpl.rc_context({"pdf.fonttype": 3}):
        save_figure(figure, tmp_path / "figure.pdf")
    content = (tmp_path / "figure.pdf").read_bytes()
    assert b"/CIDFontType2" in content
    assert b"/Type3" not in content


def test_one_ridge_plot_for_each_layer_that_can_be_drawn(tmp_path):
    steps = np.array([0, 100])
    arrays = {
        "activation_quantiles/layer03": snapshots(),
        "activation_quantiles/layer03/steps": steps,
        "activation_quantiles/layer05": snapshots()[:, :] * np.array([[1], [np.nan]]),
        "activation_quantiles/layer05/steps": steps,
        "activation_quantiles/layer11": np.full((2, 100), np.nan),
        "activation_quantiles/layer11/steps": steps,
        "something/layer03": snapshots(),
        "activation_quantiles_tail": np.arange(2.0),
        "activation_quantiles_by_class/layer03": np.zeros((2, 10, 100)),
        "something/layer03/steps": steps,
    }
    drawn = dict(save_ridge_plots(arrays, tmp_path, "vgg_batch seed 0"))
    assert drawn == {f"activations/layer{n}": tmp_path / f"ridge_layer{n}.png" for n in ("03", "05")}
    assert sorted(tmp_path.iterdir()) == sorted(drawn.values())
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in drawn.values())


def test_widths_are_greatest_minus_least_of_the_same_seed_and_step():
    edges = [("min", 1, [1.0, 2.0]), ("max", 1, [4.0, np.inf]), ("max", 2, [9.0, np.inf]), ("min", 2, [8.0, np.inf])]
    facts = {"series": "batch", "lr": 0.1, "quantity": "x", "step": [0, 5]}
    rows = pd.concat(pd.DataFrame({**facts, "seed": seed, "edge": edge, "value": v}) for edge, seed, v in edges)
    found = widths_over_step_sizes(pd.concat([rows, rows.assign(quantity="y", value=0.0)]), "x")
    assert found.set_index(["seed", "step"])["value"].drop((2, 5)).to_dict() == {(1, 0): 3, (1, 5): np.inf, (2, 0): 1}
    assert np.isnan(found.set_index(["seed", "step"])["value"][(2, 5)])
    assert set(found["quantity"]) == {"x"}


def test_running_medians_keep_seeds_and_series_apart():
    curve = pd.DataFrame({"series": "batch", "lr": 0.1, "seed": 0, "step": [20, 0, 10, 30], "value": [9.0, 1, 5, 100]})
    others = [curve.assign(seed=1, value=0.0), curve.assign(series="l1", value=-1.0)]
    found = running_medians(pd.concat([curve, *others]), 3)
    mine = found[(found["series"] == "batch") & (found["seed"] == 0)].sort_values("step")
    assert mine["value"].tolist() == [3, 5, 9, 54.5]  # of steps 0 and 10, of three around 10 and 20, of 20 and 30
    assert set(found["value"]) == {3, 5, 9, 54.5, 0, -1}


@pytest.mark.parametrize(("last", "wide", "narrow"), [(9950, 6, 3), (7960, 5, 3), (14900, 4, 2), (24, 5, 2)])
def test_a_narrow_panel_has_fewer_ticks_and_one_where_the_steps_end(last, wide, narrow):
    rows = pd.DataFrame({"step": [0, last]})
    for panel, count in zip(Figure(figsize=(12, 3)).subplots(1, 2, width_ratios=[5, 1]), (wide, narrow), strict=True):
        end = step_axis(panel, rows)
        assert last <= end <= 1.025 * last
        ticks = [tick for tick in panel.get_xticks() if 0 <= tick <= end]
        assert len(ticks) == count
        assert ticks[-1] == end or (last, count) in ((24, wide), (24, narrow), (14900, narrow))
