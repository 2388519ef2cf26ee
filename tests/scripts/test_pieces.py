"""A catalogue in pieces: the order, the time, and that killed and carried about it ends with the bits of one go."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import holding_tracker
from normscape import pieces as planning
from normscape.config import compose_run
from normscape.engines import pool
from normscape.errors import UserError
from normscape.pieces import Piece, in_order
from normscape.runs import RunDirectory
from normscape.storage.files import read_json, write_json
from normscape.store import _travelling, join_store, only_one, pack_store, require_whole, runs_in, that_fit
from normscape.trackers import NoTracker
from patience import PATIENCE_SECONDS, wait_until

PROJECT = Path(__file__).parents[2]
sys.path.append(str(PROJECT / "scripts"))

import pieces  # noqa: E402

LONG = 10 * PATIENCE_SECONDS / 60
"""Minutes that no test waits for."""

FIGURE_10 = ["--scale=smoke", "--figures=10", "--seeds=0", "--dln-seeds=0", "checkpoint_seconds=0"]
RUNS = ["dln_standard", "dln_batch"]


def command(store, *arguments):
    return [f"--store={store}", f"--minutes={LONG}", *FIGURE_10, *arguments]


def bits(store):
    """All that the runs of a store have ended with."""
    found = {}
    for run in runs_in(store):
        content = torch.load(run.path / "checkpoint.pt", weights_only=True)["model"]
        weights = {name: tensor.numpy().tobytes() for name, tensor in content.items()}
        arrays = {name: array.tobytes() for name, array in run.arrays().items()}
        found[run.path.name] = ((run.path / "metrics.csv").read_bytes(), arrays, weights)
    return found


def statuses(store):
    return {run.path.name.partition("-")[0]: (run.status["status"], run.status["step"]) for run in runs_in(store)}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """Train the runs of figure 10 in one piece; for reading only."""
    store = tmp_path_factory.mktemp("unbroken")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NORMSCAPE_RUNS", "")  # which the script sets
        pieces.main(command(store, "--workers=1"))
    return store


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("NORMSCAPE_RUNS", "")
    return tmp_path / "store"


def piece(start, store, folder, step, signal_, group):
    """Train a piece, both runs side by side, until a signal comes while both are held at a step."""
    folder.mkdir()
    arguments = command(store, "--workers=2", *holding_tracker.overrides(step, folder))
    script = PROJECT / "scripts" / "pieces.py"
    process = start(
        [sys.executable, str(script), *arguments], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    wait_until(lambda: holding_tracker.held(folder) == 2 or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    (os.killpg if group else os.kill)(process.pid, signal_)
    said = process.communicate(timeout=PATIENCE_SECONDS)
    require_whole(store)
    return process.returncode, said


def test_stopped_killed_and_carried_about_it_ends_with_the_bits_of_one_go(unbroken, store, start, tmp_path):
    code, said = piece(start, store, tmp_path / "first", 4, signal.SIGTERM, group=False)
    assert code == 130, said
    assert statuses(store) == dict.fromkeys(RUNS, ("interrupted", 5))
    code, _ = piece(start, store, tmp_path / "second", 12, signal.SIGKILL, group=True)
    assert code == -signal.SIGKILL
    assert statuses(store) == dict.fromkeys(RUNS, ("training", 12))
    pack_store(store, tmp_path / "out", 10_000)
    elsewhere = tmp_path / "elsewhere"
    assert join_store(tmp_path / "out", elsewhere) == 2
    require_whole(elsewhere)
    assert statuses(elsewhere) == statuses(store)
    shutil.rmtree(store)
    pieces.main(command(elsewhere, "--workers=1"))
    assert bits(elsewhere) == bits(unbroken)


CLOCK = SimpleNamespace(time=time.time)


class Late(NoTracker):
    """Moves the clock behind the end of the piece."""

    def log(self, step, values):
        if step == 4:
            CLOCK.time = lambda: time.time() + 60 * LONG


def test_when_its_time_is_over_a_piece_saves_and_the_next_one_continues(unbroken, store, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(CLOCK, "time", time.time)
    for module in (pool, pieces):
        monkeypatch.setattr(module, "time", CLOCK)
    monkeypatch.setattr(pieces, "BEGAN", time.time())
    late, out = f"tracker._target_={__name__}.Late", tmp_path / "out"
    pieces.main(command(store, "--workers=1", f"--out={out}", "--mebibytes=0.01", "--most=60", late))
    assert statuses(store) == {"dln_standard": ("interrupted", 5)}
    require_whole(store)
    said = capsys.readouterr().out
    assert "Runs: 0 finished, 2 to train, 1 at a time: 1 piece of " in said
    assert "Runs: 0 of 2 finished, 1 begun; the same command continues.\n" in said
    assert f"{out}: the store in " in said
    assert join_store(out, tmp_path / "next") == 1
    monkeypatch.setattr(CLOCK, "time", time.time)
    pieces.main(command(tmp_path / "next", "--workers=1"))
    said = capsys.readouterr().out
    assert "dln_standard, seed 0: 20 steps, continues from step 5; " in said
    runs = f"NORMSCAPE_RUNS={shlex.quote(str(tmp_path / 'next' / 'runs'))}"
    asked = "10 --family santurkar2018 --scale smoke --seeds 0 --dln-seeds 0 checkpoint_seconds=0"
    done = f"To draw and judge them: {runs} python experiments/reproduce.py {asked}"
    assert f"Everything is done (runs: 2). {done}" in said
    assert bits(tmp_path / "next") == bits(unbroken)


def test_the_finished_store_is_what_figures_are_made_from(unbroken, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("NORMSCAPE_RUNS", str(unbroken / "runs"))
    pieces.reproduce.main(["10", "--scale=smoke", f"--results={tmp_path}", "tracker=none"])
    assert "Runs: all 2 finished." in capsys.readouterr().out


def test_the_order_is_that_of_the_figures_one_seed_and_one_network_after_the_other():
    runs = [[SimpleNamespace(net=run[0], name=run, seed=seed) for seed in range(2 + (run[0] == "d"))] for run in
            ("v1", "d1", "v2", "d2")]  # fmt: skip
    found = [f"{config.name}-{config.seed}" for config in in_order(runs)]
    assert found == ["v1-0", "v2-0", "d1-0", "d2-0", "v1-1", "v2-1", "d1-1", "d2-1", "d1-2", "d2-2"]
    assert in_order([]) == in_order([[]]) == []


def test_the_figures_that_decide_most_come_first(tmp_path):
    options = pieces.parse([f"--store={tmp_path}", "--scale=smoke"])
    figures = [str(figure.name) for figure in pieces.chosen(options)]
    assert figures[:9] == ["1", "4", "3", "2", "12", "5", "6", "8", "11"]
    assert sorted(figures) == sorted(options.shared.family.known)
    runs = list(dict.fromkeys(run for figure in pieces.chosen(options) for run in figure.runs if run.startswith("vgg")))
    assert runs[:7] == [
        *("vgg_standard", "vgg_batch", "vgg_standard_lr0.5", "vgg_batch_lr0.5"),  # figures 1 and 4
        *("vgg_standard_lr0.01", "vgg_batch_lr0.01", "vgg_noisy_batch"),  # figures 3 and 2
    ]


def planned(seconds, minutes, monkeypatch, **runs):
    """Plan a piece for runs of 100 steps, of which each takes so many seconds."""
    configs = [
        SimpleNamespace(name=name, seed=0, steps=100, net=name[0], device=device) for name, device in runs.items()
    ]
    monkeypatch.setattr(planning, "device_of", lambda config: SimpleNamespace(type=config.device))
    monkeypatch.setattr(planning, "kind_of", lambda config: config.net)
    monkeypatch.setattr(planning, "steps_left", lambda config: config.steps)
    monkeypatch.setattr(planning, "begun", lambda config: "")
    lanes = {config.device: 1 for config in configs}
    return Piece(configs, 0, seconds, lanes, 60 * minutes)


def test_a_plan_counts_pieces_by_the_lane_that_is_busy_longest(monkeypatch):
    runs = {"v1": "cuda", "v2": "cuda", "v3": "cuda", "d1": "cpu"}
    piece = planned({"v": 2.0, "d": 0.1}, 9, monkeypatch, **runs)
    usable = 540 - piece.reserve
    assert piece.reserve == 210
    assert piece.left == 2  # three runs of 210 s, 330 s in each piece
    assert [(config.name, round(given)) for config, given in piece.trained(usable)] == [
        ("v1", 200), ("v2", 110), ("d1", 10)]  # fmt: skip
    head, *lines = piece.lines(usable)
    assert head == "Runs: 0 finished, 4 to train, 1 (cuda) and 1 (cpu) at a time: 2 pieces of 9 min."
    assert lines[1] == "  v2, seed 0: 100 steps; 2e+03 ms a step on cuda, 2 min of 3 min"
    assert lines[-1] == "  in later pieces: 1 more"


def test_what_cannot_get_anywhere_is_not_begun_and_said_if_it_is_all(monkeypatch):
    piece = planned({"v": 60.0, "d": 0.1}, 9, monkeypatch, v1="cpu", d1="cpu")
    assert [config.name for config, _ in piece.trained(60)] == ["d1"]
    with pytest.raises(
        UserError, match=r"^--minutes 9: no run would get anywhere; d1, seed 0, takes 0.1 s a step here"
    ):
        piece.lines(5)


def test_a_speed_is_known_from_runs_of_the_same_kind_on_the_same_machine(unbroken, monkeypatch, tmp_path):
    store = shutil.copytree(unbroken, tmp_path / "copy")
    monkeypatch.setenv("NORMSCAPE_RUNS", str(store / "runs"))
    config = compose_run(["run=dln_batch", "scale=smoke"])
    (speed,) = planning.known_speeds([config, compose_run(["run=dln_batch", "scale=smoke", "seed=7"])]).values()
    run = RunDirectory.of(config)
    assert speed == pytest.approx(run.status["wall_seconds"] / 20)
    origin = read_json(run.path / "provenance.json")
    origin["hardware"]["device"] = "another"
    write_json(run.path / "provenance.json", origin)
    assert planning.known_speeds([config]) == {}


def test_a_store_never_goes_back(unbroken, tmp_path):
    store, out = shutil.copytree(unbroken, tmp_path / "store"), tmp_path / "out"
    run = next(iter(runs_in(store)))
    (run.path / "summary.json").unlink()
    write_json(run.path / "status.json", {**run.status, "status": "training", "step": 12})
    pack_store(store, out, 1 << 20)
    for here, taken in ((12, 0), (13, 0), (11, 1)):
        write_json(run.path / "status.json", {**run.status, "step": here})
        assert join_store(out, store) == taken
    assert run.status["step"] == 12
    whole = shutil.copytree(unbroken, tmp_path / "whole")
    assert join_store(out, whole) == 0
    assert bits(whole) == bits(unbroken)
    pack_store(whole, out, 1 << 20)
    assert join_store(out, store) == 1
    assert run.summary is not None
    assert join_store(out, tmp_path / "new") == 2
    assert not list((tmp_path / "new").rglob("checkpoint.pt"))


def test_what_fits_is_carried_the_newest_first(unbroken, tmp_path):
    """Of four runs: one ended before, one in this piece, two have not ended. What has not is larger: its checkpoint."""
    store = shutil.copytree(unbroken, tmp_path / "store")
    for run in runs_in(store):
        name, _, own = run.path.name.rpartition("-")
        shutil.copytree(run.path, run.path.with_name(f"{name}-{own[::-1]}"))
    before, ended, far, near = runs_in(store)
    for run, step in ((far, 12), (near, 4)):
        (run.path / "summary.json").unlink()
        write_json(run.path / "status.json", {**run.status, "status": "interrupted", "step": step})
    names = [run.path.name for run in (ended, far, near, before)]
    sizes = {run.path.name: sum(file.stat().st_size for file in _travelling(run)) for run in runs_in(store)}
    for count in range(5):
        most = sum(sizes[name] for name in names[:count])
        chosen, left = that_fit(store, most, {before.path.name})
        assert [run.path.name for run in chosen] == names[:count]
        assert left == names[count:]
    chosen, _ = that_fit(store, sum(sizes[name] for name in names[:2]), {before.path.name})
    pack_store(store, tmp_path / "out", 1 << 20, chosen)
    assert join_store(tmp_path / "out", tmp_path / "new") == 2
    assert {run.path.name for run in runs_in(tmp_path / "new")} == {*names[:2]}


def cut(file):
    file.write_bytes(file.read_bytes()[:-100])


def change(file):
    """Change one bit: of a checkpoint, in a weight."""
    content = bytearray(file.read_bytes())
    place = len(content) // 2
    if file.name == "checkpoint.pt":
        weight = next(iter(torch.load(file, weights_only=True)["model"].values()))
        place = content.index(weight.numpy().tobytes())
    content[place] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, change])
@pytest.mark.parametrize("name", ["checkpoint.pt", "metrics.csv", "arrays.npz", "summary.json", "status.json"])
def test_a_damaged_file_of_a_store_is_named_in_one_line(unbroken, tmp_path, name, damage, monkeypatch):
    store = shutil.copytree(unbroken, tmp_path / "store")
    run = next(iter(runs_in(store)))
    if name == "checkpoint.pt":
        (run.path / "summary.json").unlink()
    require_whole(store)
    if name.endswith(".json"):
        (run.path / name).write_text((run.path / name).read_text()[:-5])
    else:
        damage(run.path / name)
    monkeypatch.setenv("NORMSCAPE_RUNS", "")
    with pytest.raises(UserError) as caught:
        pieces.main(command(store))
    assert str(run.path / name) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--minutes=0"], "--minutes 0: expected a number above 0"),
        (["runs_dir=elsewhere"], "runs_dir=elsewhere: expected --store to say where runs go"),
        (["--minutes=nan"], "--minutes nan: expected a number above 0"),
        (["--most=-1"], "--most -1: expected a number above 0"),
        (["--minutes=soon"], "argument --minutes: invalid float value: 'soon'"),
        (["--figures=1,14"], "--figures 14: there is no such figure"),
        (["--scale=papper"], "--scale papper: no such scale; did you mean 'paper'?"),
        (["--seeds=a"], "--seeds a: expected numbers"),
        (["--minute=x", "--stor=y"], "argument --minutes: invalid float value: 'x'"),
        (["seed=3"], "seed=3: expected --seeds"),
        (["stepps=3"], "stepps"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, arguments, said, monkeypatch):
    monkeypatch.setenv("NORMSCAPE_RUNS", "")
    with pytest.raises(UserError) as caught:
        pieces.main([f"--store={tmp_path / 'store'}", "--scale=smoke", "--figures=10", *arguments])
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "store").exists()


def test_a_store_that_cannot_be_used_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("NORMSCAPE_RUNS", "")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file: cannot be written to \(.*\); give another folder"):
        pieces.main(command(tmp_path / "file"))
    with only_one(tmp_path), pytest.raises(UserError, match="another process is at work on this store"):
        pieces.main(command(tmp_path))


def test_what_is_no_file_of_a_run_stays_where_it_is(tmp_path):
    """Somebody may keep more in a run's folder; what is packed is taken over elsewhere, whatever lies beside it."""
    run = tmp_path / "store" / "runs" / "mlp_batch-s0-0123456789ab"
    (run / "plots").mkdir(parents=True)
    (run / "plots" / "a.txt").write_text("mine")
    (run / "link.csv").symlink_to(run / "plots" / "a.txt")
    write_json(run / "config.json", {"name": "mlp_batch"})
    write_json(run / "status.json", {"status": "interrupted", "step": 3})
    pack_store(tmp_path / "store", tmp_path / "packed", 2**20)
    assert join_store(tmp_path / "packed", tmp_path / "other") == 1
    (taken,) = (tmp_path / "other" / "runs").glob("mlp_batch-*")
    assert sorted(path.name for path in taken.iterdir()) == ["config.json", "status.json"]
