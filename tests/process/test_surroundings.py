"""An odd environment: what a user means is done, or one line says what to do."""

import io
import os
import subprocess
import sys

import pytest
from omegaconf import OmegaConf

from normscape.config import compose_hydra, compose_run
from normscape.data.download import data_root
from normscape.errors import UserError
from normscape.launch import unknown_commit
from normscape.overview.progress import ProgressDisplay
from normscape.process import entry
from normscape.process.provenance import commit_of_code, provenance
from normscape.process.surroundings import set_aside

RUN = ["run=dln_batch", "scale=smoke", "tracker=none", "device=cpu"]


def runs_dir(*overrides):
    return compose_run([*RUN, *overrides]).runs_dir


@pytest.mark.parametrize("first", ["normscape.process.portable", "normscape.process.entry", "normscape.engines.task"])
def test_matplotlib_is_imported_whatever_backend_a_notebook_names(first):
    environment = {
        **os.environ,
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYTHONPATH": ":".join(sys.path),
    }
    program = f"import {first}, matplotlib; print(matplotlib.get_backend())"
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip().lower()) == (0, "agg"), done.stderr


def test_a_terminal_that_nothing_fits_into_is_forgotten():
    environment = {"COLUMNS": "0", "LINES": "80"}
    set_aside(environment)
    assert environment == {"LINES": "80", "MPLBACKEND": "agg"}
    set_aside(environment := {"COLUMNS": "wide"})
    assert environment["COLUMNS"] == "wide"


def test_the_home_of_the_user_is_meant_by_a_tilde(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("NORMSCAPE_RUNS", "NORMSCAPE_DATA"):
        monkeypatch.setenv(name, "~/x = é, y")
    assert runs_dir() == str(tmp_path / "x = é, y")
    assert runs_dir("runs_dir='~/other'") == str(tmp_path / "other")
    assert data_root() == tmp_path / "x = é, y"
    sweep = OmegaConf.create({"runs_dir": "~/x", "dir": "${folder:${runs_dir}}/sweeps"})
    assert sweep.dir == f"{tmp_path}/x/sweeps"
    assert str(compose_hydra([*RUN, "group=g"]).sweep._get_node("dir")._value()).startswith("${folder:${runs_dir}}/")
    monkeypatch.delenv("HOME")
    assert not runs_dir().startswith("~")


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch):
    monkeypatch.setenv("NORMSCAPE_RUNS", "")
    assert runs_dir() == "runs"
    monkeypatch.delenv("NORMSCAPE_RUNS")
    assert runs_dir() == "runs"


@pytest.mark.parametrize("folder", ["", "''", "' '", "'~nobody-of-that-name/x'"])
def test_a_folder_that_is_none_is_refused(folder):
    with pytest.raises(UserError, match=r"^runs_dir=.*: expected a folder, e.g. runs or /data/runs$"):
        runs_dir(f"runs_dir={folder}")


@pytest.mark.parametrize("folder", ["/data/a=b", "/data/é日本", "~/runs", "/data/it's"])
def test_what_hydra_cannot_read_unquoted_is_shown_quoted(folder):
    with pytest.raises(UserError) as caught:
        runs_dir(f"runs_dir={folder}")
    said = str(caught.value)
    assert "expected key=value, in quotes, for Hydra and for the shell: " in said
    typed = subprocess.run(["sh", "-c", f"printf %s {said.rpartition('shell: ')[2]}"], capture_output=True, text=True)
    assert runs_dir(typed.stdout) == os.path.expanduser(folder)


def test_a_repository_that_git_refuses_is_said(monkeypatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    origin = provenance()
    assert origin["commit"] is None
    assert origin["commit_unknown"].startswith(
        "the repository belongs to another user, and git refuses it; to trust it:"
    )
    (line,) = unknown_commit()
    assert "git config --global --add safe.directory " in line


@pytest.mark.parametrize(
    ("git", "reason"),
    [
        (
            "echo 'fatal: not a git repository (or any of the parent directories): .git' >&2; exit 128",
            "no git repository",
        ),
        ("echo \"fatal: ambiguous argument 'HEAD': unknown revision\" >&2; exit 128", "no commit yet"),
        (
            "[ $1 = ls-files ] && { echo 'error: pathspec did not match any file(s)' >&2; exit 1; }; echo abc",
            "no git repo",
        ),
        ("echo 'fatal: odd' >&2; exit 1", "git fails (fatal: odd)"),
        (None, "there is no git on this machine"),
    ],
)
def test_why_no_commit_is_known(tmp_path, monkeypatch, git, reason):
    if git:
        (tmp_path / "git").write_text(f"#!/bin/sh\n{git}\n")
        (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    commit, said = commit_of_code()
    assert commit is None
    assert reason in said


def test_what_git_cannot_compare_counts_as_changed(tmp_path, monkeypatch):
    (tmp_path / "git").write_text("#!/bin/sh\n[ $1 = status ] && exit 1\necho abc\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit_of_code() == ("abc+changes", None)


class Closed(io.StringIO):
    """A pipe whose reader has gone."""

    def write(self, text):
        raise BrokenPipeError


def test_nobody_who_listens_ends_no_training(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Closed())
    with ProgressDisplay() as display:
        display.message("one")
        display.message("two")


def test_a_script_whose_output_is_not_read_ends_without_a_word():
    program = "from normscape.process.entry import entry_point\nwith entry_point():\n    print('x' * 99)\n"
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        done = subprocess.run(
            [sys.executable, "-c", program], stdout=closed, stderr=subprocess.PIPE, text=True, env=environment
        )
    assert (done.returncode, done.stderr) == (entry.UNHEARD, "")


def test_letters_that_a_terminal_has_not_are_shown_as_numbers():
    program = "from normscape.process.entry import entry_point\nwith entry_point():\n    print('β é')\n"
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path), "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout) == (0, "\\u03b2 \\xe9\n"), done.stderr
