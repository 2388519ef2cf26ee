"""Damaged files of a run, full disks, copies: the same numbers, or one line that names the file; never others."""

import errno
import io
import json
import os
import resource
import shutil
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from damages import a_folder, cut, emptied, missing
from normscape.config import compose_run
from normscape.engines.worker import failure
from normscape.errors import Interrupted, UserError
from normscape.evidence.tabulate import _entry
from normscape.execute import execute
from normscape.gather import gather, left_out
from normscape.overview.standing import Standing
from normscape.runs import CHECKPOINTS, RunDirectory
from normscape.storage.files import SEAL, read_json, replacing, write_json

TINY = ["run=mlp_batch", "scale=smoke", "tracker=none", "device=cpu", "probe=[activations]", "measure.every=1"]
TINY += ["measure.activation_layers=[1]", "steps=4", "log_every=1", "eval_every=2", "checkpoint_seconds=0"]
ALWAYS = ("config.json", "provenance.json", "status.json", "checkpoint.pt")
FILES = {
    "ended": [*ALWAYS, "summary.json", "metrics.csv", "arrays.npz"],
    "stopped": [*ALWAYS, "checkpoint.before.pt"],
}
"""What a run has that has ended, and one that has been stopped at its half."""


class Listener:
    """A reporter that keeps what is said, and may break off at a step."""

    def __init__(self, broken_by=None, at=2):
        self.said, self.broken_by, self.at = [], broken_by, at

    def update(self, name, step, steps):
        if step == self.at and self.broken_by is not None:
            raise self.broken_by

    def message(self, text):
        self.said.append(text)


def tiny(folder, *more):
    return replace(compose_run([*TINY, *more]), runs_dir=str(folder))


def stop_after(steps):
    """Return what stops a run after so many steps."""
    asked = iter(range(1, 100))
    return lambda: next(asked) >= steps


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """One run, ended and stopped at its half."""
    folder = tmp_path_factory.mktemp("runs")
    execute(tiny(folder / "ended"), Listener())
    with pytest.raises(Interrupted):
        execute(tiny(folder / "stopped"), Listener(), stop_after(2))
    return folder


@pytest.fixture(scope="module")
def expected(runs):
    return numbers(tiny(runs / "ended"))


def numbers(config):
    """All that figures, tables and sweeps take from a run, which is trained to its end first."""
    directory = execute(config, Listener())
    kept, origin = _entry(config, directory)
    row = gather(Path(config.runs_dir)).drop(columns="wall_seconds").iloc[0].to_dict()
    arrays = {name: array.tobytes() for name, array in directory.arrays().items()}
    told = {key: origin[key] for key in ("directory", "status", "step", "steps", "identity", "data")}
    return kept, told, row, arrays, directory.table().to_csv()


def outcome(config):
    """Return the numbers of a run, or the line by which they are refused."""
    try:
        return numbers(config), None
    except UserError as error:
        return None, str(error)


def altered(file):
    """Change one bit of a number where text is expected, else one in the middle."""
    content = bytearray(file.read_bytes())
    digits = [place for place, byte in enumerate(content) if chr(byte).isdigit()]
    place = digits[len(digits) // 3] if file.suffix in (".json", ".csv") else len(content) // 2
    content[place] ^= 1
    file.write_bytes(content)


def garbage(file):
    file.write_bytes(b"\x80\x05\x00garbage" * 99)


@contextmanager
def unreadable(file):
    """As for a user who may not read it; root may read everything."""
    real = io.open

    def refusing(name, mode="r", *arguments, **options):
        if name == file and "r" in mode:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file))
        return real(name, mode, *arguments, **options)

    io.open = refusing
    try:
        yield
    finally:
        io.open = real


@pytest.mark.parametrize("damage", [emptied, cut, altered, garbage, missing, a_folder, unreadable])
@pytest.mark.parametrize(("state", "name"), [(state, name) for state, names in FILES.items() for name in names])
def test_a_damaged_file_of_a_run_gives_the_same_numbers_or_one_line(runs, expected, tmp_path, state, name, damage):
    shutil.copytree(runs / state, tmp_path / "runs")
    config = tiny(tmp_path / "runs")
    file = RunDirectory.of(config).path / name
    with damage(file) or nullcontext():
        found, line = outcome(config)
    assert (found == expected) if line is None else (str(file) in line and "\n" not in line), line


