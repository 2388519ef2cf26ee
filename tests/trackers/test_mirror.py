"""The mirror of real runs: online and offline, killed and resumed, and made afterwards; one run, every row once."""

import hashlib
import importlib.util
import io
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from mirrored import FINISH_SECONDS, a_run, a_tracker, directories, history, metrics, records
from wandb_server import Server, serve

import holding_tracker
import reproduce
from normscape.config import RunConfig, compose_run
from normscape.errors import Interrupted, UserError
from normscape.execute import execute
from normscape.identity import identity
from normscape.launch import train_missing
from normscape.mirror import NOTE, by_step, hint, is_mirrored, mirror_ended
from normscape.outcome import outcome
from normscape.runs import RunDirectory
from normscape.storage.files import read_json
from normscape.storage.records import Row
from patience import PATIENCE_SECONDS, wait_until

ROOT = Path(__file__).parents[2]
PATIENT = [f"tracker.{limit}_timeout_seconds={PATIENCE_SECONDS}" for limit in ("start", "finish")]
PROBED = ["measure.every=2", "probe=[activations,ics]"]
MLP = ["scale=smoke", "run=mlp_batch", "device=cpu", "steps=8", "log_every=1", "eval_every=4", *PROBED]


class Silent:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def update(self, name: str, step: int, steps: int) -> None: ...

    def message(self, text: str) -> None:
        self.lines.append(text)


def settings(runs: Path, *more: str) -> list[str]:
    return [*MLP, f"runs_dir={runs}", "group=fig01", *more]


def trained(runs: Path, *more: str) -> tuple[RunConfig, RunDirectory]:
    config = compose_run(settings(runs, *more))
    return config, execute(config, Silent())


def rows_of(directory: RunDirectory) -> list[dict[str, float]]:
    """Return what W&B must have of a run: each step once, in order."""
    text = (directory.path / "metrics.csv").read_text().splitlines()[1:]
    cells = [line.split(",") for line in text]
    rows = [
        Row(int(step), quantity, int(layer) if layer else None, float(size) if size else None, float(value or "nan"))
        for step, quantity, layer, size, value in cells
    ]
    return [{"step": float(step), **values} for step, values in by_step(rows)]


def numbers(items: list[dict[str, Any]]) -> list[dict[str, float]]:
    """Return W&B's rows without its own columns and without pictures."""
    plain = [{name: value for name, value in item.items() if not name.startswith("activations/")} for item in items]
    return metrics(plain)


def same_rows(left: list[dict[str, float]], right: list[dict[str, float]]) -> bool:
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    with serve() as running:
        monkeypatch.setenv("WANDB_BASE_URL", running.url)
        yield running


