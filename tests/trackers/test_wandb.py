"""The W&B mirror: it holds what it was given, it is silent, and nothing that befalls it reaches the run."""

import os
import queue
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
import torch
from mirrored import (
    FINISH_SECONDS,
    ROWS,
    START_SECONDS,
    Limits,
    a_run,
    a_tracker,
    directories,
    expected,
    helpers,
    history,
    log_rows,
    metrics,
    records,
    same,
    workers,
)
from wandb_server import serve

from normscape.config import compose_run
from normscape.errors import UserError
from normscape.execute import execute
from normscape.identity import identity
from normscape.trackers import WandbTracker, guard, metric_name
from patience import PATIENCE_SECONDS, wait_until


def test_offline_run_reads_back_as_it_was_logged_and_says_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], warnings: list[str]
) -> None:
    tracker = a_tracker()
    tracker.start(a_run(tmp_path))
    log_rows(tracker)
    tracker.finish(exit_code=3)

    assert capfd.readouterr() == ("", "")
    assert warnings == []
    (directory,) = directories(tmp_path)
    assert directory.name.startswith("offline-")
    content = records(directory)
    run = next(record["run"] for record in content if record["type"] == "run")
    assert run["run_id"] == "0123456789ab"
    assert run["display_name"] == "vgg_batch-s0"
    assert (run["project"], run["run_group"], run["job_type"]) == ("normscape", "fig01", "train")
    assert run["tags"] == ["vgg", "laptop"]
    assert run["config"]["update"]["optimizer"] == {"lr": 0.1}
    axes = {record["metric"].get("glob_name"): record["metric"] for record in content if record["type"] == "metric"}
    assert axes["*"]["step_metric"] == "step"
    assert [record["exit"]["exit_code"] for record in content if record["type"] == "exit"] == [3]
    read = metrics([record["history"]["item"] for record in content if record["type"] == "history"])
    assert same(read, expected())
    assert not same(read, expected([*ROWS[:-1], {**ROWS[-1], "beta": 0.0}]))


def test_a_name_that_is_longer_than_wandb_takes_costs_nothing(tmp_path: Path, warnings: list[str]) -> None:
    name = "vgg_batch," + "optimizer.lr=0.3," * 20
    tracker = a_tracker()
    tracker.start(replace(a_run(tmp_path, name=name), group=name, tags=(name, "laptop")))
    log_rows(tracker)
    tracker.finish(exit_code=0)
    assert warnings == []
    (directory,) = directories(tmp_path)
    run = next(record["run"] for record in records(directory) if record["type"] == "run")
    assert run["display_name"].startswith("vgg_batch,optimizer.lr=0.3,")
    assert [len(tag) for tag in run["tags"]] == [64, 6]
    assert same(metrics(history(directory)), expected())


def test_what_wandb_has_of_a_real_run_is_what_the_store_has(tmp_path: Path) -> None:
    """Trains at smoke scale with every probe and compares every number, exactly."""

    class Silent:
        def update(self, name: str, step: int, steps: int) -> None: ...

        def message(self, text: str) -> None: ...

    patient = [f"tracker.{limit}_timeout_seconds={PATIENCE_SECONDS}" for limit in ("start", "finish")]
    settings = ["scale=smoke", "run=vgg_batch", "tracker=wandb", f"runs_dir={tmp_path}", "group=fig01"]
    config = compose_run([*settings, *patient])
    store = execute(config, Silent()).table()
    (directory,) = directories(tmp_path, identity(config))
    mirrored = {
        (item["step"], name): float(value)
        for item in history(directory)
        for name, value in item.items()
        if not name.startswith(("_", "activations/")) and name != "step"
    }
    kept = {}
    for row in store.itertuples():
        layer, step_size = (None if pd.isna(place) else place for place in (row.layer, row.step_size))
        kept[row.step, metric_name(row.quantity, layer, step_size)] = row.value
    assert mirrored == kept
    images = {name.split(".")[0] for item in history(directory) for name in item if name.startswith("activations/")}
    assert images == {f"activations/layer{layer:02d}" for layer in config.measure.activation_layers}