@pytest.mark.parametrize("run", ["mlp_batch", "dln_batch"])
def test_a_damaged_result_is_written_again_from_the_checkpoint(tmp_path, run):
    """What the line about such a file says to do does help."""
    config = compose_run([f"run={run}", *TINY[1:], f"runs_dir={tmp_path}"])
    directory = execute(config, Listener())
    whole = (directory.path / "metrics.csv").read_bytes()
    (directory.path / "metrics.csv").write_bytes(whole[:100])
    with pytest.raises(UserError, match=r"remove the run's summary\.json, and its files are written again"):
        directory.table()
    (directory.path / "summary.json").unlink()
    assert execute(config, Listener()).table() is not None
    assert (directory.path / "metrics.csv").read_bytes() == whole


@pytest.mark.parametrize("damage", [emptied, cut, altered, garbage, missing])
def test_the_checkpoint_before_is_used_where_the_last_one_is_damaged(runs, expected, tmp_path, damage):
    shutil.copytree(runs / "stopped", tmp_path / "runs")
    config, listener = tiny(tmp_path / "runs"), Listener()
    file = RunDirectory.of(config).path / "checkpoint.pt"
    damage(file)
    directory = execute(config, listener)
    if damage is not missing:  # then it has been killed between its two renames, and nothing is lost
        (said,) = [line for line in listener.said if "checkpoint.pt" in line]
        assert said.endswith("; continues from the one before it, step 2")
    assert numbers(config) == expected
    assert not (directory.path / CHECKPOINTS[1]).exists()  # a run that has ended takes no more disk than before


def test_without_a_whole_checkpoint_it_says_what_to_do(runs, expected, tmp_path):
    shutil.copytree(runs / "stopped", tmp_path / "runs")
    config = tiny(tmp_path / "runs")
    path = RunDirectory.of(config).path
    for name in CHECKPOINTS:
        garbage(path / name)
    cure = "remove checkpoint.pt and checkpoint.before.pt, and it is trained from step 0"
    with pytest.raises(UserError, match=f"checkpoint.pt: not a whole checkpoint .*; {cure}$"):
        execute(config, Listener())
    for name in CHECKPOINTS:
        (path / name).unlink()
    execute(config, listener := Listener())
    assert any("missing; trained again from step 0, not from 2" in line for line in listener.said)
    assert numbers(config) == expected


def test_another_run_s_checkpoint_is_not_taken(runs, tmp_path):
    shutil.copytree(runs / "stopped", tmp_path / "runs")
    config, other = tiny(tmp_path / "runs"), tiny(tmp_path / "runs", "seed=1")
    with pytest.raises(Interrupted):
        execute(other, Listener(), stop_after(1))
    path = RunDirectory.of(config).path
    for name in CHECKPOINTS:
        shutil.copy(RunDirectory.of(other).path / "checkpoint.pt", path / name)
    with pytest.raises(UserError, match=r"checkpoint.pt: belongs to run [0-9a-f]{12}, not to [0-9a-f]{12}; remove"):
        execute(config, Listener())


class Malicious:
    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return os.mkdir, (str(self.file),)


@pytest.mark.parametrize("where", ["content", "model"])
def test_nothing_in_a_checkpoint_is_executed(runs, tmp_path, where):
    shutil.copytree(runs / "stopped", tmp_path / "runs")
    config = tiny(tmp_path / "runs")
    path = RunDirectory.of(config).path
    content = torch.load(path / "checkpoint.pt", weights_only=True)
    evil = Malicious(tmp_path / "executed")
    for name in CHECKPOINTS:
        torch.save(evil if where == "content" else {**content, "model": evil}, path / name)
    with pytest.raises(UserError, match=r"checkpoint.pt: not a run's checkpoint \(it holds more than tensors"):
        execute(config, Listener())
    assert not (tmp_path / "executed").exists()


def test_nothing_that_a_config_json_names_is_executed(runs, tmp_path):
    """Tables read it; a target in it stays text."""
    shutil.copytree(runs / "ended", tmp_path / "runs")
    config = tiny(tmp_path / "runs")
    file = RunDirectory.of(config).path / "config.json"
    target = {"_target_": "os.mkdir", "path": str(tmp_path / "executed")}
    write_json(file, {**read_json(file), "norm": target, "model": target, "tracker": target, "probe": {"x": target}})
    gather(tmp_path / "runs")
    with pytest.raises(UserError, match=r"config.json: not the settings of this run"):
        _entry(config, RunDirectory.of(config))
    assert not (tmp_path / "executed").exists()


