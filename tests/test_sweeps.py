"""A sweep before, while and after it trains: its plan, its count, its table; two of them side by side."""

import io
import json
import re
from collections import deque
from dataclasses import replace
from types import SimpleNamespace

import pytest
from filelock import FileLock
from rich.console import Console

from normscape import launch
from normscape.config import compose_run
from normscape.engines.here import LocalEngine
from normscape.engines.pool import take_free
from normscape.errors import UserError
from normscape.identity import identity
from normscape.labels import labelled
from normscape.launch import train_missing
from normscape.overview import disk
from normscape.overview import tally as tallies
from normscape.overview.ended import overview
from normscape.overview.objective import objective, require_objective
from normscape.overview.standing import Standing, standings
from normscape.overview.tally import Tally
from normscape.process.entry import COMMAND
from normscape.runs import RunDirectory
from normscape.storage.files import write_json
from normscape.sweep import examples, for_sweeper

QUICK = ["run=mlp_batch", "scale=smoke", "tracker=none", "device=cpu", "probe=[]", "steps=4"]
ONE = LocalEngine(runs_at_once=1)


def configs(seeds, *settings):
    return [compose_run([*QUICK, *settings, f"seed={seed}"]) for seed in range(seeds)]


def lock_of(config):
    directory = RunDirectory.of(config)
    file = directory.path.parent / ".locks" / f"{directory.identity}.lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(file)


def begin(config, step):
    write_json(RunDirectory.of(config).path / "status.json", {"status": "interrupted", "step": step})


def test_the_plan_says_of_each_run_where_it_stands_and_a_dry_run_stops_there(tmp_path):
    _, resumable, elsewhere, cached = runs = configs(4)
    assert train_missing([cached], ONE, lambda line: None) == {}
    begin(resumable, 3)
    before = sorted(tmp_path.rglob("*"))
    lines = []
    with lock_of(elsewhere):
        assert [Standing.of(run).kind for run in runs] == ["new", "resumable", "elsewhere", "cached"]
        before = sorted(tmp_path.rglob("*"))
        assert train_missing(runs, ONE, lines.append, dry_run=True) == {}
    head, *each, last = lines
    assert head.startswith("Runs: 1 finished, 3 to train, 1 at a time: a few steps each, ")
    assert head.endswith(" of disk.")
    assert each == [
        "  mlp_batch, seed 1: 4 steps, resumable, continues from step 3",
        "  mlp_batch, seed 0: 4 steps, new",
        "  mlp_batch, seed 2: 4 steps, running elsewhere, another process trains it (step 0 saved)",
    ]
    assert last == launch.DRY_RUN
    assert sorted(tmp_path.rglob("*")) == before


def test_the_plan_says_how_long_it_takes_where_that_is_worth_timing():
    lines = []
    assert train_missing(configs(2, "steps=60"), ONE, lines.append, dry_run=True) == {}
    assert re.fullmatch(r"Runs: 0 finished, 2 to train, 1 at a time: about \S+ s, \S+ .B of disk\.", lines[0])


def test_runs_that_differ_by_their_seeds_alone_are_a_line_of_the_plan():
    runs = configs(7)
    begin(runs[2], 3)
    lines = []
    chosen = [runs[seed] for seed in (0, 1, 3, 2)]
    train_missing([*chosen, *(replace(run, name="other", steps=5) for run in runs[4:])], ONE, lines.append, True)
    assert lines[1:-1] == [
        "  mlp_batch, seed 2: 4 steps, resumable, continues from step 3",
        "  mlp_batch, seeds 0, 1, 3: 4 steps, new",
        "  other, seeds 4 to 6: 5 steps, new",
    ]
    lines.clear()
    train_missing([*runs[:2], *configs(2, "optimizer.lr=0.3")], ONE, lines.append, dry_run=True)
    assert lines[1:-1] == 2 * ["  mlp_batch, seeds 0, 1: 4 steps, new"]


def test_what_another_process_trains_comes_after_what_is_free():
    runs = configs(3)
    with lock_of(runs[0]), lock_of(runs[1]):
        assert take_free(lane := deque([[0], [1], [2]]), runs) == ([2], False)
        assert list(lane) == [[0], [1]]
        assert take_free(lane, runs) == ([0], True)  # to be waited for


def test_of_runs_that_are_trained_as_one_those_that_are_free_come_first():
    runs = configs(3)
    with lock_of(runs[1]):
        assert take_free(lane := deque([[0, 1, 2]]), runs) == ([0, 2], False)
        assert list(lane) == [[1]]


def test_settings_that_make_the_same_run_are_one_job():
    one, same, other = configs(1)[0], configs(1, "device=auto")[0], configs(1, "steps=5")[0]
    assert [identity(each.config) for each in standings([one, same, other])] == [identity(one), identity(other)]


