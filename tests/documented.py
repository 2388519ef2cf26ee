"""What the documentation contains: its pages, code blocks, commands and links, and how each command is checked."""

import os
import re
import shlex
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest

PROJECT = Path(__file__).parents[1]
PAGES = [PROJECT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    PROJECT.glob("docs/*.md")
)

FENCE = re.compile(r"^```(\S*)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
COMMAND = re.compile(r"(make|python3?|pip|uv|git|wandb|conda|source|bash)\s+\S|\.ci/run")
SHELL = ("bash", "sh", "console", "")
"""Kinds of blocks whose lines are commands; ``python`` is run, ``text`` is neither, any other kind is a mistake."""


def blocks(page):
    """Return kind and content of each fenced block."""
    return FENCE.findall(page.read_text())


def commands(page):
    """Return every command: the lines of shell blocks, and spans of code that begin like one."""
    lines = [line for kind, code in blocks(page) if kind in SHELL for line in code.replace("\\\n", " ").splitlines()]
    spans = [" ".join(span.split()) for span in SPAN.findall(FENCE.sub("", page.read_text()))]
    found = [line.removeprefix("$ ") for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return list(dict.fromkeys(found + [span for span in spans if COMMAND.match(span)]))


def broken_links(page):
    """Return the relative links of a page that lead to no file or to no heading."""
    text = SPAN.sub("", FENCE.sub("", page.read_text()))
    return [target for target in LINK.findall(text) if "://" not in target and not _is_there(page, target)]


def _is_there(page, target):
    name, _, anchor = target.partition("#")
    file = page.parent / name if name else page
    return file.exists() and (not anchor or anchor in _anchors(file))


def _anchors(file):
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", file.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def check_command(line):
    """Fail unless a command is one that works, without carrying it out."""
    words = shlex.split(line.replace("$SLURM_ARRAY_TASK_ID", "0"), comments=True)
    match words:
        case ["make", *rest]:
            check_make(rest)
        case ["python", "experiments/train.py", *arguments]:
            import train

            with mock.patch.object(train, "use_kernels"), _installed():  # which would start this process again
                train.prepare(arguments)
        case ["python", "experiments/reproduce.py", *arguments]:
            check_reproduce(arguments)
        case ["python", script, *arguments] if script.startswith(("scripts/", "examples/")):
            check_script(PROJECT / script, arguments)
        case ["python", "-m", "pip", "install", *arguments]:
            offered = output(sys.executable, "-m", "pip", "install", "--help")
            assert all(argument in offered for argument in arguments if argument.startswith("-")), line
        case ["wandb", command, *_]:
            output(sys.executable, "-m", "wandb", command, "--help")
        case ["conda", "env", "create", "-f", file]:
            assert (PROJECT / file).exists(), line
        case ["conda", "activate", name]:
            assert f"name: {name}\n" in (PROJECT / "environment.yml").read_text(), line
        case ["source", ".venv/bin/activate"]:
            assert "-m venv --clear .venv" in (PROJECT / "Makefile").read_text(), line
        case ["git", "checkout", path]:
            assert (PROJECT / path).exists(), line
        case ["python", "-c", code]:
            output(sys.executable, "-c", code)
        case [".ci/run"]:
            assert os.access(PROJECT / ".ci" / "run", os.X_OK), line
        case _:
            pytest.fail(f"{line}: a command that nothing checks; a block that is no command is tagged text")


@contextmanager
def _installed():
    """Let a command pass that says what to install for it, in an environment that has not got it."""
    from normscape.errors import UserError

    try:
        yield
    except UserError as error:
        if not re.search(r"expected the package \S+; install it with: make env EXTRAS=\w+$", str(error)):
            raise


def check_make(words):
    """Let make say what it would do: it refuses unknown targets and variables; check what it would run."""
    would_do = output("make", "-n", "--no-print-directory", *[word.replace("figN", "fig1") for word in words])
    for line in would_do.splitlines():
        before, found, arguments = line.partition("experiments/reproduce.py ")
        if found and before.strip().endswith("python"):
            check_reproduce(shlex.split(arguments))


def check_reproduce(arguments):
    """Parse arguments of the script, and compose the settings for a run."""
    import reproduce
    from normscape.config import compose_run

    options = reproduce.parse(arguments)
    assert options.figure in ("all", *options.family.known), arguments
    compose_run([f"scale={options.scale}", *options.overrides])


def check_script(script, arguments):
    """Ask a script for its help, which lists its options; one that would do its work instead is a mistake."""
    assert script.exists(), script
    assert all((PROJECT / argument).exists() for argument in arguments if argument.startswith("results/")), arguments
    if script.parent.name == "scripts":
        assert "Parser(" in script.read_text(), f"{script.name} has no --help"
        offered = output(sys.executable, str(script), "--help")
        assert all(argument in offered for argument in arguments if argument.startswith("-")), (script.name, arguments)


def output(*command):
    """Return what a command prints; it must succeed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout
