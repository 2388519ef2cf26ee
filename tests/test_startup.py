"""Commands that train nothing start without what takes seconds to import: seen in the modules, not on a clock."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
SLOW = ("torch", "scipy", "torchvision", "wandb")

RUN = """
import json, runpy, sys
sys.path.insert(0, {folder!r})
sys.argv = {arguments!r}
try:
    runpy.run_path({script!r}, run_name="__main__")
except SystemExit as ended:
    assert not ended.code, ended.code
print()
print(json.dumps([name for name in {slow!r} if name in sys.modules]))
"""


def slow_imports(script, *arguments, slow=SLOW):
    """Run a script in a process of its own, and return which of the slow modules it has imported."""
    file = PROJECT / script
    code = RUN.format(folder=str(file.parent), arguments=[file.name, *arguments], script=str(file), slow=slow)
    environment = {"PYTHONPATH": ":".join(filter(None, sys.path)), "PATH": "/usr/bin:/bin", "HOME": "/tmp"}
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


COMMANDS = sorted(
    file.relative_to(PROJECT).as_posix()
    for folder in ("experiments", "scripts")
    for file in (PROJECT / folder).glob("*.py")
    if "__main__" in file.read_text()
)


@pytest.mark.parametrize("script", COMMANDS)
def test_help_imports_nothing_slow(script):
    assert slow_imports(script, "--help") == []


@pytest.mark.parametrize("script", ["train", "reproduce", "audit"])
def test_help_of_what_one_starts_with_imports_no_tables_and_no_plots(script):
    assert slow_imports(f"experiments/{script}.py", "--help", slow=("pandas", "matplotlib", "numpy")) == []


@pytest.mark.parametrize("script", COMMANDS)
def test_help_that_nobody_reads_ends_in_silence(script):
    """As with `| head`."""
    read, write = os.pipe()
    os.close(read)
    ended = subprocess.run([sys.executable, script, "--help"], cwd=PROJECT, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert ended.stderr.decode() == ""


def test_a_figure_is_redrawn_without_anything_slow(tmp_path):
    """Figure 7, the smallest, of a copy of the committed results; all modules of its family are imported."""
    laptop = tmp_path / "santurkar2018" / "laptop"
    laptop.mkdir(parents=True)
    committed = PROJECT / "results" / "santurkar2018" / "laptop"
    for file in committed.glob("fig07.*"):
        (laptop / file.name).write_bytes(file.read_bytes())
    arguments = ("7", "--scale", "laptop", "--from-results", "--results", str(tmp_path))
    assert slow_imports("experiments/reproduce.py", *arguments) == []
    assert (laptop / "fig07.png").read_bytes() == (committed / "fig07.png").read_bytes()


def test_what_is_slow_is_noticed(tmp_path):
    script = tmp_path / "slow.py"
    script.write_text("import normscape.build")
    assert slow_imports(script) == ["torch", "scipy"]


@pytest.mark.parametrize("script", COMMANDS)
def test_a_script_is_ready_for_ctrl_c_before_it_imports_what_takes_time(script):
    """What comes before `end_at_once` takes milliseconds: little of the standard library, and nothing else."""
    text = (PROJECT / script).read_text()
    assert "\n    end_at_once()\n" in text
    first = text.partition('if __name__ == "__main__":')[0]
    code = f"{first}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    imported = {name.partition(".")[0] for name in done.stdout.split()}
    assert "normscape" in imported
    assert not {"email", "numpy", "pandas", "hydra", "omegaconf", "rich", "torch"} & imported
