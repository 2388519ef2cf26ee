"""Reproducing a figure: exactly its runs, what it leaves, and redrawing it from that alone."""

import errno
import json
import math
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from normscape import launch
from normscape.errors import UserError
from normscape.evidence.claims import Kind, judge
from normscape.evidence.curves import indexed
from normscape.evidence.figure import Family, Shown, figure_name
from normscape.evidence.interval import plain
from normscape.evidence.original import read_original
from normscape.evidence.results import configs_of, run_entries
from normscape.evidence.table import described, read_table, table_bytes
from normscape.storage import files
from normscape.storage.files import SEAL, read_json, write_json

PROJECT = Path(__file__).parents[1]
EXPERIMENTS = PROJECT / "experiments"
FAMILY = Family.of("santurkar2018", PROJECT)
FIGURE = FAMILY.figure("1")
DECLARED = list(FIGURE.runs)
FILES = ["fig01.csv", "fig01.json", "fig01.pdf", "fig01.png"]
RAISING_PROBE = """
from normscape.probes import Probe

class Raises(Probe):
    def measure(self, view):
        if view.learning_rate == 0.1:
            raise RuntimeError("no such\\nluck")
        return iter(())
"""
SMALL = ["model=mlp", f"model.hidden={[8] * 12}"]  # the figure asks for layer 11
QUICK = ["tracker=none", "device=cpu", "steps=8", *SMALL]


def results(root):
    return root / "results" / "santurkar2018" / "smoke"


def reproduce(root, *arguments, scale="smoke", figure="1"):
    """Call the script in this process, with results and runs below ``root``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXPERIMENTS)
        patch.setenv("NORMSCAPE_RUNS", str(root / "runs"))
        line = [figure, f"--scale={scale}", f"--results={root / 'results'}", *arguments]
        patch.setattr(sys, "argv", ["reproduce.py", *line])
        import reproduce as script

        script.main(line)


def refusal(root, *arguments, **options):
    with pytest.raises(UserError) as caught:
        reproduce(root, *arguments, **options)
    assert len(str(caught.value).splitlines()) == 1
    assert not root.exists()
    return str(caught.value)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Reproduce Figure 1 once, with two seeds; for reading only."""
    root = tmp_path_factory.mktemp("finished")
    reproduce(root, "--seeds=0,1", "--workers=1", *QUICK)
    return root


@pytest.fixture
def copy(finished, tmp_path):
    """Return a copy of it to work in."""
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def runs(root):
    return {(config["name"], config["seed"]): path.parent for path, config in read_all(root / "runs", "config.json")}


def read_all(folder, name):
    return [(path, json.loads(path.read_text())) for path in folder.glob(f"*/{name}")]


def content(root, names=FILES):
    return {name: (results(root) / name).read_bytes() for name in names}


def written(root):
    return {path: path.stat().st_mtime_ns for folder in runs(root).values() for path in folder.iterdir()}


def refuse(word):
    raise AssertionError(f"{word} is not JSON")


@pytest.fixture
def published(finished):
    text = (results(finished) / "fig01.json").read_text()
    return json.loads(text, parse_constant=refuse)


def test_trains_exactly_the_declared_runs(finished):
    assert set(runs(finished)) == {(run, seed) for run in DECLARED for seed in (0, 1)}
    assert len(list((finished / "runs").glob("*-s*"))) == 2 * len(DECLARED)
    assert all(summary["status"] == "finished" for _, summary in read_all(finished / "runs", "summary.json"))


def test_leaves_picture_table_and_manifest(finished):
    assert sorted(path.name for path in (results(finished)).iterdir()) == FILES
    found = content(finished)
    assert found["fig01.png"].startswith(b"\x89PNG")
    assert found["fig01.pdf"].startswith(b"%PDF")
    table = read_table(results(finished) / "fig01.csv")
    assert set(zip(table["run"], table["seed"], strict=True)) == set(runs(finished))
    assert set(table["quantity"]) == {
        "train_accuracy",
        "test_accuracy",
        "activation_change",
        "activation_change_lower",
        "activation_change_upper",
        "activation_distance",
        "activation_noise",
        "activation_quantile",
    }


