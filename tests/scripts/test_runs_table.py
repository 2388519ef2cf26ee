"""All runs under a folder as one table and one picture, from files as runs leave them."""

import hashlib
import json
import math
import sys
from pathlib import Path

import pandas as pd
import pytest

from normscape.drawing.rates import draw_against
from normscape.errors import UserError
from normscape.gather import gather

sys.path.append(str(Path(__file__).parents[2] / "scripts"))

import plot_runs
import runs_table

SERIES = ("standard", "batch", "standard,norm=mine")


def leave(folder, series, rate, seed, accuracies, status="finished"):
    """Leave the files of a run; without accuracies, of one that has not ended."""
    name, identity = f"vgg_{series},optimizer.lr={rate}", hashlib.sha256(f"{series} {rate} {seed}".encode()).hexdigest()
    run = folder / f"{name}-s{seed}-{identity[:12]}"
    run.mkdir(parents=True)
    config = {"name": name, "net": "vgg", "series": series, "scale": "laptop", "seed": seed, "steps": 10}
    config |= {"optimizer": {"_target_": "torch.optim.SGD", "lr": rate}, "norm": {"_target_": series}, "probe": {}}
    (run / "config.json").write_text(json.dumps(config))
    ended = {"status": status, "step": 10, "wall_seconds": 3.5}
    (run / "status.json").write_text(json.dumps(ended))
    if accuracies:
        at = 7 if status == "diverged" else None
        (run / "summary.json").write_text(json.dumps({**ended, "diverged_at": at}))
        rows = [[step, "test_accuracy", "", "", value] for step, value in enumerate(accuracies)]
        rows += [
            [0, "ics_difference", 1, "", 99.0],
            [0, "train_loss", "", "", 2.0],
            [9, "train_loss", "", "", math.inf],
        ]
        lines = ["step,quantity,layer,step_size,value", *(",".join(map(str, row)) for row in rows)]
        (run / "metrics.csv").write_text("\n".join(lines) + "\n")
    return run


@pytest.fixture
def folder(tmp_path):
    runs = tmp_path / "some runs"
    for series, best in zip(SERIES, (0.6, 0.8, 0.7), strict=True):
        for rate in (0.01, 0.1, 1.0):
            for seed in (0, 1):
                gone = series == "standard" and rate == 1.0
                last = best + 0.01 * seed - 0.1 * abs(math.log10(rate) + 1)
                leave(runs, series, rate, seed, (0.1, best + 0.15, last), "diverged" if gone else "finished")
    leave(runs, "batch", 3.0, 0, (), "interrupted")
    (runs / ".locks").mkdir()
    return runs


def test_the_table_has_what_differs_and_how_each_ended(folder):
    table = gather(folder)
    assert len(table) == 19
    labels = ["run", "name", "net", "series", "scale", "seed"]
    assert list(table)[:8] == [*labels, "optimizer.lr", "norm._target_"]
    assert not {"steps", "optimizer._target_", "probe"} & {*table}
    row = table[(table["series"] == "batch") & (table["optimizer.lr"] == 0.1) & (table["seed"] == 1)].iloc[0]
    assert row["test_accuracy_final"] == pytest.approx(0.81)
    assert row["test_accuracy_best"] == pytest.approx(0.95)
    assert (row["train_loss_final"], row["train_loss_best"]) == (math.inf, 2.0)
    assert (row["status"], bool(row["diverged"]), row["wall_seconds"]) == ("finished", False, 3.5)
    assert table["diverged"].sum() == 2
    assert set(table.loc[table["diverged"], "diverged_at"]) == {7}
    (unfinished,) = table[table["status"] == "interrupted"].itertuples()
    assert math.isnan(unfinished.test_accuracy_final)


def test_the_command_prints_and_writes_it(folder, tmp_path, capsys):
    runs_table.main([str(folder), "--csv", str(tmp_path / "runs.csv")])
    written = pd.read_csv(tmp_path / "runs.csv")
    assert written.shape == gather(folder).shape
    printed = capsys.readouterr().out
    assert printed.count("finished") == 16
    assert "optimizer.lr" in printed


def test_a_damaged_run_is_left_out_and_named_and_without_a_listener_refused(folder, tmp_path, capsys):
    damaged = next(folder.glob("*s1-*"))
    (damaged / "summary.json").write_text("{")
    with pytest.raises(UserError, match=r"summary.json: cannot be read as JSON"):
        gather(folder)
    runs_table.main([str(folder), "--csv", str(tmp_path / "runs.csv")])
    assert len(pd.read_csv(tmp_path / "runs.csv")) == 18
    said = capsys.readouterr().err
    assert said.startswith(f"left out: {damaged}/summary.json: cannot be read as JSON")
    assert said.count("\n") == 1


def test_the_picture_has_a_curve_for_each_normalisation_through_the_medians(folder):
    axes = draw_against(gather(folder), "optimizer.lr", "test_accuracy_final").axes[0]
    curves = {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}
    assert set(curves) == {
        "Standard, 2 seeds",
        "Standard + BatchNorm, 2 seeds",
        "standard,norm=mine, 2 seeds",
        "diverged: standard",
    }
    batch = curves["Standard + BatchNorm, 2 seeds"]
    assert list(batch.get_xdata()) == [0.01, 0.1, 1.0]
    assert list(batch.get_ydata()) == pytest.approx([0.705, 0.805, 0.705])
    assert list(curves["diverged: standard"].get_xdata()) == [1.0, 1.0]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_xscale()) == ("learning rate", "final test accuracy", "log")


def test_the_command_draws_it(folder, tmp_path, capsys):
    out = tmp_path / "rates.png"
    plot_runs.main([str(folder), "--out", str(out)])
    assert out.read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out == f"{out}\n"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--against", "optimizer.lrr"], "optimizer.lrr: no such numbers that differ between these runs; did you mean"),
        (["--value", "status"], "status: no such numbers"),
        (["--out", "rates.jpg"], "--out rates.jpg: expected a name that ends in .png or .pdf"),
    ],
)
def test_what_cannot_be_drawn_is_named(folder, arguments, line):
    with pytest.raises(UserError) as caught:
        plot_runs.main([str(folder), *arguments])
    assert str(caught.value).startswith(line)


def test_a_folder_without_runs_is_named(tmp_path):
    with pytest.raises(UserError, match="no run in it"):
        gather(tmp_path)
