"""What tests share: every test's runs, data and W&B files lie in a folder of its own, no process outlives its test."""

import normscape.process.portable  # noqa: F401, I001 - first: tests compute as the scripts that they start do

import os
import signal
import subprocess
import sys

import pytest
import torch


@pytest.fixture(autouse=True)
def _private_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("NORMSCAPE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("WANDB_DIR", str(tmp_path / "wandb"))
    monkeypatch.setenv("WANDB_MODE", "offline")


@pytest.fixture(autouse=True)
def _same_process(monkeypatch):
    """A test that would replace this process by another fails, rather than end all tests without a word."""

    def replaced(*arguments):
        raise AssertionError(f"the process of the tests would be replaced by {arguments}")

    monkeypatch.setattr(os, "execve", replaced)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def start():
    """Start processes that find what this one imports; what a failed test leaves of them and theirs is killed."""
    started = []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

    def call(command, **options):
        started.append(subprocess.Popen(command, start_new_session=True, env=environment, **options))
        return started[-1]

    yield call
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