def test_two_runs_of_one_process_stay_apart(tmp_path: Path) -> None:
    first, second = a_tracker(), a_tracker()
    first.start(a_run(tmp_path, "aaaaaaaaaaaa"))
    second.start(a_run(tmp_path, "bbbbbbbbbbbb"))
    first.log(0, {"x": 1.0})
    second.log(0, {"x": 2.0})
    first.finish(0)
    second.log(1, {"x": 3.0})
    second.finish(0)
    first.start(a_run(tmp_path, "cccccccccccc"))  # the same tracker again
    first.log(0, {"x": 4.0})
    first.finish(0)

    values = {
        run_id: [row["x"] for row in history(directories(tmp_path, run_id)[0])]
        for run_id in ("a" * 12, "b" * 12, "c" * 12)
    }
    assert values == {"a" * 12: [1.0], "b" * 12: [2.0, 3.0], "c" * 12: [4.0]}


def test_image_is_copied_at_once(tmp_path: Path) -> None:
    png = tmp_path / "ridge.png"
    matplotlib.image.imsave(png, np.eye(8))
    content = png.read_bytes()
    tracker = a_tracker()
    tracker.start(a_run(tmp_path))
    tracker.image(700, "activation_ridge/layer03", png)
    png.unlink()
    tracker.finish(0)

    (directory,) = directories(tmp_path)
    (row,) = history(directory)
    assert row["step"] == 700
    assert row["activation_ridge/layer03._type"] == "image-file"
    assert (directory / "files" / row["activation_ridge/layer03.path"]).read_bytes() == content


@pytest.mark.usefixtures("account")
def test_online_run_arrives_as_it_was_logged(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    warnings: list[str],
) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")  # the user's wish, as the config has none
    with serve() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        tracker = a_tracker()
        tracker.start(a_run(tmp_path))
        log_rows(tracker)
        tracker.finish(0)

        assert same(metrics(server.history), expected())
        buckets = [
            variables
            for operation, variables in zip(server.operations, server.variables, strict=True)
            if operation.startswith("mutation UpsertBucket")
        ]
        assert {bucket["name"] for bucket in buckets} == {"0123456789ab"}
        assert buckets[0]["groupName"] == "fig01"
    assert warnings == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("account")
def test_modes_mix_in_one_process_and_leave_the_environment_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    with serve() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        before = dict(os.environ)
        for mode, run_id in (("offline", "a" * 12), (None, "b" * 12), ("offline", "c" * 12)):
            tracker = a_tracker(mode)
            tracker.start(a_run(tmp_path, run_id))
            tracker.log(0, {"x": 1.0})
            tracker.finish(0)
        after = {name: value for name, value in os.environ.items() if name != "WANDB_SERVICE"}  # wandb's own

        assert after == before
        assert {variables["name"] for variables in server.variables if "groupName" in variables} == {"b" * 12}
        assert len(server.history) == 1
    assert [directories(tmp_path, name * 12)[0].name.split("-")[0] for name in "abc"] == ["offline", "run", "offline"]


def assert_fails_once(tracker: WandbTracker, directory: Path, warnings: list[str], *, doing: str = "starting") -> None:
    """Run the tracker through everything; it must say one line, and not because a limit of ours ran out."""
    tracker.start(a_run(directory))
    log_rows(tracker)
    if doing != "starting":
        tracker.image(200, "ridge", directory / "none.png")
    tracker.summarize({"status": "finished"})
    tracker.finish(0)
    (warning,) = warnings
    assert warning.startswith(f"normscape: W&B failed while {doing} vgg_batch-s0, which continues without it, and make")
    assert "\n" not in warning
    assert "no answer within" not in warning


