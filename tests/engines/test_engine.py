"""What is refused at once: an engine that is not installed, a setting that it has not, a GPU that is not there."""

import sys

import pytest

from normscape.config import compose_hydra, compose_run
from normscape.engines.engine import engine_of
from normscape.engines.here import Joblib, LocalEngine
from normscape.engines.on_slurm import SlurmEngine
from normscape.engines.requirements import gpus_of, require_package
from normscape.errors import UserError


def run(device):
    return compose_run(["run=mlp_batch", "scale=smoke", f"device={device}"])


@pytest.mark.parametrize(
    ("device", "asked", "there", "given"),
    [
        ("auto", None, 0, 0),
        ("auto", None, 2, 1),
        ("auto", 0.5, 2, 0.5),
        ("auto", 0, 2, 0),
        ("cuda", None, 2, 1),
        ("cuda", 2, 2, 2),
        ("cpu", None, 2, 0),
        ("cpu", 1, 0, 0),
    ],
)
def test_a_run_gets_the_gpus_that_it_asks_for_and_those_for_the_cpu_none(device, asked, there, given):
    assert gpus_of(run(device), asked, there, "this Ray") == given


@pytest.mark.parametrize(
    ("device", "asked", "there", "line"),
    [
        ("cuda", None, 0, "device=cuda: this Ray has no GPU; expected"),
        ("auto", 1, 0, "hydra.launcher.gpus_per_run=1: this Ray has no GPU; expected"),
        ("auto", 0.5, 0, "hydra.launcher.gpus_per_run=0.5: this Ray has no GPU; expected"),
        ("cuda", 4, 2, "hydra.launcher.gpus_per_run=4: this Ray has 2 GPUs; expected"),
        ("cuda", 0, 2, "device=cuda: expected hydra.launcher.gpus_per_run above 0"),
    ],
)
def test_a_gpu_that_is_not_there_is_refused_at_once(device, asked, there, line):
    with pytest.raises(UserError) as caught:
        gpus_of(run(device), asked, there, "this Ray")
    assert str(caught.value).startswith(line)


def test_an_engine_is_what_the_config_file_names():
    found = {name: engine_of(compose_hydra([f"hydra/launcher={name}"]).launcher) for name in ("basic", "local")}
    assert all(type(engine) is LocalEngine for engine in found.values())
    configs = [run("cpu")] * 3
    assert found["basic"].described(configs) == "1 at a time"
    three = engine_of(compose_hydra(["hydra/launcher=joblib", "hydra.launcher.n_jobs=3"]).launcher)
    assert (type(three), three.described(configs)) == (Joblib, "3 at a time")
    assert engine_of({"_target_": "hydra_plugins.another.Launcher"}) is None


@pytest.mark.parametrize(
    "setting", ["ray hydra.launcher.init={num_cpus:2}", "slurm hydra.launcher.options={account:a}"]
)
def test_further_arguments_are_given_as_they_are_documented(setting):
    name, given = setting.split()
    launcher = compose_hydra([f"hydra/launcher={name}", given]).launcher
    assert dict(launcher.init if name == "ray" else launcher.options) in ({"num_cpus": 2}, {"account": "a"})


@pytest.mark.parametrize(
    "overrides",
    [
        ["hydra/launcher=local", "hydra.launcher.runs_at_once=-1"],
        ["hydra/launcher=local", "hydra.launcher.runs_at_once=1.5"],
        ["hydra/launcher=local", "+hydra.launcher.workers=2"],
        ["hydra/launcher=joblib", "hydra.launcher.n_jobs=0"],
        ["hydra/launcher=slurm", "hydra.launcher.minutes=0"],
        ["hydra/launcher=slurm", "hydra.launcher.gpus_per_run=0.5"],
    ],
    ids=" ".join,
)
def test_a_setting_that_makes_no_sense_is_named(overrides, monkeypatch):
    monkeypatch.setattr("normscape.engines.on_slurm.require_package", lambda *arguments: None)
    with pytest.raises(UserError, match=r"^hydra\.launcher\."):
        engine_of(compose_hydra(overrides).launcher)


@pytest.mark.parametrize("value", ["0", "-2", "1.5", "abc", "True"])
def test_joblib_s_number_of_jobs_is_said_with_its_default(value):
    with pytest.raises(UserError, match=rf"^hydra\.launcher\.n_jobs={value}: .* 1 or more, or -1 for"):
        engine_of(compose_hydra(["hydra/launcher=joblib", f"hydra.launcher.n_jobs={value}"]).launcher)
    assert engine_of(compose_hydra(["hydra/launcher=joblib", "hydra.launcher.n_jobs=-1"]).launcher) is not None


def test_a_misspelt_setting_is_named_with_what_was_meant():
    with pytest.raises(UserError) as caught:
        compose_hydra(["hydra/launcher=local", "hydra.launcher.runs=2"])
    assert str(caught.value).startswith("hydra.launcher.runs=2: there is no key 'runs'; known here: ")
    assert "runs_at_once" in str(caught.value)


def test_a_missing_package_says_what_installs_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda package: None)
    with pytest.raises(UserError) as caught:
        require_package("ray", "hydra/launcher=ray", "ray")
    assert str(caught.value) == "hydra/launcher=ray: expected the package ray; install it with: make env EXTRAS=ray"


def test_slurm_is_asked_for_where_there_is_none(monkeypatch):
    monkeypatch.setattr("normscape.engines.on_slurm.require_package", lambda *arguments: None)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match=r"^hydra/launcher=slurm: there is no sbatch here"):
        SlurmEngine().require([run("cpu")])


@pytest.mark.parametrize(
    ("told", "gpus"), [("(null)", 0), ("gpu:2", 2), ("gpu:a100:8(S:0-1)\n(null)", 8), ("shard:4,gpu:1", 1), ("", 0)]
)
def test_slurm_s_gpus_are_read_from_what_sinfo_says(monkeypatch, tmp_path, told, gpus):
    monkeypatch.setattr("normscape.engines.on_slurm.require_package", lambda *arguments: None)
    (tmp_path / "sinfo").write_text(f"#!/bin/sh\ncat <<'END'\n{told}\nEND\n")
    (tmp_path / "sinfo").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert SlurmEngine()._gpus_there() == gpus


def test_engines_are_loaded_when_they_are_used_alone():
    assert not {"ray", "submitit"} & {*sys.modules}