def script(name: str, *arguments: object) -> str:
    """Carry out a script in this process, and return what it prints."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with redirect_stdout(io.StringIO()) as printed:
        module.main([*map(str, arguments)])
    return printed.getvalue()


def killed_at(step: int, runs: Path, folder: Path, *more: str) -> None:
    """Train in another process, and kill that with its helper at a step whose rows W&B was given."""
    folder.mkdir()
    kind = ["tracker._target_=held_wandb.HeldWandb", f"+tracker.step={step}", f"+tracker.folder={folder}"]
    command = [sys.executable, str(ROOT / "experiments" / "train.py"), *settings(runs, "tracker=wandb", *kind, *more)]
    places = os.pathsep.join(map(str, (ROOT / "src", ROOT / "tests", ROOT / "tests" / "trackers")))
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": places}, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: holding_tracker.held(folder) or process.poll() is not None)
    found = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False)
    for number in [*map(int, found.stdout.split()), process.pid]:
        os.kill(number, signal.SIGKILL)
    process.communicate()
    assert holding_tracker.held(folder) == 1


def test_a_run_online_arrives_whole(tmp_path: Path, server: Server) -> None:
    config, directory = trained(tmp_path, "tracker=wandb", "tracker.mode=online", *PATIENT)
    (run,) = server.runs.values()
    assert [*server.runs] == [identity(config)]
    assert (run.settings["displayName"], run.settings["groupName"]) == ("mlp_batch-s0", "fig01")
    assert (run.settings["jobType"], run.settings["tags"]) == ("train", ["mlp_batch", "smoke", "seed0"])
    kept = read_json(directory.path / "config.json")
    assert run.config == {key: value for key, value in kept.items() if value != {}}  # W&B leaves out what is empty
    assert same_rows(numbers(run.history), rows_of(directory))
    assert (run.summary["status"], run.exit_code) == ("finished", 0)
    images = {name for name in run.files if name.startswith("media/images/activations/")}
    assert len(images) == len([*directory.path.glob("ridge_*.png")]) > 0
    assert is_mirrored(directory)


@pytest.mark.parametrize("mode", ["offline", "online"])
def test_a_run_that_is_killed_and_resumed_is_one_run_without_gap_or_repetition(
    mode: str, tmp_path: Path, server: Server
) -> None:
    runs = tmp_path / "runs"
    killed_at(5, runs, tmp_path / "held", f"tracker.mode={mode}", "checkpoint_seconds=0")
    config, directory = trained(runs, "tracker=wandb", f"tracker.mode={mode}", *PATIENT)
    if mode == "offline":
        assert len(directories(runs, identity(config))) == 1
        assert script("sync_runs", runs) == "Runs: 1 sent now, 0 before, 0 in training\n"
        assert script("sync_runs", runs) == "Runs: 0 sent now, 1 before, 0 in training\n"
    assert same_rows(numbers(server.runs[identity(config)].history), rows_of(directory))
    assert [row["_step"] for row in server.runs[identity(config)].history] == [*range(9)]
    assert script("sync_runs", runs, "--again") == "Runs: 1 sent now, 0 before, 0 in training\n"
    assert same_rows(numbers(server.runs[identity(config)].history), rows_of(directory))


def test_a_figure_that_was_mirrored_offline_is_sent_with_its_picture_and_claims(tmp_path: Path, server: Server) -> None:
    """In the same call as the runs that it is made from."""
    runs = tmp_path / "runs"
    command = ["10", "--scale=smoke", f"--results={tmp_path}", f"runs_dir={runs}", "device=cpu", *PATIENT]
    reproduce.main([*command, "steps=8", "tracker=wandb"])
    assert script("sync_runs", runs) == "Runs: 3 sent now, 0 before, 0 in training\n"
    run = server.runs[hashlib.sha256(b"santurkar2018/smoke/fig10").hexdigest()[:12]]
    results = tmp_path / "santurkar2018" / "smoke"
    assert (results / "fig10.png").read_bytes() in run.files.values()
    claims = read_json(results / "fig10.json")["claims"]
    for name, kept in claims.items():
        assert run.summary[f"verdict/{name}"].startswith(kept["verdict"])
    (table,) = [json.loads(content) for name, content in run.files.items() if "claims" in name]
    assert len(table["data"]) == len(claims) > 0


def test_what_was_begun_online_and_lost_its_server_is_sent_by_the_same_command(
    tmp_path: Path, server: Server, warnings: list[str]
) -> None:
    server.losing = True
    short = f"tracker.finish_timeout_seconds={FINISH_SECONDS}"
    config = compose_run(settings(tmp_path, "tracker=wandb", "tracker.mode=online", PATIENT[0], short))
    directory = execute(config, Silent())
    assert len(warnings) == 1
    server.losing = False
    assert script("sync_runs", tmp_path) == "Runs: 1 sent now, 0 before, 0 in training\n"
    assert same_rows(numbers(server.runs[identity(config)].history), rows_of(directory))


def test_a_run_that_was_not_mirrored_is_mirrored_afterwards_with_the_same_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(tmp_path / "a", "tracker=wandb", *PATIENT)
    config, without = trained(tmp_path / "b", "tracker=none")
    assert not is_mirrored(without)
    wanted = compose_run(settings(tmp_path / "b", "tracker=wandb"))
    assert hint([wanted]) == "not in W&B yet: 1 finished run; make mirror adds them"
    assert hint([config]) == ""
    lines: list[str] = []
    train_missing([wanted], None, lines.append)  # type: ignore[arg-type]
    assert lines == ["Runs: all 1 finished.", hint([wanted])]

    assert mirror_ended(without, a_tracker())
    assert hint([wanted]) == ""
    left, right = (records(directories(tmp_path / name, identity(config))[0]) for name in "ab")
    runs = [next(each["run"] for each in content if each["type"] == "run") for content in (left, right)]
    for name in ("run_id", "display_name", "run_group", "job_type", "tags", "project"):
        assert runs[0][name] == runs[1][name]
    configs = [{**run["config"]["update"], "_wandb": None} for run in runs]
    assert configs[0] == configs[1]
    of = [[each["history"]["item"] for each in content if each["type"] == "history"] for content in (left, right)]
    assert same_rows(numbers(of[0]), numbers(of[1]))
    assert {name.split(".")[0] for item in of[0] for name in item if name.startswith("activations/")} == {
        name.split(".")[0] for item in of[1] for name in item if name.startswith("activations/")
    }
    summaries = [final_summary(content) for content in (left, right)]
    assert {**summaries[0], "wall_seconds": 0} == {**summaries[1], "wall_seconds": 0}

    assert script("mirror_runs", tmp_path / "b") == "Runs: 0 mirrored now, 1 before, 0 not ended\n"
    monkeypatch.setenv("WANDB_MODE", "disabled")
    with pytest.raises(UserError, match="W&B is disabled by WANDB_MODE or WANDB_DISABLED"):
        script("mirror_runs", tmp_path / "b")


def final_summary(content: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what a mirror's summary was given by `summarize`."""
    found: dict[str, Any] = {}
    for each in content:
        if each["type"] == "summary":
            found |= each["summary"]["update"]
    return {name: value for name, value in found.items() if not name.startswith("_")}


