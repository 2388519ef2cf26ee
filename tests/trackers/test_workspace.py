"""Our W&B workspace: serialised without an account, every name in it one that runs have, saved by one command."""

import importlib.util
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from wandb_server import serve

from normscape.config import compose_run
from normscape.errors import UserError
from normscape.outcome import outcome
from normscape.overview.outline import outline
from normscape.storage.records import Row
from normscape.trackers import metric_name
from normscape.trackers.workspace import COLUMNS, workspace

SCRIPTS = Path(__file__).parents[2] / "scripts"
MISSING = importlib.util.find_spec("wandb_workspaces") is None
needs_extra = pytest.mark.skipif(MISSING, reason="needs wandb-workspaces: make env EXTRAS=workspace")


def save(*arguments: str) -> None:
    spec = importlib.util.spec_from_file_location("save_workspace", SCRIPTS / "save_workspace.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main(arguments)


def panels(view: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for section in view["section"]["panelBankConfig"]["sections"] for each in section["panels"]]


def test_every_column_is_one_that_a_run_may_have() -> None:
    rows = [Row(step, name, None, None, 1.0) for step in range(5) for name in ("train_accuracy", "test_accuracy")]
    rows += [Row(0, name, None, None, 1.0) for name in ("effective_beta", "ics_l2")]
    assert {*COLUMNS} == {*outcome(rows, {"status": "diverged", "diverged_at": 1, "wall_seconds": 1.0})} - {
        "wall_seconds"
    }


@needs_extra
@pytest.mark.filterwarnings("ignore")
def test_every_panel_shows_what_runs_have(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    with serve() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        save("--entity", "me")
        (sent,) = [each for each in server.variables if "spec" in each]
    assert capsys.readouterr().out.strip().startswith(server.url)
    assert (sent["entityName"], sent["projectName"], sent["displayName"]) == ("me", "normscape", "normscape")
    view = json.loads(sent["spec"])
    assert json.loads(workspace("me", "normscape")._to_model().spec.model_dump_json(by_alias=True))["section"].keys()

    planned = outline(compose_run(["run=vgg_batch", "scale=paper", "tracker=none", "device=cpu"]))
    assert planned is not None
    known = {metric_name(row.quantity, row.layer, row.step_size) for row in planned.records.rows}
    shown = [each["config"] for each in panels(view) if each["viewType"] == "Run History Line Plot"]
    assert len(shown) == 15
    for config in shown:
        assert config["xAxis"] == "step"
        assert {*(config["metrics"] or [])} <= known
        if not config["metrics"]:
            assert sum(bool(re.fullmatch(config["metricRegex"], name)) for name in known) == 4
            assert config["aggregate"] is True
        assert config["groupArea"] == "minmax"
    (media,) = [each["config"]["mediaKeys"] for each in panels(view) if each["viewType"] == "Media Browser"]
    assert media == [f"activations/layer{layer:02d}" for layer in (2, 3, 9, 11, 13)]


def test_a_missing_extra_or_entity_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as without:
        without.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(UserError, match="make env EXTRAS=workspace"):
            save("--entity", "me")
    monkeypatch.setitem(sys.modules, "wandb_workspaces", sys)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    with pytest.raises(UserError, match="--entity: expected your name"):
        save()