def test_the_time_left_counts_what_is_done_of_each(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(tallies, "time", SimpleNamespace(monotonic=lambda: now[0]))
    runs = configs(3)
    tally = Tally(runs, [0, 2, 0], [10.0, 5.0, 20.0])
    assert tally.seconds_left == float("inf")
    now[0] = 7.0
    tally.update("mlp_batch seed 0", 2, 4)
    tally.update("mlp_batch seed 1", 3, 4)
    assert tally.seconds_left == pytest.approx(7 * (35 - 7.5) / 7.5)
    tally.ended(runs[0], None)
    assert tally.seconds_left == pytest.approx(7 * (35 - 12.5) / 12.5)
    tally.ended(runs[1], "broken")  # half of it was done, and the rest will not be
    assert tally.seconds_left == pytest.approx(7 * 20 / 12.5)


def test_the_count_is_said_as_runs_end(capsys):
    runs = configs(2)
    tally = Tally(runs, [0, 0])
    tally.ended(runs[0], "mlp_batch seed 0: broken")
    tally.ended(runs[1], None)
    first, second, third = capsys.readouterr().err.splitlines()
    assert first == "mlp_batch seed 0: broken"
    assert second.startswith("1 of 2 runs have ended, 1 failed, ")
    assert third == "2 of 2 runs have ended, 1 failed"
    assert tally.failures == {identity(runs[0]): "mlp_batch seed 0: broken"}


def test_the_table_has_every_run(capsys):
    finished, failed, diverged = runs = [*configs(2), *configs(1, "optimizer.lr=1e9", "log_every=1", "norm=standard")]
    assert train_missing([finished, diverged], ONE, print) == {}
    begin(failed, 2)
    capsys.readouterr()
    Console(width=200).print(overview(runs, {identity(failed): "broken"}))
    rows = {config.seed if config is not diverged else "diverged": None for config in runs}
    lines = capsys.readouterr().out.splitlines()
    for config in runs:
        (row,) = [line for line in lines if RunDirectory.of(config).path.name in line]
        rows[config.seed if config is not diverged else "diverged"] = row.split("│")[1].strip()
    assert rows == {0: "finished", 1: "failed at step 2", "diverged": rows["diverged"]}
    assert rows["diverged"].startswith("diverged at step ")


@pytest.mark.parametrize("file", ["metrics.csv", "arrays.npz", "summary.json", "config.json", "status.json"])
def test_a_damaged_run_is_named_by_the_plan_and_in_the_table_and_the_others_are_trained(capsys, file):
    damaged, *_ = runs = configs(3)
    assert train_missing(runs[:2], ONE, lambda line: None) == {}
    path = RunDirectory.of(damaged).path / file
    path.write_bytes(path.read_bytes()[:-7])
    lines = []
    assert [Standing.of(run).kind for run in runs] == ["damaged", "cached", "new"]
    failures = train_missing(runs, ONE, lines.append)
    assert lines[0].startswith("Runs: 1 finished, 1 damaged, 1 to train, ")
    (line,) = [line for line in lines if line.startswith("  mlp_batch, seed 0: 4 steps, damaged; ")]
    assert str(path) in line
    assert failures.keys() == {identity(damaged)}
    assert failures[identity(damaged)].startswith(f"mlp_batch seed 0: {path}: ")
    capsys.readouterr()
    Console(width=200).print(overview(runs, failures))
    shown = capsys.readouterr().out.splitlines()
    words = {run.seed: each.split("│")[1].strip() for run in runs for each in shown if f"-s{run.seed}-" in each}
    assert words == {0: "damaged", 1: "finished", 2: "finished"}
    assert train_missing(runs, ONE, lines.append) == failures
    assert "Runs: 2 finished, 1 damaged." in lines


def test_a_figure_is_refused_before_training_if_a_run_of_it_is_damaged():
    damaged, new = runs = configs(2)
    assert train_missing([damaged], ONE, lambda line: None) == {}
    path = RunDirectory.of(damaged).path / "metrics.csv"
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(UserError, match=r"metrics\.csv: not the file that the run wrote .*; remove"):
        train_missing(runs, ONE, lambda line: None, all_needed=True)
    assert Standing.of(new).kind == "new"


def test_a_dry_run_refuses_a_folder_that_cannot_be_written_as_the_run_itself_would(tmp_path):
    (tmp_path / "file").touch()
    said = []
    for dry_run in (True, False):
        with pytest.raises(UserError, match=r"^runs_dir: .*/file.* cannot be written to"):
            train_missing(configs(1, f"runs_dir={tmp_path / 'file'}"), ONE, said.append, dry_run)
    assert said == []


def test_disk_is_counted_before_and_a_full_one_is_refused(tmp_path, monkeypatch):
    (run,) = configs(1, "probe=[activations,landscape]")
    assert train_missing([run], ONE, lambda line: None) == {}
    written = sum(file.stat().st_size for file in RunDirectory.of(run).path.iterdir() if file.suffix != ".png")
    assert written / 2 < disk.bytes_of(run) < 2 * written
    assert disk.bytes_needed([run, run]) == 2 * disk.bytes_of(run)
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: SimpleNamespace(free=10_000))
    with pytest.raises(UserError, match=r"120 kB needed and 10 kB free"):
        disk.require_room(tmp_path / "not" / "yet", 120_000)
    disk.require_room(tmp_path, 9_000)


def test_the_objective_is_the_last_value_and_a_diverged_run_is_the_worst():
    (run,) = configs(1)
    (diverged,) = configs(1, "optimizer.lr=1e9", "log_every=1", "norm=standard")
    assert train_missing([run, diverged], ONE, lambda line: None) == {}
    table = RunDirectory.of(run).table()
    assert objective(run) == table.loc[table["quantity"] == "test_accuracy", "value"].iloc[-1]
    assert objective(diverged) == 0.0
    run.objective = diverged.objective = "train_loss"
    assert objective(run) == table.loc[table["quantity"] == "train_loss", "value"].iloc[-1]
    assert objective(diverged) == float("inf")
    require_objective(run)
    run.objective = "test_acuracy"
    with pytest.raises(UserError, match="did you mean 'test_accuracy'"):
        require_objective(run)


@pytest.mark.parametrize(
    ("swept", "said"),
    [
        ("seed=range(3,0)", "there is no value in it; expected one at least"),
        ("seed=range(0,3,0)", "expected a list of values or a range"),
    ],
)
def test_a_range_without_values_is_refused(swept, said):
    with pytest.raises(UserError) as caught:
        examples(["run=mlp_batch", swept])
    assert str(caught.value) == f"{swept}: {said}"


def test_a_range_is_checked_at_both_ends_and_each_listed_value_once():
    assert examples(["a=1", "b=interval(0.1,2)", "c=x,y,z"]) == [
        ["a=1", "b=0.1", "c=x"],
        ["a=1", "b=2", "c=x"],
        ["a=1", "b=0.1", "c=y"],
        ["a=1", "b=0.1", "c=z"],
    ]


def test_a_sweeper_is_told_which_way_is_better_unless_the_user_says():
    asked = ["hydra/sweeper=optuna", "hydra/launcher=slurm"]
    added = for_sweeper(asked, "test_accuracy")[2:]
    assert added == ["hydra.sweeper.direction=maximize", "hydra.sweeper.max_failure_rate=1.0"]
    assert for_sweeper([*asked, "hydra.sweeper.max_failure_rate=0"], "train_loss")[3:] == [
        "hydra.sweeper.direction=minimize"
    ]
    assert for_sweeper(["hydra/launcher=basic"], "x") == ["hydra/launcher=local", "hydra.launcher.runs_at_once=1"]


def test_labels_that_differ_in_their_last_setting_differ_wherever_they_are_cut(tmp_path):
    long = [
        "+optimizer.momentum=0.5",
        "optimizer.weight_decay=0.001",
        "measure.every=7",
        "eval_every=3",
        "batch_size=64",
    ]
    made = []
    for rate in ("0.10000000001", "0.10000000002"):
        overrides = [*QUICK, *long, f"optimizer.lr={rate}"]
        made.append(labelled(compose_run(overrides), overrides))
    names = [RunDirectory.of(config).path.name.rsplit("-", 1)[0] for config in made]
    assert names[0] != names[1]


def test_workers_name_the_user_s_own_command(monkeypatch):
    monkeypatch.setenv(COMMAND, "train.py -m seed=0,1 hydra/launcher=local")
    runs = configs(2)
    assert train_missing(runs, LocalEngine(runs_at_once=2), lambda line: None) == {}
    for run in runs:
        origin = json.loads((RunDirectory.of(run).path / "provenance.json").read_text())
        assert origin["command"] == "train.py -m seed=0,1 hydra/launcher=local"


def test_a_terminal_shows_how_far_all_runs_are():
    screen = io.StringIO()
    runs = configs(2)
    with Tally(runs, [0, 0], console=Console(file=screen, force_terminal=True, width=100)) as tally:
        tally.update("mlp_batch seed 0", 2, 4)
        tally.ended(runs[0], None)
        tally.update("mlp_batch seed 1", 2, 4)
    assert "mlp_batch seed 1" in screen.getvalue()
    assert "1 of 2 runs" in screen.getvalue()