def test_a_diverged_run_reads_as_one(tmp_path: Path) -> None:
    config, directory = trained(tmp_path, "tracker=wandb", "optimizer.lr=1e30", "norm=standard", *PATIENT)
    assert directory.summary is not None
    content = records(directories(tmp_path, identity(config))[0])
    summary = final_summary(content)
    assert (summary["status"], summary["diverged_at"]) == ("diverged", directory.summary["diverged_at"])
    assert [each["exit"]["exit_code"] for each in content if each["type"] == "exit"] == [1]
    assert [each["run"]["tags"] for each in content if each["type"] == "run"][-1][-1] == "diverged"


def test_a_mirror_that_failed_is_made_up_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setitem(sys.modules, "wandb", None)
        config, directory = trained(tmp_path, "tracker=wandb", *PATIENT)
    assert read_json(directory.path / NOTE)["whole"] is False
    assert script("dashboard", tmp_path, "--list").splitlines()[:2] == ["all: 1 runs", "fig01: mlp_batch-s0"]
    assert is_mirrored(directory)
    (found,) = (tmp_path / ".dashboard" / "fig01").iterdir()
    assert found.name.endswith("-mlp_batch-s0")
    link = found / "run-mlp_batch-s0.wandb"
    assert same_rows(numbers(history(directories(tmp_path, identity(config))[0])), rows_of(directory))
    assert link.resolve() == directories(tmp_path, identity(config))[0].joinpath(f"run-{identity(config)}.wandb")


def test_a_run_that_was_stopped_and_ended_without_a_tracker_is_not_taken_for_mirrored(tmp_path: Path) -> None:
    config = compose_run(settings(tmp_path, "tracker=wandb", *PATIENT))
    with pytest.raises(Interrupted):
        execute(config, Silent(), stopped=lambda: True)
    _, directory = trained(tmp_path, "tracker=none")
    assert read_json(directory.path / NOTE)["whole"] is True
    assert not is_mirrored(directory)
    assert script("mirror_runs", tmp_path).endswith("Runs: 1 mirrored now, 0 before, 0 not ended\n")
    assert is_mirrored(directory)
    assert same_rows(numbers(history(directories(tmp_path, identity(config))[0])), rows_of(directory))


def test_the_user_s_environment_is_respected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TAGS": "mine, vgg", "RUN_GROUP": "thesis", "NAME": "first", "JOB_TYPE": "try"}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    tracker = a_tracker()
    tracker.start(a_run(tmp_path))
    tracker.finish(0)
    run = next(each["run"] for each in records(directories(tmp_path)[0]) if each["type"] == "run")
    assert run["tags"] == ["vgg", "laptop", "mine"]
    assert (run["run_group"], run["display_name"], run["job_type"]) == ("thesis/fig01", "first", "try")


@pytest.mark.parametrize("variable", ["WANDB_MODE=disabled", "WANDB_DISABLED=true"])
def test_disabled_is_disabled(variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(*variable.split("="))
    tracker = a_tracker()
    tracker.start(a_run(tmp_path))
    tracker.log(0, {"x": 1.0})
    tracker.finish(0)
    assert [*tmp_path.iterdir()] == []


def test_an_agent_s_id_is_that_of_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warnings: list[str]) -> None:
    monkeypatch.setenv("WANDB_SWEEP_ID", "s1")
    monkeypatch.setenv("WANDB_RUN_ID", "agent1")
    for run_id in ("a" * 12, "b" * 12, "a" * 12):
        tracker = a_tracker()
        tracker.start(a_run(tmp_path, run_id))
        tracker.log(0, {"x": float(run_id == "a" * 12)})
        tracker.finish(0)
    assert warnings == []
    assert [row["x"] for row in history(directories(tmp_path, "agent1")[0])] == [1.0]
    assert [row["x"] for row in history(directories(tmp_path, "b" * 12)[0])] == [0.0]
    assert len([*(tmp_path / "wandb").glob("offline-run-*")]) == 2
    sweeps = {
        each["run"]["run_id"]: each["run"].get("sweep_id")
        for name in ("agent1", "b" * 12)
        for each in records(directories(tmp_path, name)[0])
        if each["type"] == "run"
    }
    assert sweeps["agent1"] == "s1"
    assert not sweeps["b" * 12]


