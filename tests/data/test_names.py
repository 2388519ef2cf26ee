"""What configs call a data set is its function, whatever was imported before: identities and runs go by that path."""

import subprocess
import sys

import pytest

IMPORTS = [
    "",
    "import normscape.data.cifar.archive",
    "from normscape.data.download import data_root",
    "from normscape.data import cifar10; import normscape.data.cifar.load, normscape.data.cifar.archive",
]


@pytest.mark.parametrize("imports", IMPORTS)
def test_cifar10_is_a_function_after_any_import(imports):
    check = f"{imports}\nfrom hydra.utils import get_object\nfound = get_object('normscape.data.cifar10')\n"
    check += "print(type(found).__name__, found.__name__, found.__module__)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout == "function cifar10 normscape.data.cifar.load\n"