def test_manifest_says_where_each_number_comes_from(finished, published):
    manifest = published["manifest"]
    assert (manifest["scale"], manifest["seeds"]) == ("smoke", [0, 1])
    assert manifest["tabulated_by"]["command"].startswith("reproduce.py 1 --scale=smoke")
    found = {(name, seed): run for name, seed, run in run_entries(manifest)}
    assert list(manifest["runs"]) == DECLARED
    assert len(found) == 2 * len(DECLARED)
    assert manifest["table"]["rows"] == len(read_table(results(finished) / "fig01.csv"))
    assert {key: run["directory"] for key, run in found.items()} == {
        key: path.name for key, path in runs(finished).items()
    }
    for (name, seed), run in found.items():
        assert f"{name}-s{seed}-" in run["directory"]
        assert re.fullmatch(r"[0-9a-f]{40}(\+changes)?", run["commit"] or "0" * 40)  # none outside git
        assert set(run["versions"]) >= {"python", "torch", "numpy"}
        assert set(run["hardware"]) >= {"processor", "cores", "device", "threads"}
        assert run["command"].startswith("reproduce.py 1")
        assert run["data"]["name"] == "synthetic"
        assert re.fullmatch(r"[0-9a-f]{32,64}", run["data"]["checksum"])
        assert (run["status"], run["step"]) == ("finished", 8)
    settings = manifest["runs"]["vgg_batch"]["config"]
    assert (settings["net"], settings["series"], settings["steps"], settings["optimizer"]["lr"]) == (
        "vgg",
        "batch",
        8,
        0.1,
    )
    assert {"name", "seed", "scale"}.isdisjoint(settings)


def test_claims_are_those_that_the_table_gives(finished, published):
    table = read_table(results(finished) / "fig01.csv")
    seeds, original = indexed(table), indexed(read_original(FAMILY.original, "fig01"))[0]
    assert list(published["claims"]) == [claim.name for claim in FIGURE.claims]
    assert len(FIGURE.claims) >= 8
    for claim in FIGURE.claims:
        found = published["claims"][claim.name]
        assert found == judge(claim, seeds, original, "smoke").to_json()
        exact = [claim.statistic.of(curves.about(claim.about)) for curves in seeds.values()]
        values = [plain(value) for value in exact]
        assert (found["values"], found["n"]) == (values, 2)
        assert (found["verdict"] == Kind.NOT_APPLICABLE) == bool(claim.scales)
        assert set(found["runs"]) <= set(DECLARED)
        if not any(isinstance(value, str) for value in values):
            assert found["value"] == plain(sum(exact) / 2)
            assert found["spread"] == {"low": min(values), "high": max(values), "coverage": 0.5}
    assert any(
        math.isfinite(found["value"]) for found in published["claims"].values() if not isinstance(found["value"], str)
    )


def test_again_trains_nothing_and_draws_the_same(copy, capsys):
    before, drawn = written(copy), content(copy, ["fig01.csv", "fig01.pdf", "fig01.png"])
    for file in (results(copy)).iterdir():
        file.unlink()
    reproduce(copy, "--seeds=0,1", *QUICK)
    assert "Runs: all 8 finished." in capsys.readouterr().out
    assert written(copy) == before
    assert content(copy, list(drawn)) == drawn


def test_only_what_is_missing_is_trained_and_workers_change_no_number(copy, capfd):
    before, drawn = written(copy), content(copy, ["fig01.csv", "fig01.pdf", "fig01.png"])
    gone = [runs(copy)[key] for key in (("vgg_batch", 0), ("vgg_standard_lr0.5", 1))]
    metrics = [(folder / "metrics.csv").read_bytes() for folder in gone]
    for folder in gone:
        shutil.rmtree(folder)
    reproduce(copy, "--seeds=0,1", "--workers=2", *QUICK)
    output, errors = capfd.readouterr()
    assert "Runs: 6 finished, 2 to train, 2 at a time: a few steps each, " in output
    assert "  vgg_batch, seed 0: 8 steps" in output
    assert errors.count(": finished after 8 steps in ") == 2
    assert [(folder / "metrics.csv").read_bytes() for folder in gone] == metrics
    after = written(copy)
    assert {path.parent for path in after if after[path] != before[path]} == set(gone)
    assert set(after) == set(before)
    assert content(copy, list(drawn)) == drawn


def test_redraws_from_results_alone(copy):
    drawn = content(copy)
    shutil.rmtree(copy / "runs")
    for name in ("fig01.png", "fig01.pdf"):
        (results(copy) / name).unlink()
    reproduce(copy, "--from-results")
    assert content(copy) == drawn
    assert not (copy / "runs").exists()


def test_the_paper_s_curves_change_the_picture_and_are_noted_and_nothing_else(copy):
    drawn = content(copy)
    reproduce(copy, "--from-results", "--paper")
    changed = {name for name, bytes_now in content(copy).items() if bytes_now != drawn[name]}
    assert changed == {"fig01.png", "fig01.pdf", "fig01.json"}
    before, after = json.loads(drawn["fig01.json"]), json.loads(content(copy)["fig01.json"])
    assert (before.pop("with_paper"), after.pop("with_paper")) == (False, True)
    assert before.pop(SEAL) != after.pop(SEAL)
    assert before == after


