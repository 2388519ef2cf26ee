"""Python blocks of README and docs run as they stand."""

import re
from pathlib import Path

import pytest
import torch

PROJECT = Path(__file__).parents[1]
LOOPS = [PROJECT / "README.md", PROJECT / "docs" / "bring-your-own.md"]


@pytest.mark.parametrize("page", LOOPS, ids=lambda page: page.name)
def test_the_loop_of_one_s_own_runs_as_it_is_printed(page):
    (block,) = [code for code in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL) if "observe" in code]
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(144, 10))
    names = {
        "torch": torch,
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
        "loss_fn": torch.nn.CrossEntropyLoss(),
        "loader": [(torch.randn(4, 3, 8, 8), torch.arange(4))],
    }
    exec(block, names)
    assert {"ics_l2", "effective_beta", "loss_landscape"} <= set(names["table"].quantity)
    assert len(block.splitlines()) <= 21


@pytest.mark.parametrize("page", sorted(PROJECT.glob("docs/*.md")), ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target
