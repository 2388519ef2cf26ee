"""The committed results are what the committed code draws and judges from the committed tables."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from normscape.evidence.added import Kept
from normscape.evidence.asked import Asked
from normscape.evidence.figure import Family
from normscape.evidence.results import Results, judged_figures, run_entries, scales_in
from normscape.reports.verdicts import claims_markdown

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"
FAMILIES = sorted(path.name for path in (ROOT / "configs" / "figure").iterdir())
MANIFESTS = sorted(path for path in RESULTS.glob("*/*/*.json") if path.parent.name.split(",")[0] != "smoke")
UNFINISHED = sorted(RESULTS.glob("unfinished/*/*/*/*.json"))
sys.path.append(str(ROOT / "scripts"))


def named(path):
    return "-".join(path.relative_to(RESULTS).with_suffix("").parts)


def close(a, b):
    """Whether two contents of JSON are equal, numbers to the digits that they are written with."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(close(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(close, a, b))
    return a == pytest.approx(b, rel=2e-6) if isinstance(a, float) else a == b


@pytest.mark.parametrize("manifest", UNFINISHED, ids=named)
def test_what_is_unfinished_can_be_completed_by_the_code_of_today(manifest):
    """By ``--add``, which refuses tables that are damaged, or of runs that would be others now."""
    family, scale = manifest.parts[-3:-1]
    results = Results(manifest.parent, Family.of(family, ROOT).figure(str(json.loads(manifest.read_text())["figure"])))
    kept = Kept.of(results)
    _, missing = Asked(scale, [0], [0], ["device=cpu"], here=True).planned([results], [kept])
    assert {name for name, _ in kept.entries} == {*kept.rows["run"]}
    assert missing, "it is complete: reproduce.py --add draws and judges it, and its place is among the others"


@pytest.mark.parametrize("manifest", MANIFESTS, ids=named)
def test_redrawn_from_its_table_a_figure_is_the_committed_one(manifest, tmp_path, monkeypatch):
    """Bytes may differ between processors in the last bit of an exponential; pictures may not."""
    import reproduce

    monkeypatch.setenv("NORMSCAPE_RUNS", str(tmp_path / "no runs"))
    family, scale = manifest.parts[-3:-1]
    folder = tmp_path / family / scale
    shutil.copytree(manifest.parent, folder)
    before = json.loads(manifest.read_text())
    name, behind = str(before["figure"]), ["--paper"] * before["with_paper"]
    where = ["--family", family, "--scale", scale, "--results", str(tmp_path)]
    monkeypatch.setattr("normscape.reports.verdicts.write_claims", lambda *_: None)
    monkeypatch.setattr(reproduce, "write_claims", lambda *_: None)
    reproduce.main([name, *where, "--from-results", *behind])
    drawn = folder / manifest.name
    committed, redrawn = (imread(path.with_suffix(".png")) for path in (manifest, drawn))
    assert committed.shape == redrawn.shape
    assert np.mean(np.abs(committed - redrawn) > 0.02) < 1e-3
    after = json.loads(drawn.read_text())
    assert close(before["claims"], after["claims"])
    assert before["manifest"] == after["manifest"]


@pytest.mark.parametrize("name", FAMILIES)
def test_the_list_of_claims_is_made_from_the_manifests(name):
    folder = RESULTS / name
    if folder.is_dir():
        assert (folder / "CLAIMS.md").read_text() == claims_markdown(Family.of(name, ROOT), folder)


@pytest.mark.parametrize("manifest", MANIFESTS, ids=named)
def test_the_verdicts_of_the_manifest_are_those_that_reports_show(manifest):
    family, kept = Family.of(manifest.parts[-3], ROOT), json.loads(manifest.read_text())["claims"]
    (judged,) = (each for each in judged_figures(family, manifest.parent) if each.figure.stem == manifest.stem)
    assert {verdict.claim.name: str(verdict.kind) for verdict in judged.verdicts} == {
        name: numbers["verdict"] for name, numbers in kept.items()
    }


def _changed():
    """Whether somebody's own results stand where the committed ones were."""
    command = ["git", "status", "--porcelain", "--", "results"]
    return bool(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout)


@pytest.mark.skipif(_changed(), reason="results differ from the committed ones")
@pytest.mark.parametrize("manifest", MANIFESTS, ids=named)
def test_results_come_from_committed_code(manifest):
    commits = [run["commit"] for _, _, run in run_entries(json.loads(manifest.read_text())["manifest"])]
    assert all(commit and len(commit) == 40 for commit in commits)  # "+changes" and None are longer and shorter


@pytest.mark.skipif(_changed(), reason="results differ from the committed ones")
def test_the_readme_shows_what_was_found():
    import update_readme

    readme = (ROOT / "README.md").read_text()
    for block in update_readme.blocks().values():
        assert block in readme, "bring it up to date: python scripts/update_readme.py"


@pytest.mark.skipif(_changed(), reason="results differ from the committed ones")
def test_the_page_of_fidelity_is_made_from_the_tables(tmp_path):
    import fidelity

    folder = RESULTS / "santurkar2018"
    for scale in scales_in(folder):
        shutil.copytree(scale, tmp_path / scale.name)
    fidelity.write(tmp_path)
    assert (tmp_path / "FIDELITY.md").read_text() == (folder / "FIDELITY.md").read_text()


def test_the_readme_has_few_rows_of_claims():
    import update_readme

    from normscape.reports.answers import CLAIM_MARKS, MOST_ROWS

    rows = [line for line in update_readme.blocks()[CLAIM_MARKS].splitlines() if line.startswith("| ")][2:]
    assert 0 < len(rows) <= MOST_ROWS


def test_no_file_names_a_home_folder():
    """Commands are kept as they were typed; whose machine it was is nobody's business."""
    files = [path for ending in ("json", "md") for path in RESULTS.rglob(f"*.{ending}")]
    assert files
    named = [str(path) for path in files if any(f"{home}/" in path.read_text() for home in ("/root", "/home", "/work"))]
    assert named == []