def test_bands_for_two_seeds_only(finished):
    table = read_table(results(finished) / "fig01.csv")
    for seeds, bands in (((0, 1), 4), ((0,), 0)):
        train, test, *others = FIGURE.module.draw(Shown(table[table["seed"].isin(seeds)])).axes
        ridges, movements = others[:4], others[4:]
        assert len(movements) == 2
        for axes in (train, test, *movements):  # of a movement, two networks with their noise floors
            assert (len(axes.collections), len(axes.lines)) == (bands, 4)
        assert all(axes.collections for axes in ridges)


def test_one_seed_is_the_default(copy, capsys):
    reproduce(copy, *QUICK)
    assert "Runs: all 4 finished." in capsys.readouterr().out
    claims = json.loads((results(copy) / "fig01.json").read_text())["claims"]
    assert {claim["n"] for claim in claims.values()} == {1}


def test_a_diverged_run_is_drawn_and_judged(tmp_path):
    reproduce(tmp_path, "--workers=1", *QUICK, "log_every=1", "optimizer.weight_decay=1e9")
    summaries = [summary["status"] for _, summary in read_all(tmp_path / "runs", "summary.json")]
    assert "diverged" in summaries
    text = (results(tmp_path) / "fig01.json").read_text()
    assert json.loads(text, parse_constant=refuse)["claims"]
    assert sorted(path.name for path in (results(tmp_path)).iterdir()) == FILES


