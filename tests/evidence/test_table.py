"""The table behind a figure, against brute force over samples."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import wasserstein_distance

from normscape.errors import UserError
from normscape.evidence.finished import FinishedRun
from normscape.evidence.original import read_original
from normscape.evidence.table import (
    COLUMNS,
    FACTS,
    curve,
    described,
    read_table,
    select,
    table_bytes,
    table_file,
    written,
)
from normscape.runs import RunDirectory
from normscape.storage.records import Records, Row

STEPS = np.arange(0, 50, 10)
SAMPLES = np.random.default_rng(0).normal(size=(5, 100)) * [[1], [2], [3], [2], [2]] + [[0], [5], [5], [-1], [-1]]


def write_table(table, folder, stem):
    """Write a table, and return what its manifest keeps of it."""
    text = table_bytes(table)
    path, content, beside = written(text, folder, stem)
    path.write_bytes(content)
    beside.unlink(missing_ok=True)
    return described(text)


def config(name="vgg_noisy_batch_lr0.5", series="noisy_batch", lr=0.5, seed=3):
    facts = {"net": "vgg", "series": series, "augment": False, "scale": SimpleNamespace(name="laptop")}
    named = {"name": name, "seed": seed, "label": f"{name} seed {seed}"}
    return SimpleNamespace(**named, optimizer={"lr": lr}, **facts)


def finished(folder, values=None, noise=None):
    directory = RunDirectory(folder)
    values = np.sort(SAMPLES, axis=1) if values is None else values
    arrays = {"activation_quantiles/layer03": values, "unit_quantiles/layer03": values[:, None]}
    arrays["unit_moments/layer03"] = np.stack([SAMPLES.mean(1), SAMPLES.var(1)], axis=-1)[: len(values), None]
    if noise is not None:
        arrays["unit_noise/layer03"] = noise
    steps = {f"{key}/steps": STEPS[: len(values)] for key in arrays}
    np.savez(folder / "arrays.npz", **{key: array.astype(np.float32) for key, array in arrays.items()}, **steps)
    rows = [Row(0, "train_loss", None, None, 1 / 3), Row(0, "activation_mean", 3, None, 2.0), Row(4, "x", None, 0.1, 1)]
    Records(rows).table().to_csv(folder / "metrics.csv", index=False)
    return FinishedRun(config(), directory)


def test_no_name_is_read_for_facts(tmp_path):
    named = FinishedRun(config("dln_l1_lr7_augmented"), finished(tmp_path).measurements)
    assert named.facts == {**finished(tmp_path).facts, "run": "dln_l1_lr7_augmented"}


def test_a_run_without_a_rate_of_its_own_is_one_line(tmp_path):
    unset = config()
    unset.optimizer = {}
    with pytest.raises(UserError, match=r"vgg_noisy_batch_lr0.5 seed 3: optimizer.lr is not set"):
        FinishedRun(unset, finished(tmp_path).measurements).rows("train_loss")


@pytest.mark.parametrize(
    ("quantity", "cure"),
    [("ics_l2", "measure.ics_layers"), ("activation_mean", "measure.activation_layers"), ("y", "a probe must measure")],
)
def test_a_quantity_that_was_not_measured_is_one_line(tmp_path, quantity, cure):
    with pytest.raises(UserError, match=f"has no {quantity}; .*{cure}"):
        with_rows(tmp_path, [Row(0, "train_loss", None, None, 1.0)]).rows("train_loss", quantity)


def test_rows_are_told_apart(tmp_path):
    rows = finished(tmp_path).rows("train_loss", "x")
    assert list(rows.columns) == COLUMNS
    assert rows["quantity"].tolist() == ["train_loss", "x"]
    assert rows[FACTS].drop_duplicates().values.tolist() == [
        ["vgg_noisy_batch_lr0.5", "vgg", "noisy_batch", 0.5, False, "laptop", 3]
    ]
    assert rows["value"].iloc[0] == 1 / 3


def with_rows(folder, rows):
    Records(rows).table().to_csv(folder / "metrics.csv", index=False)
    return FinishedRun(config("vgg_batch", "batch", 0.1, 0), RunDirectory(folder))


def test_moments_change_since_the_snapshot_before_and_since_the_first(tmp_path):
    means, variances = {0: 1.0, 10: 4.0, 20: 2.0}, {0: 9.0, 10: 9.5, 20: 5.0}
    rows = [Row(step, "activation_mean", 3, None, value) for step, value in means.items()]
    rows += [Row(step, "activation_variance", 3, None, value) for step, value in variances.items()]
    rows += [Row(step, f"activation_{moment}", 4, None, 77.0) for step in means for moment in ("mean", "variance")]
    moved = with_rows(tmp_path, rows).moments_of_unit(3)
    expected = {
        "unit_mean_change": {10: 3, 20: 2},
        "unit_variance_change": {10: 0.5, 20: 4.5},
        "unit_mean_drift": {10: 3, 20: 1},
        "unit_variance_drift": {10: 0.5, 20: -4},
    }
    assert {quantity: curve(moved, quantity=quantity, layer=3).to_dict() for quantity in expected} == expected
    assert len(moved) == 8


def test_several_curves_are_not_one(tmp_path):
    rows = with_rows(tmp_path, [Row(0, "loss", None, s, 1.0) for s in (0.1, 0.2)]).rows("loss")
    assert curve(rows, step_size=0.1).to_dict() == {0: 1}
    with pytest.raises(ValueError, match="several curves"):
        curve(rows, quantity="loss")


def test_a_range_goes_from_the_least_to_the_greatest_over_step_sizes(tmp_path):
    values = {0: [3.0, 1.0, 2.0], 10: [5.0, np.nan, 4.0]}  # beyond float32: not a number, as wide as can be
    rows = [Row(step, "loss", None, s, v) for step, many in values.items() for s, v in zip((0.1, 0.2, 0.4), many)]  # noqa: B905
    band = with_rows(tmp_path, rows).step_size_range("loss")
    assert curve(band, edge="min").to_dict() == {0: 1, 10: 4}
    assert curve(band, edge="max").to_dict() == {0: 3, 10: np.inf}


def test_movements_are_rows_of_the_layer(tmp_path):
    moved = finished(tmp_path).movements(3)
    assert set(moved["layer"]) == {3}
    changes = select(moved, quantity="activation_distance")
    assert changes["step"].tolist() == [10, 20, 30, 40]
    expected = [wasserstein_distance(a, b) for a, b in pairwise(SAMPLES)]
    np.testing.assert_allclose(changes["value"], expected, rtol=1e-5)
    assert (moved["quantity"] == "activation_noise").sum() == 0
    noise = np.full((5, 1, 3), 0.5)
    told = finished(tmp_path, noise=noise).movements(3)
    assert select(told, quantity="activation_noise")["step"].tolist() == [10, 20, 30, 40]


def test_quantiles_are_those_of_the_samples(tmp_path):
    rows = finished(tmp_path).quantiles(3, levels=10, snapshots=3)
    assert sorted(rows["step"].unique()) == [0, 20, 40]
    levels = rows["level"].unique()
    assert len(levels) == 10
    np.testing.assert_allclose([levels[0], levels[-1]], [0.005, 0.995])
    for (step, level), value in rows.set_index(["step", "level"])["value"].items():
        expected = np.quantile(SAMPLES[step // 10], level, method="hazen")  # its levels are (k - 0.5) / n
        assert value == pytest.approx(expected, rel=1e-5)


def test_fewer_snapshots_than_asked_are_all_taken(tmp_path):
    rows = finished(tmp_path).quantiles(3, levels=100, snapshots=16)
    assert sorted(rows["step"].unique()) == STEPS.tolist()
    assert len(rows) == 500


def test_a_layer_that_was_not_measured_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"vgg_noisy_batch_lr0.5 seed 3: has no activations of layer 11"):
        finished(tmp_path).movements(11)


def test_select_and_curve_with_missing_values():
    table = pd.DataFrame(
        {
            "layer": pd.array([3, None, 11, 3], dtype="Int64"),
            "series": ["a", "a", None, "b"],
            "lr": [0.1, 0.1, 0.1, np.nan],
        }
    ).assign(step=[2, 1, 0, 3], value=[1.0, 2.0, 3.0, 4.0])
    assert select(table, layer=3)["value"].tolist() == [1, 4]
    assert select(table, layer=3, series="b")["value"].tolist() == [4]
    assert select(table, lr=0.1)["value"].tolist() == [1, 2, 3]
    assert select(table, series="nobody").empty
    assert curve(table, series="a").to_dict() == {1: 2.0, 2: 1.0}
    assert curve(table, series="a").index.tolist() == [1, 2]
    assert len(table) == 4


def test_round_trip_keeps_what_claims_need(tmp_path):
    run = finished(tmp_path)
    table = pd.concat([run.rows("train_loss", "activation_mean", "x"), run.movements(3)], ignore_index=True)
    table.loc[0, "value"], table.loc[1, "value"] = np.inf, np.nan
    write_table(table, tmp_path, "table")
    again = read_table(tmp_path / "table.csv")
    assert list(again.columns) == COLUMNS
    assert np.array_equal(again["value"].astype(np.float32), table["value"].astype(np.float32), equal_nan=True)
    for column in ("run", "series", "lr", "seed", "step", "quantity", "layer", "step_size"):
        assert (again[column].isna() == table[column].isna()).all()
        assert again[column].dropna().tolist() == table[column].dropna().tolist()
    assert curve(again, quantity="activation_change", layer=3, lr=0.5, series="noisy_batch").index.tolist() == [
        10,
        20,
        30,
        40,
    ]
    write_table(again, tmp_path, "again")
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "table.csv").read_bytes()


def test_a_figure_without_digitised_curves(tmp_path):
    assert read_original(tmp_path, "fig07") is None


def test_a_large_table_is_compressed_to_the_same_bytes_and_replaces_the_plain_one(tmp_path, monkeypatch):
    table = pd.DataFrame({"step": range(100), "value": 0.5}).reindex(columns=COLUMNS)
    kept = write_table(table, tmp_path, "fig")
    plain = tmp_path / "fig.csv"
    assert plain.exists()
    monkeypatch.setattr("normscape.evidence.table.LARGE_BYTES", 10)
    assert write_table(table, tmp_path, "fig") == kept
    compressed = tmp_path / "fig.csv.gz"
    content = compressed.read_bytes()
    assert table_file(tmp_path, "fig") == compressed
    assert not plain.exists()
    write_table(table, tmp_path, "fig")
    assert compressed.read_bytes() == content
    assert read_table(compressed, kept)["value"].tolist() == table["value"].tolist()
    assert table_file(tmp_path, "other") is None


@pytest.mark.parametrize("large", [True, False])
@pytest.mark.parametrize("damage", ["a row is lost", "a digit differs", "cut off", "gone"])
def test_a_table_that_is_not_the_one_of_its_manifest_is_refused_in_one_line(tmp_path, monkeypatch, large, damage):
    monkeypatch.setattr("normscape.evidence.table.LARGE_BYTES", 0 if large else 2**20)
    table = pd.DataFrame({"step": range(100), "value": 0.5}).reindex(columns=COLUMNS)
    kept = write_table(table, tmp_path, "fig")
    assert kept["rows"] == 100
    file = table_file(tmp_path, "fig")
    if damage == "a row is lost":
        write_table(table.iloc[:-1], tmp_path, "fig")
    elif damage == "a digit differs":
        write_table(table.assign(value=0.500000001), tmp_path, "fig")
    elif damage == "cut off":
        file.write_bytes(file.read_bytes()[:-7])
    else:
        file.unlink()
    with pytest.raises(UserError) as caught:
        read_table(file, kept)
    assert str(file) in str(caught.value)
    assert "git checkout results" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_series_may_be_called_anything(tmp_path):
    names = ["None", "null", "nan", "NA", "1", "1"]
    table = pd.DataFrame({"series": names, "step": range(6), "value": [1.0, np.nan, np.inf, -np.inf, 0.5, 2]})
    write_table(table.reindex(columns=COLUMNS), tmp_path, "t")
    again = read_table(tmp_path / "t.csv")
    assert again["series"].tolist() == names
    assert np.array_equal(again["value"], table["value"], equal_nan=True)
