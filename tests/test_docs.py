"""The documentation holds: its Python runs, its commands work, its links lead somewhere, its lists are complete."""

import re

import pytest
import torch

import documented
import normscape
from documented import PAGES, PROJECT, SHELL, blocks, broken_links, check_command, commands
from normscape.config import CONFIGS, RunConfig, compose_run
from normscape.execute import execute
from normscape.overview.progress import ProgressDisplay

OWN_PACKAGE = """
import torch
from torch import nn
from normscape import Probe, Standard
from normscape.data import Dataset, Split

class MyNorm(Standard):
    def __init__(self, num_features, strength=1):
        super().__init__(num_features)

class MyNet(nn.Sequential):
    def __init__(self, norm, hidden):
        super().__init__(nn.Flatten(), nn.Linear(3072, hidden), norm(hidden), nn.ReLU(), nn.Linear(hidden, 10))

class MyLoss(nn.CrossEntropyLoss):
    pass

class MyProbe(Probe):
    def measure(self, view):
        return iter(())

def my_data(samples=64):
    split = Split(torch.randn(samples, 3, 32, 32), torch.arange(samples) % 10)
    return Dataset("mine", "0", split, split)
"""


@pytest.fixture
def in_a_user_s_folder(tmp_path, monkeypatch):
    """Work where a user's ``mypackage`` and ``my_configs`` are, which the documentation's commands name."""
    (tmp_path / "mypackage.py").write_text(OWN_PACKAGE)
    for group, name in (("norm", "my_norm"), ("run", "my_run")):
        (tmp_path / "my_configs" / group).mkdir(parents=True)
        like = {"norm": "norm/l1", "run": "run/vgg_l1"}[group]
        (tmp_path / "my_configs" / group / f"{name}.yaml").write_text((CONFIGS / f"{like}.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Train the run that the documentation reads back."""
    folder = tmp_path_factory.mktemp("finished") / "runs"
    config = compose_run(["run=vgg_batch", "scale=smoke", "tracker=none", "device=cpu", f"runs_dir={folder}"])
    with ProgressDisplay() as display:
        return execute(config, display)


@pytest.fixture
def names():
    """Return what a reader's own code would have defined before a block."""
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(144, 10))
    return {
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
        "loss_fn": torch.nn.CrossEntropyLoss(),
        "loader": [(torch.randn(4, 3, 8, 8), torch.arange(4))],
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_is_of_a_kind_that_is_checked(page):
    assert {kind for kind, _ in blocks(page)} <= {"python", "text", *SHELL}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_runs_as_it_is_printed(page, names, finished, monkeypatch):
    monkeypatch.chdir(finished.path.parents[1])
    monkeypatch.setenv("MPLBACKEND", "agg")
    for kind, code in blocks(page):
        if kind == "python":
            exec(code, names)
            if "observe" in code:
                assert {"ics_l2", "effective_beta", "loss_landscape"} <= set(names["table"].quantity)
                assert len(code.splitlines()) <= 21


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_works(page, in_a_user_s_folder):
    for line in commands(page):
        check_command(line)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    assert broken_links(page) == []


@pytest.mark.parametrize(
    "line",
    [
        "make reproduce-figs",
        "make reproduce-fig1 SEED=3",
        "make reproduce-fig1 SCALE=lapptop",
        "make reproduce-fig1 ARGS=--papers",
        "make reproduce-fig1 ARGS=stepps=3",
        "python experiments/train.py run=vgg_btach",
        "python experiments/train.py -m run=vgg_batch,vgg_bach seed=0",
        "python experiments/reproduce.py 14",
        "python scripts/compare_run.py a b",
        "python scripts/fetch_data.py --folder x",
        "python -m pip install --no-such-option .",
        "wandb synch runs/wandb",
        "git checkout result",
        "rm -rf runs",
    ],
)
def test_a_command_that_does_not_work_is_found(line, in_a_user_s_folder):
    with pytest.raises((AssertionError, normscape.UserError, pytest.fail.Exception)):
        check_command(line)


def test_what_is_wrong_on_a_page_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# A page\n\n[this](page.md#a-page), [gone](gone.md), [no such heading](#another-page)\n\n"
        "Call `make\nnothing` or:\n\n```bash\n# not a command\nmake help \\\n  SCALE=smoke # but this\n```\n\n"
        "```yaml\na: 1\n```\n"
    )
    assert broken_links(page) == ["gone.md", "#another-page"]
    assert commands(page) == ["make help    SCALE=smoke # but this", "make nothing"]
    assert [kind for kind, _ in blocks(page)] == ["bash", "yaml"]


def listed(name):
    """Return the code spans of a page."""
    return set(documented.SPAN.findall((PROJECT / "docs" / name).read_text()))


def test_the_reference_lists_every_target_and_variable_of_the_makefile():
    makefile = (PROJECT / "Makefile").read_text()
    targets = re.findall(r"^([a-z%-]+):.*## ", makefile, re.MULTILINE)
    assert {f"make {target.replace('%', 'N')}" for target in targets} <= listed("reference.md")
    (variables,) = re.findall(r"^VARIABLES := (.*)$", makefile, re.MULTILINE)
    assert set(variables.split()) <= listed("reference.md")


def test_the_reference_lists_every_setting_and_choice():
    spans = listed("reference.md")
    assert {key for key in RunConfig.__dataclass_fields__ if not any(s.split(".")[0] == key for s in spans)} == set()
    for folder in CONFIGS.iterdir():
        if folder.is_dir() and folder.name not in ("run", "figure"):
            assert {path.stem for path in folder.glob("*.yaml")} <= spans, folder.name


def test_the_reference_lists_every_quantity_and_file_of_a_run(finished):
    spans = listed("reference.md")
    assert {name.removesuffix("_random") for name in finished.table().quantity} <= spans
    assert {re.sub(r"layer\d+", "layer03", path.name) for path in finished.path.iterdir()} <= spans


def test_the_reference_lists_every_script_and_the_api_every_name():
    assert {f"scripts/{path.name}" for path in PROJECT.glob("scripts/*.py")} <= listed("reference.md")
    assert set(normscape.__all__) == {name for name in listed("api.md") if name.isidentifier()}