def test_failing_runs_are_named_in_one_line_and_the_others_are_kept(tmp_path, monkeypatch):
    (tmp_path / "raising_probe.py").write_text(RAISING_PROBE)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError) as caught:
        reproduce(tmp_path, "--workers=1", *QUICK, "+probe.mine={_target_: raising_probe.Raises, every: 1}")
    (line,) = str(caught.value).splitlines()
    assert line.startswith(
        "2 of 4 runs failed; start again to continue. vgg_standard seed 0: RuntimeError: no such luck ("
    )
    assert "; vgg_batch seed 0: RuntimeError: no such luck (" in line
    assert {path.parent.name.split("-")[0] for path, _ in read_all(tmp_path / "runs", "summary.json")} == {
        "vgg_standard_lr0.5",
        "vgg_batch_lr0.5",
    }
    assert not any(results(tmp_path).iterdir())


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--seeds=0,x"], "--seeds 0,x: expected numbers separated by commas, e.g. 0,1,2"),
        (["--seeds="], "--seeds : expected numbers separated by commas"),
        (["--seeds=0,0"], "--seeds 0,0: expected each seed once"),
        (["--seeds=-1"], "--seeds -1: expected numbers separated by commas"),
        (["--seeds=3-1"], "--seeds 3-1: expected numbers"),
        (["--seeds=1_0"], "--seeds 1_0: expected numbers separated by commas"),
        (["--seeds=\u0663"], "--seeds \u0663: expected numbers separated by commas"),
        (["2"], "2: expected key=value; one figure at a time, or all"),
        (["tracker"], "tracker: expected key=value"),
        (["--dln-seeds=a"], "--dln-seeds a: expected numbers separated by commas"),
        (["--workers=-1"], "--workers -1: expected 1 or more"),
        (["optimizer.lrr=1"], "optimizer.lrr=1: there is no key 'lrr'; did you mean 'lr'?"),
        (["scale=paper"], "scale=paper: expected --scale"),
        (["seed=3"], "seed=3: expected --seeds"),
        (["run=vgg_l1"], "run=vgg_l1: expected no run"),
        (["norm=l1"], "norm=l1: expected no norm"),
        (["hydra/launcher=slurm"], "hydra/launcher=slurm: expected --launcher, e.g. --launcher slurm"),
        (["hydra.launcher.partition=gpu"], "hydra.launcher.partition=gpu: expected with --launcher ray or slurm"),
        (["hydra.launcher.runs_at_once=1"], "runs_at_once=1: expected with --launcher ray or slurm; here, --workers"),
        (["--from-results"], "fig01.json not found; reproduce the figure without it first"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_written(tmp_path, arguments, line):
    assert line in refusal(tmp_path / "new", *arguments)


@pytest.mark.parametrize(
    ("figure", "arguments", "line"),
    [
        (
            "1",
            ["optimizer.lr=0.2"],
            "with these settings vgg_standard and vgg_standard_lr0.5 are the same run",
        ),
        ("1", ["optimizer.lr=0.2"], "leave out the setting that both have now"),
        (
            "3",
            ["measure.ics_layers=[1]"],
            "claim shift_no_smaller_vgg_layer_5_lr_0.1: net=vgg, lr=0.1: no run",
        ),
        (
            "3",
            ["probe=[]"],
            "vgg_standard seed 0: has no ics_l2; probe and measure.ics_layers must",
        ),
        ("4", ["probe=[]"], "Figure 4: vgg_standard seed 0: has no loss_landscape; a probe must measure it"),
        ("4", ["~probe.landscape"], "Figure 4: vgg_standard seed 0: has no loss_landscape; a probe must measure it"),
        ("text", ["~probe.landscape_random"], "has no loss_landscape_random; a probe must measure it"),
        ("6", ["measure.activation_layers=[2]"], "vgg_standard seed 0: has no activations of layer 11"),
        ("8", ["measure.activation_layers=[2]"], "vgg_standard seed 0: has no activations of layer 9"),
        ("2", ["steps=1"], "claim noisy_less_stable_layer_2"),
        ("4", ["~optimizer.lr"], "optimizer.lr"),
        ("11", ["~optimizer.lr"], "optimizer.lr"),
        ("4", ["measure.lr_multiples=[1.0]"], "has one step size, which spans no range"),
        ("4", ["model=resnet18", "~optimizer.lr", "norm._target_=x"], "norm._target_=x: expected no norm"),
        ("4", ["model=resnet18", "~optimizer.lr"], "optimizer.lr"),
        ("11", ["schedule=cosine"], "schedule=cosine: expected no schedule"),
        ("text", ["scale.name=paper"], "scale.name=paper: expected --scale"),
        ("4", ["net=mlp"], "net=mlp: expected no net"),
        ("4", ["series=batch"], "series=batch: expected no series"),
    ],
)
def test_what_would_leave_a_panel_or_a_claim_without_rows_is_refused_first(tmp_path, figure, arguments, line):
    assert line in refusal(tmp_path / "new", "tracker=none", "device=cpu", *arguments, figure=figure)


def test_damaged_results_beside_it_are_refused_before_training_and_its_own_are_replaced(tmp_path):
    folder = tmp_path / "results" / "santurkar2018" / "laptop"
    folder.mkdir(parents=True)
    (folder / "fig02.json").write_text("{")
    arguments = ["data=synthetic", "log_every=1", "measure.every=1", "eval_every=4", *QUICK]
    with pytest.raises(UserError, match=r"fig02.json: cannot be read as JSON"):
        reproduce(tmp_path, *arguments, scale="laptop")
    assert not (tmp_path / "runs").exists()


def test_runs_that_all_diverge_at_once_are_drawn_and_judged(tmp_path):
    for figure in ("8", "text"):
        reproduce(tmp_path, "--workers=1", *QUICK, "optimizer.lr=1e30", "log_every=1", figure=figure)
        stem = "fig08" if figure == "8" else figure
        text = (results(tmp_path) / f"{stem}.json").read_text()
        assert json.loads(text, parse_constant=refuse)["claims"]


def test_a_figure_that_cannot_be_drawn_leaves_the_old_one_whole(copy, monkeypatch):
    before = content(copy)

    def fail(shown):
        raise RuntimeError("no ink")

    monkeypatch.setattr(FIGURE.module, "draw", fail)
    with pytest.raises(RuntimeError, match="no ink"):
        reproduce(copy, "--seeds=0", *QUICK)
    assert content(copy) == before


def test_a_table_that_is_gone_is_named_when_all_are_redrawn(copy):
    (results(copy) / "fig01.csv").unlink()
    with pytest.raises(UserError, match=r"fig01.csv not found"):
        reproduce(copy, "--from-results", figure="all")


def test_results_that_cannot_be_written_are_refused_first(tmp_path):
    (tmp_path / "results").write_text("a file")
    with pytest.raises(UserError, match=r"^--results: .* cannot be written to \(.*\); give another folder$"):
        reproduce(tmp_path, *QUICK)
    with pytest.raises(UserError, match=r"^--results: .* cannot be written to"):
        reproduce(tmp_path, *QUICK, "--dry-run")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_a_run_whose_batches_do_not_pass_is_named_before_others_are_trained(tmp_path, dry):
    with pytest.raises(UserError) as refused:
        reproduce(tmp_path, *QUICK, "steps=60", "batch_size=511", *dry)
    said = r"vgg_standard\S* seed 0: batch_size=511: 512 training samples leave a last batch of one, .*"
    assert re.fullmatch(said, str(refused.value))
    assert not list(tmp_path.glob("runs/*/config.json"))


def test_a_folder_of_settings_of_the_user_s_own_is_looked_in(tmp_path, capsys):
    own = tmp_path / "it's mine" / "optimizer" / "mine.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("_target_: torch.optim.SGD\n_partial_: true\nlr: 0.1\nmomentum: 0.5\n")
    folder = f"--config-dir={own.parents[1]}"
    reproduce(tmp_path, folder, "optimizer=mine", *QUICK, "--dry-run")
    assert "4 to train" in capsys.readouterr().out
    assert refusal(tmp_path / "none", folder, "optimizer=mien", *QUICK).endswith("did you mean 'mine'?")
    nowhere = refusal(tmp_path / "none", "--config-dir=nowhere", *QUICK)
    assert nowhere == "--config-dir nowhere: no such folder"


def test_a_figure_draws_and_judges_at_the_rates_of_its_runs(tmp_path):
    reproduce(tmp_path, *QUICK, "optimizer.lr=0.2", "log_every=1", "measure.every=1", figure="4")
    folder = results(tmp_path)
    assert set(read_table(folder / "fig04.csv")["lr"]) == {0.2}
    found = json.loads((folder / "fig04.json").read_text())
    assert len(found["claims"]) == 6
    for claim in found["claims"].values():  # 8 steps train to no accuracy, but all steps can be compared
        assert claim["value"] == "nan"
        assert any(math.isfinite(float(part["value"])) for part in claim["parts"])
    drawing = FAMILY.figure("4").module.draw(
        Shown(read_table(folder / "fig04.csv"), None, configs_of(found["manifest"]))
    )
    assert all(axes.collections or axes.lines for axes in drawing.axes)
    assert "s = 0.1 to 0.8 (0.5 to 4 lr)" in drawing.get_supxlabel()


def test_an_unknown_scale_is_one_line(tmp_path):
    for redraw in ([], ["--from-results"]):
        line = refusal(tmp_path / "new", *redraw, scale="smokee")
        assert "--scale smokee: no such scale; did you mean 'smoke'?" in line


def test_changed_settings_are_part_of_the_folder_and_of_the_list_of_claims(tmp_path):
    reproduce(
        tmp_path,
        "steps=4",
        "+optimizer.momentum=0.5",
        "tracker=none",
        "device=cpu",
        "data=synthetic",
        "log_every=1",
        "measure.every=1",
        "eval_every=4",
        *SMALL,
        scale="laptop",
    )
    family = tmp_path / "results" / "santurkar2018"
    (folder,) = (path for path in family.iterdir() if path.is_dir())
    assert folder.name.startswith("laptop,steps=4,optimizer.momentum=0.5,data=synthetic,")
    assert {path.name for path in folder.iterdir()} == set(FILES)
    assert f"## In short, at scale={folder.name}" in (family / "CLAIMS.md").read_text()


def test_says_when_results_of_more_seeds_are_replaced(copy, capsys):
    reproduce(copy, "--seeds=0", *QUICK)
    assert "Figure 1: replaces results that have seed 1 too; --add keeps them; git checkout " in capsys.readouterr().out
    reproduce(copy, "--seeds=0", *QUICK)
    assert "replaces" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["4", "04", "fig4", "fig04", "Fig4", "figure4"])
