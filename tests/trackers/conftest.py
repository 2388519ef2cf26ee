"""What every test of the tracker has: a home of its own, no account, no server, and no process left behind."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mirrored import Limits, helpers, workers

from normscape.trackers import guard
from patience import PATIENCE_SECONDS, wait_until


@pytest.fixture(autouse=True)
def _isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give the test its own home, no account and no server, and leave no wandb process behind."""
    for name in [name for name in os.environ if name.startswith(("WANDB_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB__SERVICE_WAIT", str(PATIENCE_SECONDS))  # for its helper to start
    monkeypatch.setattr(guard, "_DROP_SECONDS", PATIENCE_SECONDS)
    yield
    wait_until(lambda: not workers())
    if sys.modules.get("wandb"):
        sys.modules["wandb"].teardown()
    assert helpers() == []


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)


@pytest.fixture
def warnings() -> Iterator[list[str]]:
    """Collect what is logged at level WARNING or above, a list that grows."""
    messages: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: messages.append(f"{record.name}: {record.getMessage()}")  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    yield messages
    logging.getLogger().removeHandler(handler)


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Limits:
    """Collect limits, and be patient with wandb: its own, a little sooner than ours, must end what hangs."""
    import wandb

    given = Limits([], {})
    do, settings = guard.Worker.do, wandb.Settings

    def patiently(worker: guard.Worker, action: Callable[[], None], seconds: float) -> None:
        given.ours.append(seconds)
        do(worker, action, PATIENCE_SECONDS if seconds else 0)

    def noted(**values: Any) -> wandb.Settings:
        given.wandb.update(values)
        return settings(**values)

    monkeypatch.setattr(guard.Worker, "do", patiently)
    monkeypatch.setattr(wandb, "Settings", noted)
    return given
