"""A folder of YAMLs of one's own: all that is in it can be chosen, and a mistake is the same one line as elsewhere."""

import subprocess
import sys
from pathlib import Path

import pytest

from normscape.build import dry_build
from normscape.config import compose_run
from normscape.errors import UserError
from refusing import refusal

TRAIN = Path(__file__).parents[1] / "experiments" / "train.py"
FILES = {
    "norm/mine.yaml": "_target_: normscape.norms.LpNorm\n_partial_: true\np: 3\n",
    "model/mine.yaml": "_target_: normscape.models.MLP\nin_features: 3072\nhidden: [5, 4]\nout_features: 10\n",
    "probe/mine.yaml": "# @package probe.mine\n_target_: normscape.probes.Activations\nlayers: [1]\nevery: 1\n",
    "run/mine.yaml": """\
# @package _global_
defaults:
  - override /norm: mine
  - override /model: mine
  - override /probe: [mine]
name: mine
net: mine
series: l3
""",
}
NAMED = "# @package _global_\nname: bad\nnet: vgg\nseries: bad\n"


@pytest.fixture
def own(tmp_path):
    folder = tmp_path / "it's mine"
    for name, content in FILES.items():
        add(folder, name, content)
    return folder


def add(folder, name, content):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content)


def train(*arguments, cwd):
    command = [sys.executable, str(TRAIN), *arguments, "scale=smoke", "tracker=none", "device=cpu", "steps=1"]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)
    assert "Traceback" not in done.stdout + done.stderr
    if done.returncode or "-m" not in arguments:
        assert done.stdout == ""  # where a sweep says its plan and what came of it
    return done.returncode, done.stderr.splitlines()


def test_what_is_in_the_folder_can_be_chosen(own):
    config = compose_run(["scale=smoke", "run=mine"], own=own)
    assert (config.name, config.norm["p"], config.model["hidden"], list(config.probe)) == ("mine", 3, [5, 4], ["mine"])
    dry_build(config)
    assert compose_run(["scale=smoke", "norm=mine"], own=own).norm == config.norm
    assert compose_run(["scale=smoke", "probe=[ics,mine]"], own=own).probe["mine"] == config.probe["mine"]
    assert compose_run(["scale=smoke", "run=vgg_l1"], own=own) == compose_run(["scale=smoke", "run=vgg_l1"])


def test_hydra_s_search_path_is_looked_at_too(own, tmp_path):
    plain = tmp_path / "plain"
    own.rename(plain)
    for place in (plain, f"file://{plain}"):
        assert compose_run(["scale=smoke", "run=mine", f"hydra.searchpath=[{place}]"]).name == "mine"
    assert refusal("run=mien", f"hydra.searchpath=[{plain}]") == "run=mien: no such run; did you mean 'mine'?"
    assert refusal("hydra.searchpath=/nowhere").startswith("hydra.searchpath=/nowhere: expected a list of folders")
    assert refusal("hydra.searchpath=[/nowhere]") == "/nowhere: no such folder of configs"


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("norm=mien", "norm=mien: no such norm; did you mean 'mine'?"),
        ("run=mien", "run=mien: no such run; did you mean 'mine'?"),
        ("probe=[mien]", "probe=[mien]: no such probe; did you mean 'mine'?"),
        ("norm=btach", "norm=btach: no such norm; did you mean 'batch'?"),
        ("model.hiden=[5]", "model.hiden=[5]: there is no key 'hiden'; did you mean 'hidden'?"),
        ("probe.mine.evry=2", "probe.mine.evry=2: there is no key 'evry'; did you mean 'every'?"),
        ("norm.p=nan", "norm.p=nan: expected a finite number, or inf"),
    ],
)
def test_a_mistake_beside_the_folder(own, override, line):
    run = [] if override.startswith("run=") else ["run=mine"]
    assert refusal(*run, override, own=own) == line


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("norm/bad.yaml", "a: [\n", "{file}"),
        ("norm/bad.yaml", "a: 1\n\tb: 2\n", "{file}"),
        ("norm/bad.yaml", "a: 1\na: 2\n", "found duplicate key a in"),
        ("norm/bad.yaml", "- 1\n", "norm=[1]: expected keys and values, in its YAML too"),
        ("norm/bad.yaml", "", "norm: expected a _target_"),
        (
            "norm/bad.yaml",
            "_target_: normscape.norms.BatchNorm\n",
            "called with a number of features: is _partial_: true",
        ),
        ("norm/bad.yaml", "_target_: normscape.norms.LpNorm\nq: 1\n", "norm.q=1: normscape.norms.LpNorm takes no 'q'"),
        ("run/bad.yaml", "# @package _global_\nname: bad\nstepps: 3\n", "stepps=3: there is no such key; did you mean"),
        ("run/bad.yaml", "name: bad\n", "expected '# @package _global_' as the first line of that run's YAML file"),
        ("run/bad.yaml", "", "expected '# @package _global_' as the first line of that run's YAML file"),
        ("run/bad.yaml", "\ufeff# @package _global_\nname: bad\n", "YAML file, with no byte-order mark before it"),
        ("run/bad.yaml", f"{NAMED}steps: true\n", "steps=true: expected a whole number"),
        ("run/bad.yaml", "# @package _global_\nname: bad\nnet: mlp\n", "series is not set: give it as series=..."),
        (
            "run/bad.yaml",
            "# @package _global_\ndefaults:\n  - override /norm: mien\nname: bad\n",
            "{file}: there is no norm/mien; did you mean 'mine'?",
        ),
        (
            "probe/bad.yaml",
            "_target_: normscape.probes.Activations\nlayers: [1]\n",
            "begin with # @package probe.NAME?",
        ),
    ],
)
def test_a_mistake_in_the_folder(own, name, content, line):
    add(own, name, content)
    group = name.split("/")[0]
    line = line.format(file=own / name)
    assert line in refusal(f"{group}=bad", own=own)


@pytest.mark.parametrize("group", ["data", "model"])
def test_a_mistake_beside_a_component_without_a_class_is_the_one_that_is_named(group):
    given = [f"{group}=own", f"{group}._target_=mypackage.mine"]
    assert refusal("run=mlp_batch", *given, "optimizer.lrr=0.1") == (
        "optimizer.lrr=0.1: there is no key 'lrr'; did you mean 'lr'?"
    )


def test_text_in_another_encoding_is_named(own):
    (own / "norm" / "latin.yaml").write_bytes(b"a: \xff\n")
    assert refusal("norm=latin", own=own).startswith(f"{own / 'norm' / 'latin.yaml'}: expected text in UTF-8")


def test_a_file_that_would_be_passed_over_is_refused(own):
    add(own, "norm/batch.yaml", "_target_: mypackage.Mine\n")
    line = refusal("norm=batch", own=own)
    assert line.startswith(f"{own / 'norm' / 'batch.yaml'}: the suite's own file of that name would be used instead")


def test_the_command_line_takes_the_folder(own, tmp_path):
    runs = tmp_path / "runs"
    code, lines = train("--config-dir", own.name, "run=mine", cwd=tmp_path)
    assert code == 0
    assert lines[0].startswith("mine,steps=1 seed 0: finished after 1 steps")
    code, lines = train("--config-dir", own.name, "-m", "run=mine", "norm=mine,l1", cwd=tmp_path)
    assert code == 0
    assert any(line.startswith("mine,norm=l1,steps=1 seed 0: finished after 1 steps") for line in lines)
    assert len(list(runs.glob("*-s0-*"))) == 2


@pytest.mark.parametrize("sweep", [[], ["-m"]])
@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("norm=mien", "normscape: norm=mien: no such norm; did you mean 'mine'?"),
        ("run=bad", "normscape: stepps=3: there is no such key; did you mean 'steps'?"),
        ("optimizer.lr=nan", "normscape: optimizer.lr=nan: expected a finite number, above 0"),
    ],
)
def test_the_command_line_refuses_before_anything_is_written(own, tmp_path, sweep, override, line):
    add(own, "run/bad.yaml", "# @package _global_\nname: bad\nstepps: 3\n")
    swept = override.replace("=", "=mine,") if sweep and override.startswith("norm") else override
    assert train("--config-dir", own.name, *sweep, "run=mine", swept, cwd=tmp_path) == (2, [line])
    assert [path.name for path in tmp_path.iterdir()] == [own.name]


def test_a_name_to_begin_with(own):
    add(own, "other.yaml", "defaults: [train, _self_]\nsteps: 3\n")
    assert compose_run(["scale=smoke"], own=own, name="other").steps == 3
    with pytest.raises(UserError, match="Cannot find primary config 'nothing'"):
        compose_run(["scale=smoke"], own=own, name="nothing")