def test_a_figure_may_be_called_as_its_files_and_targets_are(name):
    assert figure_name(name) == "4"
    assert [figure_name(word) for word in ("text", "norms", "0", "fig")] == ["text", "norms", "0", "fig"]


def test_an_unknown_figure_is_one_line(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(EXPERIMENTS)
    import reproduce as script

    with pytest.raises(UserError, match=r"^figure 99: no such figure; expected one of 1, 2"):
        script.main(["99"])
    with pytest.raises(UserError, match=r"^expected a figure: its number, text or all"):
        script.main([])
    with pytest.raises(UserError, match=r"no figure to redraw; expected results, .* make reproduce-all SCALE=desk"):
        script.main(["all", "--from-results", "--scale", "desk", "--results", str(tmp_path)])
    with pytest.raises(UserError, match=r"^--family santurkar: there is no such family; did you mean"):
        script.main(["1", "--family", "santurkar"])


TOY_MODULE = """
\"\"\"One figure: does the loss fall?\"\"\"

from matplotlib.figure import Figure

from normscape.evidence.claims import Claim
from normscape.evidence.marks import Final
from normscape.evidence.statistics import Ratio
from normscape.evidence.table import gather

CLAIMS = [Claim("BatchNorm ends lower", Ratio(Final("train_loss"), "standard", "batch"), "ends_lower", above=1.0)]


def table(runs):
    return gather(run.rows("train_loss") for run in runs)


def draw(shown):
    figure = Figure()
    figure.add_subplot().plot(shown.rows["step"], shown.rows["value"])
    return figure
"""


def test_a_new_family_is_a_folder_a_config_folder_and_a_line_of_the_makefile(tmp_path):
    project = tmp_path / "project"
    for name in ("configs", "experiments", "src", "scripts", "Makefile", "pyproject.toml", "requirements.lock"):
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, project / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, project / name)
    (project / "experiments" / "toy").mkdir()
    (project / "experiments" / "toy" / "__init__.py").write_text('"""A toy: its figures and claims."""\n')
    (project / "experiments" / "toy" / "fig01_loss.py").write_text(TOY_MODULE)
    (project / "configs" / "figure" / "toy").mkdir()
    declared = "title: Falling losses\nruns: [dln_standard, dln_batch]\n"
    (project / "configs" / "figure" / "toy" / "fig01.yaml").write_text(declared)
    with (project / "Makefile").open("a") as makefile:
        makefile.write("\nreproduce-toy: $(READY) ## a toy\n\t@$(REPRODUCE) all --family toy $(OPTIONS)\n")
    (project / ".venv" / "bin").mkdir(parents=True)  # the environment is there
    python = project / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (project / ".venv" / ".ready").touch()
    command = ["make", "reproduce-toy", "SCALE=smoke", "SEEDS=0,1", "WORKERS=1", "ARGS=tracker=none device=cpu"]
    environment = {**os.environ, "PYTHONPATH": str(project / "src")}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    folder = project / "results" / "toy" / "smoke"
    assert {path.name for path in folder.iterdir()} == {"fig01.csv", "fig01.json", "fig01.png", "fig01.pdf"}
    found = json.loads((folder / "fig01.json").read_text())
    assert (found["claims"]["ends_lower"]["n"], found["manifest"]["seeds"]) == (2, [0, 1])
    assert "BatchNorm ends lower" in done.stdout