def test_fragments_of_other_runs_stay(tmp_path: Path) -> None:
    for run_id in ("a" * 12, "b" * 12, "a" * 12):
        tracker = a_tracker()
        tracker.start(a_run(tmp_path, run_id))
        tracker.log(0, {"x": 1.0})
        tracker.finish(0)
    assert [len(directories(tmp_path, name * 12)) for name in "ab"] == [1, 1]


def test_the_outcome_of_a_run() -> None:
    rows = [Row(step, "train_accuracy", None, None, step / 10) for step in range(10)]
    rows += [Row(step, "test_accuracy", None, None, value) for step, value in ((0, 0.1), (5, 0.8), (10, 0.7))]
    rows += [Row(step, "effective_beta", None, None, value) for step, value in ((0, 3.0), (1, math.inf), (2, 5.0))]
    rows += [Row(0, "ics_l2", layer, None, float(layer)) for layer in (1, 2, 9)]
    assert outcome(rows, {"status": "diverged", "diverged_at": 9, "step": 10}) == {
        "status": "diverged",
        "diverged_at": 9,
        "test_accuracy_best": 0.8,
        "test_accuracy_final": 0.7,
        "steps_to_50": 5.0,
        "effective_beta_max": 5.0,
        "ics_median": 2.0,
    }
    assert outcome([], {"status": "finished", "step": 0}) == {"status": "finished"}


def test_what_failed_is_made_up_for_in_the_project_that_the_run_was_trained_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setitem(sys.modules, "wandb", None)
        broken.setenv("WANDB_ENTITY", "me")
        config, _ = trained(tmp_path, "tracker=wandb", "tracker.project=thesis", *PATIENT)
    assert script("mirror_runs", tmp_path, tmp_path).endswith("Runs: 1 mirrored now, 0 before, 0 not ended\n")
    content = records(directories(tmp_path, identity(config))[0])
    run = next(each["run"] for each in content if each["type"] == "run")
    assert (run["project"], run["entity"]) == ("thesis", "me")


def test_runs_that_come_from_elsewhere_are_mirrored_here(tmp_path: Path, server: Server) -> None:
    """Their notes come along; the mirror, offline, stayed where they were trained."""
    config, directory = trained(tmp_path / "there", "tracker=wandb", *PATIENT)
    here = tmp_path / "here" / directory.path.name
    shutil.copytree(directory.path, here)
    shutil.rmtree(tmp_path / "there")
    assert not is_mirrored(RunDirectory(here))
    assert "all: 1 runs" in script("dashboard", here.parent, "--list")
    assert is_mirrored(RunDirectory(here))
    assert script("sync_runs", here.parent) == "Runs: 1 sent now, 0 before, 0 in training\n"
    assert same_rows(numbers(server.runs[identity(config)].history), rows_of(RunDirectory(here)))
    shutil.rmtree(here.parent / "wandb")
    assert is_mirrored(RunDirectory(here))  # what was sent need not stay


def test_mirrors_are_found_where_they_were_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("WANDB_DIR", str(tmp_path / "mirrors"))
        trained(tmp_path / "runs", "tracker=wandb", *PATIENT)
    assert "all: 1 runs" in script("dashboard", tmp_path / "runs", "--list")
    assert not (tmp_path / "runs" / "wandb").exists()


@pytest.mark.parametrize("name", ["metrics.csv", "summary.json", "wandb.json"])
def test_a_damaged_run_is_named_and_the_others_are_mirrored(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = []
    for seed in (0, 1):
        with pytest.MonkeyPatch.context() as broken:
            broken.setitem(sys.modules, "wandb", None)
            runs.append(trained(tmp_path, "tracker=wandb", f"seed={seed}", *PATIENT)[1])
    first, second = sorted(runs, key=lambda run: run.path)
    (first.path / name).write_bytes((first.path / name).read_bytes()[:20])
    capsys.readouterr()
    if name == "wandb.json":
        assert script("mirror_runs", tmp_path).endswith("Runs: 2 mirrored now, 0 before, 0 not ended\n")
        return
    assert "all: 1 runs" in script("dashboard", tmp_path, "--list")
    assert f"left out: {first.path / name}: " in capsys.readouterr().err
    assert is_mirrored(second)
    with pytest.raises(UserError, match=f"^{first.path / name}: "):
        script("mirror_runs", tmp_path, "--again")
