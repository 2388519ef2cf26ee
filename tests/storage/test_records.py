"""Rows and snapshots: what comes out is what went in, also through a checkpoint and a file."""

import io
import math

import numpy as np
import torch

from normscape.config import compose_run
from normscape.evidence.finished import FinishedRun
from normscape.runs import RunDirectory
from normscape.storage.layers import array_name
from normscape.storage.records import Records, Row, Snapshot

ROWS = [
    Row(0, "train_loss", None, None, 0.1 + 0.2),
    Row(0, "activation_mean", 3, None, -1 / 3),
    Row(4, "loss_along_gradient", None, 10**-4.5, math.inf),
    Row(4, "train_loss", None, None, math.nan),
]
SNAPSHOTS = [
    Snapshot(step, "activation_quantiles", layer, torch.arange(3.0) + 10 * layer + step)
    for step in (0, 4)
    for layer in (3, 11)
]


def filled():
    records = Records()
    assert records.add([ROWS[0], SNAPSHOTS[0], ROWS[1], SNAPSHOTS[1]]) == ROWS[:2]
    assert records.add(iter([SNAPSHOTS[2], ROWS[2], ROWS[3], SNAPSHOTS[3]])) == ROWS[2:]
    return records


def test_arrays_are_stacked_by_quantity_and_layer():
    arrays = filled().arrays()
    assert set(arrays) == {
        f"activation_quantiles/layer{layer}{part}" for layer in ("03", "11") for part in ("", "/steps")
    }
    assert arrays["activation_quantiles/layer11"].tolist() == [[110, 111, 112], [114, 115, 116]]
    assert arrays["activation_quantiles/layer11"].dtype == np.float32
    assert arrays["activation_quantiles/layer11/steps"].tolist() == [0, 4]
    assert array_name("losses", None) == "losses"


def test_a_checkpoint_keeps_everything():
    file = io.BytesIO()
    torch.save(filled().state_dict(), file)
    file.seek(0)
    again = Records.from_state_dict(torch.load(file, weights_only=True))
    assert again.table().equals(filled().table())
    assert all(isinstance(row, Row) for row in again.rows)
    for name, array in filled().arrays().items():
        assert np.array_equal(again.arrays()[name], array)


def test_a_file_keeps_every_bit_and_what_is_missing(tmp_path):
    table = filled().table()
    table.to_csv(tmp_path / "metrics.csv", index=False)
    assert RunDirectory(tmp_path).table().equals(table)
    assert table["layer"].isna().tolist() == [True, False, True, True]
    assert table["value"].iloc[0] == 0.1 + 0.2


def test_nothing_measured_is_an_empty_table_with_types():
    table = Records().table()
    assert table.columns.tolist() == list(Row._fields)
    assert table.dtypes.astype(str).drop("quantity").equals(filled().table().dtypes.astype(str).drop("quantity"))
    assert Records().arrays() == {}


def test_paths_of_one_probe_leave_numbers_of_another_as_they_are(tmp_path):
    """And a quantity or a layer may have a name that tables elsewhere take for a missing cell."""
    records = Records()
    records.add(
        [Row(0, "mean", 1, None, 1.5), Row(0, "NA", "null", 0.5, math.nan), Row(0, "norm", "layers.1", None, 2)]
    )
    table = records.table()
    file = tmp_path / "metrics.csv"
    file.write_bytes(table.to_csv(index=False).encode())
    back = RunDirectory(tmp_path).table()
    for found in (table, back):
        assert found["quantity"].tolist() == ["mean", "NA", "norm"]
        assert found["layer"].tolist() == ["1", "null", "layers.1"]
        assert found["value"].isna().tolist() == [False, True, False]
    run = FinishedRun(compose_run(["run=mlp_batch", "scale=smoke"]), RunDirectory(tmp_path))
    assert run.rows("mean")["layer"].tolist() == [1]