def assert_offline_instead(tracker: WandbTracker, directory: Path, warnings: list[str]) -> None:
    """Run the tracker through everything; it must say one line, and keep the whole run."""
    tracker.start(a_run(directory))
    log_rows(tracker)
    tracker.finish(0)
    (warning,) = warnings
    assert warning.startswith("normscape: W&B cannot be reached, vgg_batch-s0 is mirrored offline, and make sync sends")
    assert "\n" not in warning
    assert "no answer within" not in warning
    (kept,) = [each for each in directories(directory) if each.name.startswith("offline-")]
    assert same(metrics(history(kept)), expected())


def assert_wandb_s_own_is_sooner(limits: Limits, name: str, seconds: float) -> None:
    """The tracker must wait for as long as it was told, and wandb must have been told to give up before."""
    assert 0 < limits.wandb[name] < seconds
    assert seconds in limits.ours
    assert set(limits.ours) <= {0.0, START_SECONDS, FINISH_SECONDS, PATIENCE_SECONDS}


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("fault", ["refusing", "hanging", "failing"])
def test_server_that_cannot_be_reached(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warnings: list[str], limits: Limits
) -> None:
    with serve() as server:
        if fault != "refusing":  # answers nothing, or with status 500
            setattr(server, fault, True)
            monkeypatch.setenv("WANDB_BASE_URL", server.url)
        assert_offline_instead(a_tracker("online", start=START_SECONDS), tmp_path, warnings)
    assert_wandb_s_own_is_sooner(limits, "init_timeout", START_SECONDS)


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("accident", ["dies", "hangs", "fails"])
def test_server_lost_in_the_middle(
    accident: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warnings: list[str], limits: Limits
) -> None:
    with serve() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        tracker = a_tracker("online", finish=FINISH_SECONDS)
        tracker.start(a_run(tmp_path))
        if accident == "dies":
            server.die()
        server.hanging, server.failing = accident != "fails", accident == "fails"
        log_rows(tracker)
        tracker.finish(0)

    assert_wandb_s_own_is_sooner(limits, "finish_timeout", FINISH_SECONDS)
    (warning,) = warnings
    assert warning.startswith(
        "normscape: W&B failed while finishing vgg_batch-s0, which continues without it, and make"
    )
    assert "Timed out finishing run." in warning
    sys.modules["wandb"].teardown()
    assert same(metrics(history(directories(tmp_path)[0])), expected())  # kept for `wandb sync`


def test_missing_account(tmp_path: Path, warnings: list[str]) -> None:
    assert_offline_instead(a_tracker("online"), tmp_path, warnings)
    assert "No API key" in warnings[0]


def test_missing_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warnings: list[str]) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert_fails_once(a_tracker(), tmp_path, warnings)


def test_directory_that_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warnings: list[str]) -> None:
    (tmp_path / "taken").touch()
    monkeypatch.setenv("WANDB_DIR", str(tmp_path / "taken"))
    assert_fails_once(a_tracker(), tmp_path, warnings)


def test_wandb_directory_that_is_a_file(tmp_path: Path, warnings: list[str]) -> None:
    (tmp_path / "wandb").touch()
    assert_fails_once(a_tracker(), tmp_path, warnings)


def test_image_that_is_missing(tmp_path: Path, warnings: list[str]) -> None:
    assert_fails_once(a_tracker(), tmp_path, warnings, doing="copying an image of")


