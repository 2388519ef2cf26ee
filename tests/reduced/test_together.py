"""Runs carried out as one: each has its own directory, checkpoint and ending."""

import json

import pytest
import torch

from normscape.config import compose_run
from normscape.engines.here import LocalEngine
from normscape.errors import Interrupted
from normscape.execute import execute, execute_together
from normscape.launch import train_missing
from normscape.runs import RunDirectory


class Told:
    """A reporter that keeps what it is told."""

    def __init__(self):
        self.said, self.shown = [], set()

    def update(self, name, step, steps, quiet=False):
        self.shown |= set() if quiet else {name}

    def message(self, text):
        self.said.append(text)


def configs(folder, count=3, *more, name="dln_batch"):
    settings = ["scale=smoke", "tracker=none", f"runs_dir={folder}", *more]
    return [compose_run([f"run={name}", f"seed={seed}", *settings]) for seed in range(count)]


def result(directory):
    arrays = {name: values.tolist() for name, values in directory.arrays().items()}
    return directory.table().to_csv(), arrays


def checkpoint(directory):
    return torch.load(directory.path / "checkpoint.pt", weights_only=True)


def test_each_has_the_directory_and_the_numbers_that_it_has_alone(tmp_path):
    reporter = Told()
    together = execute_together(configs(tmp_path / "together"), reporter)
    alone = [execute(config, Told()) for config in configs(tmp_path / "alone")]
    for each, single in zip(together, alone, strict=True):
        assert each.path.name == single.path.name
        assert {file.name for file in each.path.iterdir()} == {file.name for file in single.path.iterdir()}
        assert result(each) == result(single)
        for name, tensor in checkpoint(single)["model"].items():
            assert torch.equal(checkpoint(each)["model"][name], tensor)
    assert reporter.said[0] == "3 runs are trained as one: dln_batch (3 seeds)"
    assert sum(": finished after 20 steps" in line for line in reporter.said) == 3
    assert len(reporter.shown) == 1  # one stands for all


def test_a_checkpoint_holds_its_own_run_alone(tmp_path):
    one = execute_together(configs(tmp_path / "one", 1), Told())[0]
    many = execute_together(configs(tmp_path / "many", 8), Told())[0]
    sizes = [(each.path / "checkpoint.pt").stat().st_size for each in (one, many)]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.02)


def test_stopped_and_started_again_with_others_it_ends_with_the_same_bits(tmp_path):
    whole = [result(each) for each in execute_together(configs(tmp_path / "whole"), Told())]
    asked = iter(range(1000))
    with pytest.raises(Interrupted, match=r"seed 0: stopped at step \d+ of 20; start it again.*seed 1: stopped"):
        execute_together(configs(tmp_path / "broken", 2), Told(), stopped=lambda: next(asked) > 12)
    for directory in map(RunDirectory.of, configs(tmp_path / "broken", 2)):
        assert directory.status["status"] == "interrupted"
        assert 0 < directory.status["step"] < 20
    again = execute_together(configs(tmp_path / "broken", 3), Told())
    assert [result(each) for each in again] == whole


def test_what_has_ended_is_not_trained_again(tmp_path):
    first = execute(configs(tmp_path, 1)[0], Told())
    before = (first.path / "metrics.csv").stat().st_mtime_ns
    reporter = Told()
    execute_together(configs(tmp_path, 2), reporter)
    assert reporter.said[0].startswith("dln_batch seed 0: already finished; ")
    assert (first.path / "metrics.csv").stat().st_mtime_ns == before


@pytest.mark.parametrize("workers", [1, 2])
def test_one_that_fails_takes_none_with_it(tmp_path, workers, capsys):
    runs = [*configs(tmp_path, 3), *configs(tmp_path, 1, name="dln_l1")]
    broken = RunDirectory.of(runs[1])
    broken.path.mkdir(parents=True)
    (broken.path / "checkpoint.pt").write_bytes(b"no checkpoint")
    failures = train_missing(runs, LocalEngine(workers), print)
    assert list(failures) == [broken.identity]
    assert "dln_batch seed 1: " in failures[broken.identity]
    assert [RunDirectory.of(run).summary is not None for run in runs] == [True, False, True, True]
    assert "4 of 4 runs have ended, 1 failed" in capsys.readouterr().err


def test_the_settings_say_how_it_was_computed(tmp_path):
    directory = execute(configs(tmp_path, 1)[0], Told())
    assert json.loads((directory.path / "config.json").read_text())["arithmetic"] == "reduced"