def added(root, *arguments):
    reproduce(root, "--workers=1", "--add", *arguments, *QUICK)
    return json.loads((results(root) / "fig01.json").read_text())["manifest"]


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """Reproduce Figure 1 with one seed alone, the higher one; for reading only."""
    root = tmp_path_factory.mktemp("first")
    reproduce(root, "--seeds=1", "--workers=1", *QUICK)
    return root


@pytest.fixture
def beside(first, finished, tmp_path):
    """Return a copy of it, with the runs of the other seed, so that adding that trains nothing."""
    root = Path(shutil.copytree(first, tmp_path / "copy"))
    shutil.copytree(finished / "runs", root / "runs", dirs_exist_ok=True)
    return root


def test_seeds_are_added_to_results_without_their_runs(first, tmp_path, finished):
    """The table is the one that training all of them at once gives, and the origin of each run is its own."""
    root = Path(shutil.copytree(first, tmp_path / "copy"))
    shutil.rmtree(root / "runs")
    manifest = added(root, "--seeds=0")
    assert set(runs(root)) == {(run, 0) for run in DECLARED}
    assert (results(root) / "fig01.csv").read_bytes() == (results(finished) / "fig01.csv").read_bytes()
    assert manifest["seeds"] == [0, 1]
    entries = {(name, seed): entry for name, seed, entry in run_entries(manifest)}
    before = json.loads((results(first) / "fig01.json").read_text())["manifest"]
    for name, seed, entry in run_entries(before):
        assert entries[name, seed] == {**entry, "tabulated_by": before["tabulated_by"]["commit"]}
        assert "tabulated_by" not in entries[name, 0]
    untouched = content(root, ["fig01.csv"]), written(root)
    assert added(root, "--seeds=1")["seeds"] == [0, 1]  # there already
    assert (content(root, ["fig01.csv"]), written(root)) == untouched


def test_what_was_kept_before_keeps_its_origin(first, beside):
    root = beside
    added(root, "--seeds=2")
    file = results(root) / "fig01.json"
    kept = read_json(file)
    kept["manifest"]["tabulated_by"]["commit"] = "later"
    write_json(file, kept)
    entries = {(name, seed): entry for name, seed, entry in run_entries(added(root, "--seeds=0"))}
    before = json.loads((results(first) / "fig01.json").read_text())["manifest"]["tabulated_by"]["commit"]
    assert [entries[DECLARED[0], seed].get("tabulated_by") for seed in (0, 1, 2)] == [None, before, "later"]


def test_added_to_nothing_is_made_anew(tmp_path):
    assert added(tmp_path, "--seeds=1")["seeds"] == [1]


def test_seeds_are_not_added_to_other_runs(first, tmp_path, monkeypatch):
    root = Path(shutil.copytree(first, tmp_path / "copy"))
    before, was = content(root), written(root)
    monkeypatch.setattr("normscape.identity.NUMERICS", 1000)
    with pytest.raises(
        UserError, match=rf"--add: .*fig01\.json: {DECLARED[0]} seed 1 is run .* --renew .* without --add"
    ):
        added(root, "--seeds=0")
    assert (content(root), written(root)) == (before, was)


def test_runs_that_would_be_others_today_are_renewed_and_only_they(beside, monkeypatch):
    root, was, there = beside, written(beside), {*(beside / "runs").glob("*-s*")}
    table = read_table(results(root) / "fig01.csv")
    monkeypatch.setattr("normscape.identity.NUMERICS_OF", {"BatchNorm": 9})
    manifest = added(root, "--renew", "--seeds=0")
    assert {path: path.stat().st_mtime_ns for path in was} == was
    new = {folder.name.rpartition("-")[0] for folder in {*(root / "runs").glob("*-s*")} - there}
    assert new == {f"{run}-s{seed}" for run in DECLARED if "batch" in run for seed in (0, 1)}
    assert manifest["seeds"] == [0, 1]
    kept = {(name, seed) for name, seed, entry in run_entries(manifest) if "tabulated_by" in entry}
    assert kept == {(run, 1) for run in DECLARED if "batch" not in run}
    again = read_table(results(root) / "fig01.csv")
    same = again[again["seed"] == 1].drop(columns="value").reset_index(drop=True)
    drawn = table["quantity"] == "activation_quantile"  # now of seed 0
    assert same.equals(table[~drawn].drop(columns="value").reset_index(drop=True))
    with pytest.raises(UserError, match="--renew: expected with --add"):
        reproduce(root, "--renew", *QUICK)


def test_seeds_are_not_added_to_a_table_that_lacks_what_is_measured_now(beside):
    root = beside
    table = read_table(results(root) / "fig01.csv")
    text = table_bytes(table[table["quantity"] != "test_accuracy"])
    (results(root) / "fig01.csv").write_bytes(text)
    kept = read_json(results(root) / "fig01.json")
    kept["manifest"]["table"] = described(text)
    write_json(results(root) / "fig01.json", kept)
    before = content(root)
    with pytest.raises(UserError, match=r"--add: the results have no test_accuracy of vgg_\w+; make them anew"):
        added(root, "--seeds=0")
    assert content(root) == before


def test_seeds_are_not_added_to_damaged_results(first, tmp_path):
    root = Path(shutil.copytree(first, tmp_path / "copy"))
    file = results(root) / "fig01.csv"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"fig01\.csv: not the table that its manifest describes"):
        added(root, "--seeds=0")


def kept_runs(root, *arguments):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(PROJECT / "scripts")
        patch.setenv("NORMSCAPE_RUNS", str(root / "runs"))
        import keep_runs as script

        script.main(["1", "--scale=smoke", f"--results={root / 'results'}", *arguments, *QUICK])


