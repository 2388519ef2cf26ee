"""A finished figure in W&B: its picture, its claims, its verdicts; and no harm to the figure if that fails."""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from mirrored import directories, history, records

import reproduce
from normscape.storage.files import read_json
from patience import PATIENCE_SECONDS

QUICK = ["steps=8", "device=cpu", "tracker=wandb", f"tracker.start_timeout_seconds={PATIENCE_SECONDS}"]


def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Reproduce figure 10 at smoke scale, and return its folder of results."""
    monkeypatch.setenv("NORMSCAPE_RUNS", str(tmp_path / "runs"))
    finish = f"tracker.finish_timeout_seconds={PATIENCE_SECONDS}"
    reproduce.main(["10", "--scale=smoke", "--workers=1", f"--results={tmp_path}", *QUICK, finish])
    return tmp_path / "santurkar2018" / "smoke"


def test_a_figure_is_one_run_with_its_picture_claims_and_verdicts_and_there_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warnings: list[str]
) -> None:
    with monkeypatch.context() as broken:
        broken.setitem(sys.modules, "wandb", None)
        assert (made(tmp_path, monkeypatch) / "fig10.png").exists()
    (warning,) = [each for each in warnings if "fig10" in each]
    assert warning.startswith("normscape: W&B failed while starting fig10-smoke, which continues without it")

    results = made(tmp_path, monkeypatch)
    run_id = hashlib.sha256(b"santurkar2018/smoke/fig10").hexdigest()[:12]
    (directory,) = directories(tmp_path / "runs", run_id)
    content = records(directory)
    run = next(each["run"] for each in content if each["type"] == "run")
    assert (run["display_name"], run["run_group"], run["job_type"]) == ("fig10-smoke", "santurkar2018-fig10", "figure")
    (row,) = history(directory)
    picture = directory / "files" / row["fig10.path"]
    assert picture.read_bytes() == (results / "fig10.png").read_bytes()
    table = json.loads((directory / "files" / row["claims.path"]).read_text())
    claims = read_json(results / "fig10.json")["claims"]
    assert len(table["data"]) == len(claims) > 0
    summary: dict[str, Any] = {}
    for each in content:
        if each["type"] == "summary":
            summary |= each["summary"]["update"]
    for name, kept in claims.items():
        assert summary[f"verdict/{name}"].startswith(kept["verdict"])
    assert {row[-1] for row in table["data"]} == {summary[f"verdict/{name}"] for name in claims}