def rename(path, name):
    path.rename(path.parent / name.format(path.name))


@pytest.mark.parametrize("name", ["old_{}", "{} (copy)", "{}.bak", "copy-of-{}"])
def test_a_renamed_directory_is_not_taken_for_the_run(runs, expected, tmp_path, name, capsys):
    shutil.copytree(runs / "ended", tmp_path / "runs")
    config = tiny(tmp_path / "runs")
    path = RunDirectory.of(config).path
    renamed = path.parent / name.format(path.name)
    path.rename(renamed)
    (renamed / "metrics.csv").write_text("other numbers")
    assert RunDirectory.of(config).path == path
    standing = Standing.of(config)
    assert standing.kind == "new"
    assert standing.described.endswith(f"; not used: {renamed.name} (copied or renamed, or a second one of this run)")
    assert numbers(config) == expected
    execute(config, listener := Listener())
    assert f"not used: {renamed.name}" in listener.said[0]
    assert len(gather(tmp_path / "runs")) == 1
    assert left_out(tmp_path / "runs") == f"left out, copied or renamed: {renamed.name}"


def test_of_two_directories_of_one_run_that_which_has_ended_counts_once(runs, tmp_path):
    """As after a run has been begun by another label on another machine, and both were brought together."""
    shutil.copytree(runs / "ended", tmp_path / "runs")
    config = tiny(tmp_path / "runs")
    path = RunDirectory.of(config).path
    second = path.parent / f"a_name_before-{path.name.split('-', 1)[1]}"
    shutil.copytree(path, second)
    write_json(second / "config.json", {**read_json(path / "config.json"), "name": "a_name_before"})
    (second / "summary.json").unlink()
    assert RunDirectory.of(config).path == path
    assert len(gather(tmp_path / "runs")) == 1
    assert second.name in (left_out(tmp_path / "runs") or "")


def test_a_run_that_goes_on_under_another_label_keeps_its_directory(runs, tmp_path):
    shutil.copytree(runs / "stopped", tmp_path / "runs")
    config = replace(tiny(tmp_path / "runs"), name="another")
    path = execute(config, Listener()).path
    assert path.name.startswith("mlp_batch-s0-")
    assert RunDirectory.of(config).path == path == RunDirectory.of(tiny(tmp_path / "runs")).path


def test_a_moved_folder_of_runs_is_the_same(runs, expected, tmp_path):
    shutil.copytree(runs / "ended", tmp_path / "moved = here, é")
    assert numbers(tiny(tmp_path / "moved = here, é")) == expected