def test_the_runs_that_have_ended_are_kept_and_another_machine_trains_the_others(first, tmp_path, monkeypatch, capsys):
    """The table is that of the runs together; what is kept is not judged before."""
    here, there = tmp_path / "here", tmp_path / "there"
    shutil.copytree(first / "runs", here / "runs")
    with pytest.raises(UserError, match=r"^Figure 1: 4 of its 4 runs have ended; expected some, not all$"):
        kept_runs(here, "--seeds=1")
    all_of_them = runs(here)
    for keep in (DECLARED[3], DECLARED[0]):  # one after the other, in whatever order they end
        shutil.rmtree(here / "runs")
        shutil.copytree(first / "runs" / all_of_them[keep, 1].name, here / "runs" / all_of_them[keep, 1].name)
        kept_runs(here, "--seeds=1")
    said = capsys.readouterr().out
    assert f"Figure 1: kept 1 of its 4 runs; missing: {DECLARED[0]}" in said
    assert f"Figure 1: kept 2 of its 4 runs; missing: {DECLARED[1]}" in said
    with monkeypatch.context() as patch:  # a table that has grown large, and is small again
        patch.setattr("normscape.evidence.table.LARGE_BYTES", 0)
        kept_runs(here, "--seeds=1")
    assert {path.name for path in results(here).iterdir()} == {"fig01.csv.gz", "fig01.json"}
    kept_runs(here, "--seeds=1")
    assert {path.name for path in results(here).iterdir()} == {"fig01.csv", "fig01.json"}
    assert read_json(results(here) / "fig01.json")["claims"] == {}
    for option in (["--add"], ["--dry-run"], ["--paper"], ["--workers=2"], ["--launcher=slurm"], ["--renew"]):
        with pytest.raises(UserError, match=rf"^{option[0].partition('=')[0]}.*: expected none, keep_runs "):
            kept_runs(here, *option)
    shutil.copytree(here / "results", there / "results")
    added(there, "--seeds=1")
    assert {name for name, _ in runs(there)} == {*DECLARED[1:3]}
    assert (results(there) / "fig01.csv").read_bytes() == (results(first) / "fig01.csv").read_bytes()
    published, whole = (read_json(results(root) / "fig01.json") for root in (there, first))
    assert published["claims"] == whole["claims"]
    with pytest.raises(UserError, match=r"has results; give an empty folder$"):
        kept_runs(there, "--seeds=1")


def test_adding_trains_and_redrawing_does_not(tmp_path):
    seeds, engine = [["--seeds=0"], ["--dln-seeds", "3"]], [["--workers=2"], ["--launcher=ray"], ["--config-dir=here"]]
    for option in (["--add"], ["--dry-run"], *seeds, *engine):
        said = refusal(tmp_path / "none", "--from-results", *option)
        assert said.startswith(f"{option[0].split('=')[0]}: expected without --from-results, which trains nothing")


def full(path):
    """Return what makes writing one file fail as on a full disk."""
    write = files.replacing

    def refuse(content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    @contextmanager
    def replacing(target):
        with write(target) as file:
            yield SimpleNamespace(write=refuse) if target.name == path else file

    return replacing


@pytest.mark.parametrize("name", FILES)
def test_results_stay_whole_if_one_of_their_files_cannot_be_written(beside, monkeypatch, name):
    root = beside
    before = content(root)
    with monkeypatch.context() as patch:
        patch.setattr(files, "replacing", full(name))
        with pytest.raises(UserError, match=rf"{re.escape(name)}: cannot be written \(No space left on device\)"):
            added(root, "--seeds=0")
    assert content(root) == before
    assert {path.name for path in results(root).iterdir()} == {*FILES}
    assert added(root, "--seeds=0")["seeds"] == [0, 1]


def test_a_folder_in_the_place_of_a_picture_is_named_before_anything_is_replaced(beside):
    root = beside
    (results(root) / "fig01.pdf").unlink()
    (results(root) / "fig01.pdf").mkdir()
    kept = [name for name in FILES if name != "fig01.pdf"]
    before = content(root, kept)
    with pytest.raises(UserError, match=r"fig01\.pdf: a folder, expected a file"):
        added(root, "--seeds=0")
    assert content(root, kept) == before


def test_what_another_adds_meanwhile_is_kept(beside, monkeypatch):
    """Two shells add seeds to the same results; the one that ends last has those of both."""
    root = beside
    train, others = launch.train_missing, [2]

    def slow(*arguments, **options):
        failures = train(*arguments, **options)
        if others:
            added(root, f"--seeds={others.pop()}")
        return failures

    monkeypatch.setattr(launch, "train_missing", slow)
    assert added(root, "--seeds=0")["seeds"] == [0, 1, 2]
    assert set(read_table(results(root) / "fig01.csv")["seed"]) == {0, 1, 2}


def test_results_of_other_seeds_are_not_replaced_in_silence(beside, capsys):
    reproduce(beside, "--seeds=0", "--workers=1", *QUICK)
    assert "Figure 1: replaces results that have seed 1 too" in capsys.readouterr().out


def test_a_manifest_without_its_table_is_named(first, tmp_path):
    root = Path(shutil.copytree(first, tmp_path / "copy"))
    (results(root) / "fig01.csv").unlink()
    with pytest.raises(UserError, match=r"--add: .*fig01\.json has no table beside it"):
        added(root, "--seeds=0")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--seeds=0-99999999999", "--seeds 0-99999999999: expected at most 10000 seeds"),
        ("--seeds=9223372036854775808", "--seeds 9223372036854775808: expected seeds below 2^63"),
    ],
)
def test_seeds_that_no_table_can_hold_are_refused(tmp_path, line, said):
    assert said in refusal(tmp_path / "none", line, *QUICK)
