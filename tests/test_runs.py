"""A run is a function of its config: identity, store, lock, resume after kill -9."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

import holding_tracker
from normscape.config import CONFIGS, compose_run
from normscape.errors import UserError
from normscape.execute import execute
from normscape.identity import changes, identity
from normscape.runs import RunDirectory
from normscape.storage.files import read_json, replacing
from normscape.storage.names import file_name, shortened
from patience import PATIENCE_SECONDS, wait_until

SMOKE = ["scale=smoke", "tracker=none", "run=vgg_noisy_batch", "steps=24", "log_every=1", "checkpoint_seconds=0"]


class Silent:
    def __init__(self):
        self.messages = []

    def update(self, name, step, steps):
        pass

    def message(self, text):
        self.messages.append(text)


def result(directory):
    """All bits that a run ends with."""
    content = torch.load(directory.path / "checkpoint.pt", weights_only=True)
    return {
        "model": content["model"],
        "optimizer": content["optimizer"],
        "metrics": (directory.path / "metrics.csv").read_bytes(),
        "arrays": {name: array.tobytes() for name, array in directory.arrays().items()},
    }


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return a == b


@pytest.mark.parametrize(
    "change",
    [
        "seed=1",
        "optimizer.lr=0.2",
        "norm=l1",
        "steps=25",
        "model.width=0.125",
        "probe.activations.every=2",
        "tf32=true",
    ],
)
def test_what_changes_a_number_changes_the_identity(change):
    assert identity(compose_run([*SMOKE, change])) != identity(compose_run(SMOKE))


@pytest.mark.parametrize(
    "change",
    [
        "name=other",
        "tracker=wandb",
        "group=g",
        "device=cpu",
        "threads=2",
        "checkpoint_seconds=9",
        "runs_dir=x",
        "seed=0",
        "optimizer.lr=1e-1",
        "norm.eps=0.00001",
    ],
)
def test_what_does_not_change_a_number_does_not(change):
    assert identity(compose_run([*SMOKE, change])) == identity(compose_run(SMOKE))


def test_the_same_setup_reached_by_another_way_is_the_same_run():
    by_name, by_hand = (["scale=smoke", "run=vgg_batch_lr0.5"], ["scale=smoke", "run=vgg_batch", "optimizer.lr=0.5"])
    assert identity(compose_run(by_name)) == identity(compose_run(by_hand))
    assert identity(compose_run(["scale=smoke", "steps=3"])) != identity(compose_run(["scale=laptop", "steps=3"]))


def test_an_edited_class_of_the_user_s_own_makes_another_run(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    source = tmp_path / "norm_being_edited.py"
    source.write_text("from normscape.norms import Standard\n\n\nclass Mine(Standard):\n    pass\n")
    config = compose_run(["scale=smoke", "run=vgg_standard", "norm._target_=norm_being_edited.Mine"])
    before = identity(config)
    assert identity(config) == before != identity(compose_run(["scale=smoke", "run=vgg_standard"]))
    source.write_text(source.read_text() + "\n")
    monkeypatch.delitem(sys.modules, "norm_being_edited")  # as another process, which loads it anew
    assert identity(config) != before


def test_so_does_an_edited_base_of_it(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    base = tmp_path / "base_being_edited.py"
    base.write_text("from normscape.norms import Standard\n\n\nclass Base(Standard):\n    pass\n")
    mine = "from base_being_edited import Base\n\n\nclass Mine(Base):\n    pass\n"
    (tmp_path / "norm_with_own_base.py").write_text(mine)
    config = compose_run(["scale=smoke", "run=vgg_standard", "norm._target_=norm_with_own_base.Mine"])
    before = identity(config)
    base.write_text(base.read_text() + "\n")
    monkeypatch.delitem(sys.modules, "base_being_edited")
    assert identity(config) != before


@pytest.mark.parametrize(
    ("overrides", "changing"),
    [
        (["tracker=none", "device=cpu", "seed=1", "run=vgg_l1", "hydra/launcher=basic", "checkpoint_seconds=5"], []),
        (["steps=4", "+optimizer.momentum=0.9", "~probe"], ["steps=4", "optimizer.momentum=0.9", "no-probe"]),
        (["measure.every=5", "data.root=elsewhere"], ["measure.every=5"]),
        (["scale=laptop", "scale.vgg.width=0.25"], ["scale.vgg.width=0.25"]),
    ],
)
def test_changes_are_the_overrides_that_change_a_number(overrides, changing):
    assert changes(overrides) == changing


def test_a_name_is_fit_for_a_file():
    assert file_name("vgg,norm._target_=my/pk.Norm x") == "vgg,norm._target_=my_pk.Norm_x"
    assert len(file_name(300 * "é").encode()) <= 100  # file systems count bytes
    assert file_name(300 * "a" + "1") != file_name(300 * "a" + "2")
    assert shortened("é" * 5, 10) == "é" * 5


def test_what_uncommitted_code_made_says_so(tmp_path, monkeypatch):
    config = replace(compose_run([*SMOKE, "steps=1"]), runs_dir=str(tmp_path))
    reporter = Silent()
    for now in ("abc", "abc+changes", "abc"):
        monkeypatch.setattr("normscape.execute.commit", lambda now=now: now)
        monkeypatch.setattr("normscape.process.provenance.commit_of_code", lambda: ("abc", None))
        execute(config, reporter)
    assert ["affect its numbers" in line for line in reporter.messages] == [False, True, False]


def test_the_data_s_folder_is_not_part_of_the_identity():
    config = compose_run(["scale=laptop", "run=vgg_batch"])
    assert identity(replace(config, data={**config.data, "root": "elsewhere"})) == identity(config)


def test_a_finished_run_leaves_its_files_and_is_not_trained_again(tmp_path):
    config = compose_run([*SMOKE, "steps=3"])
    directory = execute(config, Silent())
    names = {path.name for path in directory.path.iterdir()}
    assert names >= {"config.json", "provenance.json", "status.json", "checkpoint.pt", "metrics.csv", "arrays.npz"}
    assert directory.summary["status"] == "finished"
    assert read_json(directory.path / "config.json")["norm"]["_target_"] == "normscape.norms.NoisyBatchNorm"
    assert not list(directory.path.glob(".*"))
    before = {path: path.stat().st_mtime_ns for path in directory.path.iterdir()}
    again = execute(compose_run([*SMOKE, "steps=3", "name=another"]), Silent())
    assert again.path == directory.path
    assert {path: path.stat().st_mtime_ns for path in directory.path.iterdir()} == before


def test_the_table_read_back_is_the_table_that_was_measured():
    directory = execute(compose_run([*SMOKE, "steps=3"]), Silent())
    rows = torch.load(directory.path / "checkpoint.pt", weights_only=True)["records"]["rows"]
    table = directory.table()
    assert [tuple(row)[-1] for row in rows] == table["value"].tolist()  # exact floats
    assert [None if pd.isna(layer) else layer for layer in table["layer"]] == [row[2] for row in rows]


def test_a_failing_run_says_why_and_goes_on_later():
    config = compose_run([*SMOKE, "steps=4"])

    class Failing(Silent):
        def update(self, name, step, steps):
            if step == 2:
                raise OSError("disk is gone")

    with pytest.raises(OSError, match="disk is gone"):
        execute(config, Failing())
    directory = RunDirectory.of(config)
    assert directory.summary is None
    assert directory.status["status"] == "failed"
    assert "disk is gone" in (directory.path / "failure.txt").read_text()
    assert execute(config, Silent()).summary["step"] == 4


def test_replacing_leaves_the_old_file_when_writing_fails(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(TypeError), replacing(path) as file:
        file.writelines([b"half", None])
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def command(runs, *changed):
    script = CONFIGS.parent / "experiments" / "train.py"
    return [sys.executable, str(script), *SMOKE, f"runs_dir={runs}", *changed]


def wait_for(condition, *processes):
    """Wait for what processes are to do; the first that ends without it says why."""
    wait_until(lambda: condition() or any(process.poll() is not None for process in processes))
    assert condition(), [process.communicate() for process in processes if process.poll() is not None]


def checkpointed_step(runs):
    for path in Path(runs).glob("*/status.json"):
        return json.loads(path.read_text())["step"]
    return 0


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    runs = tmp_path_factory.mktemp("unbroken")
    return result(execute(compose_run([*SMOKE, f"runs_dir={runs}"]), Silent()))


def test_killed_at_random_moments_it_ends_with_the_same_bits(tmp_path, unbroken, start):
    """Really kills a process, twice, each time somewhere in its training, then lets it end."""
    runs = tmp_path / "killed"
    chance = random.Random(os.getpid())
    for last in (8, 16):  # where it is held, in case it trains faster than this process looks
        wanted = checkpointed_step(runs) + chance.randint(2, 6)
        line = command(runs, *holding_tracker.overrides(last, tmp_path))
        process = start(line, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        wait_for(lambda wanted=wanted: checkpointed_step(runs) >= wanted, process)
        time.sleep(chance.random() * 0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert wanted <= checkpointed_step(runs) <= last
    directory = execute(compose_run([*SMOKE, f"runs_dir={runs}"]), Silent())
    assert same(result(directory), unbroken)


def test_asked_to_stop_it_saves_and_says_so(tmp_path, unbroken, start):
    runs = tmp_path / "stopped"
    line = command(runs, "checkpoint_seconds=9999", *holding_tracker.overrides(5, tmp_path))
    process = start(line, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: holding_tracker.held(tmp_path), process)
    process.send_signal(signal.SIGTERM)
    (tmp_path / "released").touch()
    _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130
    assert "start it again to continue" in said
    assert "Traceback" not in said
    directory = RunDirectory.of(compose_run([*SMOKE, f"runs_dir={runs}"]))
    assert directory.summary is None
    assert (directory.status["status"], directory.status["step"]) == ("interrupted", 6)
    assert same(result(execute(compose_run([*SMOKE, f"runs_dir={runs}"]), Silent())), unbroken)


def test_two_processes_that_want_the_same_run_do_not_both_train_it(tmp_path, start):
    """The one that trains is held until the other has said that it waits, or trains too."""
    runs, waiting = tmp_path / "shared", "another process trains this run; waiting"
    files = [tmp_path / "said-0", tmp_path / "said-1"]
    processes = []
    for path in files:
        with path.open("w") as file:
            line = command(runs, *holding_tracker.overrides(5, tmp_path))
            processes.append(start(line, stderr=file))
    wait_for(
        lambda: any(waiting in file.read_text() for file in files) or holding_tracker.held(tmp_path) == 2, *processes
    )
    (tmp_path / "released").touch()
    assert [process.wait(PATIENCE_SECONDS) for process in processes] == [0, 0]
    assert holding_tracker.held(tmp_path) == 1
    said = [file.read_text() for file in files]
    assert sum(waiting in text for text in said) == 1
    assert sum("finished after 24 steps" in text for text in said) == 1
    assert len(list(runs.glob("vgg_noisy_batch*"))) == 1


@pytest.mark.parametrize("name", ["metrics.csv", "arrays.npz"])
@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_a_file_that_is_not_the_one_that_the_run_wrote_is_refused_in_one_line(name, damage):
    directory = execute(compose_run([*SMOKE, "steps=3", "probe=[activations]"]), Silent())
    read = directory.table if name == "metrics.csv" else directory.arrays
    assert len(read())
    file = directory.path / name
    content = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(content[:-20] if damage == "cut" else content[:-5] + bytes([content[-5] ^ 1]) + content[-4:])
    with pytest.raises(UserError, match=r"; remove the run's summary.json, and its files are written") as caught:
        read()
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_a_run_does_not_continue_from_a_damaged_checkpoint(damage):
    """torch would load a changed weight without a word."""
    config = compose_run([*SMOKE, "steps=3", "probe=[]"])
    directory = execute(config, Silent())
    (directory.path / "summary.json").unlink()
    file = directory.path / "checkpoint.pt"
    content = file.read_bytes()
    weight = bytes(next(iter(torch.load(file, weights_only=True)["model"].values())).untyped_storage())
    other = bytes([weight[0] ^ 1]) + weight[1:]
    assert weight in content
    file.write_bytes(content[:-20] if damage == "cut" else content.replace(weight, other))
    with pytest.raises(UserError, match=r"checkpoint.pt: (damaged|not a whole checkpoint) \(.*\); remove check"):
        execute(config, Silent())


def test_files_of_another_run_are_refused_in_one_line():
    one, other = (execute(compose_run([*SMOKE, "steps=3", "probe=[]", f"seed={seed}"]), Silent()) for seed in (0, 1))
    for name in ("metrics.csv", "arrays.npz", "summary.json"):
        (one.path / name).write_bytes((other.path / name).read_bytes())
    with pytest.raises(UserError, match=r"holds the files of run [0-9a-f]{12}; remove the run's folder"):
        one.table()


@pytest.mark.parametrize("content", ["", "{", "[]", "{}"])
def test_a_damaged_summary_is_one_line(content):
    directory = execute(compose_run([*SMOKE, "steps=3", "probe=[]"]), Silent())
    (directory.path / "summary.json").write_text(content)
    with pytest.raises(UserError, match=r"summary.json: (cannot be read as JSON|not the summary of a run)"):
        directory.table()


def test_runs_from_before_checksums_are_read():
    directory = execute(compose_run([*SMOKE, "steps=3", "probe=[]"]), Silent())
    summary = {key: value for key, value in directory.summary.items() if key not in ("files", "identity")}
    (directory.path / "summary.json").write_text(json.dumps(summary))
    assert len(directory.table())
    (directory.path / "summary.json").write_text(json.dumps({**summary, "files": None}))
    with pytest.raises(UserError, match="not the file that the run wrote"):
        directory.table()