@contextmanager
def no_file_larger_than(limit):
    """As a full disk does, break off the writing of a file in its middle."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_on_a_full_disk_the_last_checkpoint_stays_and_one_line_says_what_to_do(runs, expected, tmp_path):
    shutil.copytree(runs / "stopped", tmp_path / "runs")
    config = tiny(tmp_path / "runs")
    path = RunDirectory.of(config).path
    half = (path / "checkpoint.pt").stat().st_size // 2
    with no_file_larger_than(half), pytest.raises(UserError) as caught:
        execute(config, Listener())
    said = str(caught.value)
    assert said.endswith("checkpoint.pt.new.tmp: cannot be written (File too large); make room, and start again")
    assert len(said.splitlines()) == 1
    assert not list(path.glob(".*"))
    assert RunDirectory.of(config).status == {**RunDirectory.of(config).status, "status": "failed", "step": 2}
    assert numbers(config) == expected


@pytest.mark.parametrize("name", ["metrics.csv", "arrays.npz", "summary.json", "status.json"])
def test_a_disk_that_is_full_when_results_are_written_loses_nothing(runs, expected, tmp_path, monkeypatch, name):
    shutil.copytree(runs / "stopped", tmp_path / "runs")
    config, real = tiny(tmp_path / "runs"), os.fsync
    path = RunDirectory.of(config).path

    def full(handle):
        if f".{name}." in os.readlink(f"/proc/self/fd/{handle}"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"No space left on device\); make room"):
        execute(config, Listener())
    monkeypatch.undo()
    assert RunDirectory.of(config).summary is None
    assert not list(path.glob(".*"))
    assert numbers(config) == expected


def test_out_of_memory_on_a_gpu_is_one_line_and_leaves_status_and_traceback(tmp_path):
    config = tiny(tmp_path)
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nOf the allocated memory ...")
    with pytest.raises(torch.OutOfMemoryError):
        execute(config, Listener(error))
    directory = RunDirectory.of(config)
    line = failure(config, error)
    assert line.startswith("mlp_batch seed 0: OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB. Of the")
    assert "; a smaller batch_size or model.width needs less" in line
    assert line.endswith(f" (traceback: {directory.path / 'failure.txt'})")
    assert len(line.splitlines()) == 1
    assert directory.status["status"] == "failed"
    assert "OutOfMemoryError" in (directory.path / "failure.txt").read_text()


def test_a_traceback_is_named_only_where_there_is_one(tmp_path):
    config = tiny(tmp_path)
    assert failure(config, OSError("gone")) == "mlp_batch seed 0: OSError: gone"
    with pytest.raises(OSError, match="gone"):
        execute(config, Listener(OSError("gone")))
    assert failure(config, OSError("gone")).endswith("failure.txt)")
    with pytest.raises(UserError):  # that of another time is gone
        execute(config, Listener(UserError("a mistake"), at=3))
    assert "failure.txt" not in failure(config, OSError("gone"))
    assert RunDirectory.of(config).status["error"] == "UserError: a mistake"


@pytest.mark.parametrize("folder", ["a_file", "a_file/below", "/proc/not/here"])
def test_a_folder_that_cannot_be_written_to_is_found_before_training(tmp_path, folder):
    (tmp_path / "a_file").touch()
    config = tiny(tmp_path / folder)
    with pytest.raises(UserError, match=r"^runs_dir: .* cannot be written to \(.*\); give another folder$"):
        execute(config, Listener(AssertionError("it trained"), at=1))


def test_a_run_whose_loss_is_not_finite_has_diverged_and_its_table_is_whole(tmp_path):
    config = tiny(tmp_path, "optimizer.lr=1e30", "norm=standard")
    directory = execute(config, Listener())
    assert directory.summary["status"] == "diverged"
    assert gather(tmp_path)["diverged_at"].iloc[0] == directory.summary["diverged_at"]


def test_files_of_older_versions_are_read(runs, tmp_path):
    """A config with keys that there are no longer, and without some that there are now, and no seals."""
    shutil.copytree(runs / "ended", tmp_path / "runs")
    config = tiny(tmp_path / "runs")
    path = RunDirectory.of(config).path
    execute(tiny(tmp_path / "runs", "seed=1"), Listener())
    for name in ("config.json", "status.json", "summary.json", "provenance.json"):
        content = read_json(path / name)
        if name == "config.json":
            content = {**content, "gone_since": {"a": [1]}, "scale": "an older one"}
            for key in ("kernels", "decayed", "series", "net", "objective", "measure"):
                content.pop(key, None)
        (path / name).write_text(json.dumps(content))
    table = gather(tmp_path / "runs")
    assert len(table) == 2
    assert table["test_accuracy_final"].notna().all()


def test_a_sealed_file_says_when_it_was_changed(tmp_path):
    file = tmp_path / "file.json"
    write_json(file, {"b": 1.5, "a": {"x": float("inf"), 3: [1, "é"]}})
    assert read_json(file) == {"b": 1.5, "a": {"x": "inf", "3": [1, "é"]}}
    content = json.loads(file.read_text())
    for changed in ({**content, "b": 1.4}, {**content, "c": 0}, {"a": content["a"], SEAL: content[SEAL]}):
        file.write_text(json.dumps(changed))
        with pytest.raises(UserError, match=r"file\.json: not what was written there"):
            read_json(file)
    del content[SEAL]
    file.write_text(json.dumps(content))
    assert read_json(file) == content


def test_what_cannot_be_written_is_named_and_leaves_what_was_there(tmp_path):
    file = tmp_path / "file"
    file.write_text("before")
    full = replacing(file)
    full.__enter__().write(b"half")
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(UserError, match=r"file: cannot be written \(No space left on device\); make room"):
        full.__exit__(OSError, error, None)
    assert file.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=r"folder: cannot be written \(Is a directory\)"):
        write_json(tmp_path / "folder", {})
