"""The committed results are what the committed code draws and judges from the committed tables."""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from normscape.report import claims_markdown, figures_in, readme_block

ROOT = Path(__file__).parents[1]
MANIFESTS = sorted(path for path in (ROOT / "results").glob("*/*.json") if path.parent.name in ("laptop", "paper"))


@pytest.fixture(scope="module")
def reproduce():
    spec = importlib.util.spec_from_file_location("reproduce_for_results", ROOT / "experiments" / "reproduce.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def close(a, b):
    """Whether two contents of JSON are equal, numbers to the digits that they are written with."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(close(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(close, a, b))
    return a == pytest.approx(b, rel=2e-6) if isinstance(a, float) else a == b


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_redrawn_from_its_table_a_figure_is_the_committed_one(reproduce, manifest, tmp_path, monkeypatch):
    """Bytes may differ between processors in the last bit of an exponential; pictures may not."""
    monkeypatch.setenv("NORMSCAPE_RUNS", str(tmp_path / "no runs"))
    shutil.copytree(manifest.parent, tmp_path / manifest.parent.name)
    before = json.loads(manifest.read_text())
    name, behind = str(before["figure"]), ["--paper"] * before["with_paper"]
    reproduce.main([name, "--scale", manifest.parent.name, "--from-results", "--results", str(tmp_path), *behind])
    drawn = tmp_path / manifest.parent.name / manifest.name
    committed, redrawn = (imread(path.with_suffix(".png")) for path in (manifest, drawn))
    assert committed.shape == redrawn.shape
    assert np.mean(np.abs(committed - redrawn) > 0.02) < 1e-3
    after = json.loads(drawn.read_text())
    assert close(before["claims"], after["claims"])
    assert before["manifest"] == after["manifest"]


def test_the_list_of_claims_is_made_from_the_manifests():
    assert (ROOT / "results" / "CLAIMS.md").read_text() == claims_markdown(ROOT / "results")


def _changed():
    """Whether somebody's own results stand where the committed ones were."""
    command = ["git", "status", "--porcelain", "--", "results"]
    return bool(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout)


@pytest.mark.skipif(_changed(), reason="results differ from the committed ones")
@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_results_come_from_committed_code(manifest):
    commits = [run["commit"] for run in json.loads(manifest.read_text())["manifest"]["runs"]]
    assert all(commit and len(commit) == 40 for commit in commits)  # "+changes" and None are longer and shorter


@pytest.mark.skipif(_changed(), reason="results differ from the committed ones")
def test_the_readme_shows_the_summary():
    block = readme_block(figures_in(ROOT / "results" / "laptop"))
    assert block in (ROOT / "README.md").read_text(), "bring it up to date: python scripts/update_readme.py"