def test_full_disk(tmp_path: Path) -> None:
    """In a file system of 400 KiB, mounted in a namespace of its own."""
    script = f"""
import logging
from pathlib import Path
from normscape.trackers import RunInfo, WandbTracker
logging.basicConfig(format="%(message)s")
tracker = WandbTracker(start_timeout_seconds={PATIENCE_SECONDS}, finish_timeout_seconds={PATIENCE_SECONDS})
tracker.start(RunInfo("0123456789ab", "vgg_batch-s0", "fig01", "train", (), {{}}, Path({str(tmp_path)!r})))
for step in range(3000):
    tracker.log(step, {{f"quantity/layer{{layer:02d}}": 0.1 for layer in range(10)}})
tracker.finish(0)
print("trained")
"""
    mount = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    mount += ['mount -t tmpfs -o size=400k tmpfs "$0" && exec "$@"', str(tmp_path)]
    if subprocess.run([*mount, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespaces here")
    environment = {**os.environ, "HOME": "/nonexistent", "TMPDIR": "/tmp"}
    done = subprocess.run(
        [*mount, sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout == "trained\n"
    (line,) = done.stderr.splitlines()
    assert line.startswith("W&B failed while finishing vgg_batch-s0, which continues without it, and make mirror")
    assert line.endswith(": [Errno 28] No space left on device")


def test_helper_killed_in_the_middle(tmp_path: Path, warnings: list[str]) -> None:
    tracker = a_tracker()
    tracker.start(a_run(tmp_path, "aaaaaaaaaaaa"))
    (helper,) = helpers()
    os.kill(helper, signal.SIGKILL)

    def logged_and_warned() -> bool:
        tracker.log(0, {"x": 1.0})
        return bool(warnings)

    wait_until(logged_and_warned)
    tracker.finish(0)
    assert len(warnings) == 1
    wait_until(lambda: not workers())  # until the dead one is let go of

    tracker.start(a_run(tmp_path, "bbbbbbbbbbbb"))  # the next run has a helper again
    tracker.log(0, {"x": 2.0})
    tracker.finish(0)
    assert len(warnings) == 1
    assert [row["x"] for row in history(directories(tmp_path, "bbbbbbbbbbbb")[0])] == [2.0]


def test_helper_that_hangs(tmp_path: Path, warnings: list[str]) -> None:
    tracker = a_tracker(finish=FINISH_SECONDS)
    tracker.start(a_run(tmp_path))
    (helper,) = helpers()
    os.kill(helper, signal.SIGSTOP)
    for step in range(2000):  # far more than fits between the two processes
        tracker.log(step, {f"quantity/layer{layer:02d}": 0.1 for layer in range(30)})
    assert warnings == []  # it is not by giving up that it waits for nothing
    tracker.finish(0)
    assert [warning.rpartition(": ")[2] for warning in warnings] == ["no answer within 5 s"]
    assert helpers() == []


def test_random_streams_are_untouched(tmp_path: Path) -> None:
    def state() -> tuple[Any, ...]:
        return random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()

    before = state()
    tracker = a_tracker()
    tracker.start(a_run(tmp_path))
    log_rows(tracker)
    tracker.finish(0)
    assert state() == before


def test_unknown_mode_is_refused() -> None:
    with pytest.raises(UserError, match="did you mean 'offline'"):
        WandbTracker(mode="ofline")


def test_of_two_threads_that_fail_at_once_one_speaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warnings: list[str]
) -> None:
    tracker = a_tracker()
    tracker.start(a_run(tmp_path))
    together = threading.Barrier(8)

    def full(worker: guard.Worker, action: Callable[[], None], seconds: float) -> None:
        together.wait()
        raise queue.Full

    with monkeypatch.context() as crowded:
        crowded.setattr(guard.Worker, "do", full)
        crowded.setattr("normscape.trackers.wandb.drop_service", lambda: None)
        threads = [threading.Thread(target=tracker.log, args=(0, {"x": 1.0})) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(warnings) == 1
    tracker.finish(0)
    assert len(warnings) == 1


@pytest.mark.parametrize(("kind", "who"), [("train", "make mirror"), ("figure", "the same command")])
def test_what_makes_up_for_a_failure_is_told(
    kind: str, who: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warnings: list[str]
) -> None:
    """`make mirror` is for runs; a figure is mirrored by what made it."""
    monkeypatch.setitem(sys.modules, "wandb", None)
    a_tracker().start(replace(a_run(tmp_path), job_type=kind))
    (line,) = warnings
    assert f"which continues without it, and {who} makes up for it later: " in line
