"""The public names: imported when they are asked for, the same for type checkers, and never hidden by a module."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import normscape

SOURCE = Path(normscape.__file__)
HEAVY = ("torch", "pandas", "matplotlib", "hydra", "wandb", "torchvision")


def fresh(code):
    """Run code in a process of its own and return what it prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize(
    "imports", ["import normscape", "import normscape.errors, normscape.storage.files, normscape.schema"]
)
def test_nothing_heavy_is_imported_before_it_is_used(imports):
    assert fresh(f"{imports}\nimport sys\nprint([name for name in {HEAVY} if name in sys.modules])") == "[]"


def test_each_name_is_there():
    for name in normscape.__all__:
        assert getattr(normscape, name).__name__ == name
    assert set(normscape.__all__) <= set(dir(normscape))
    assert fresh("import normscape\nprint(normscape.data.Dataset.__name__)") == "Dataset"
    with pytest.raises(AttributeError, match="module 'normscape' has no attribute 'nothing'"):
        normscape.nothing  # noqa: B018


def test_each_name_is_there_at_once_and_with_a_star():
    assert fresh(
        "import normscape\nprint('VGG' in dir(normscape), normscape.norms.BatchNorm is normscape.BatchNorm)"
    ) == ("True True")
    assert fresh("from normscape import *\nprint(VGG.__name__, observe.__name__)") == "VGG observe"


def test_type_checkers_are_told_the_same():
    told = {}
    for node in ast.walk(ast.parse(SOURCE.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("normscape."):
            told[node.module.removeprefix("normscape.")] = [alias.name for alias in node.names]
    assert told == normscape._HOMES
    assert sorted(name for names in told.values() for name in names) == sorted(normscape.__all__)


def test_no_module_has_the_name_of_something_public():
    modules = {path.stem for path in SOURCE.parent.iterdir()}
    assert not modules & set(normscape.__all__)
