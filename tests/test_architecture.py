"""The rules that imports can break: no circles of modules or packages, nothing from above, no family from another."""

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def name_of(file: Path, source: Path) -> str:
    """Return the dotted path of a module; a package's is that of its folder."""
    return ".".join(file.relative_to(source).with_suffix("").parts).removesuffix(".__init__")


def modules(source: Path) -> dict[str, Path]:
    """Return all modules under a folder of sources by their dotted paths."""
    return {name_of(file, source): file for file in sorted(source.rglob("*.py"))}


def statements(body: list[ast.stmt], everywhere: bool) -> Iterator[ast.stmt]:
    """Yield statements; those in functions and for type checkers alone, which do not run on import, if asked for."""
    for node in body:
        yield node
        if not everywhere and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        unseen = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING") and not everywhere
        if unseen and not ast.unparse(node.test).startswith("not "):
            yield from statements(node.orelse, everywhere)
            continue
        for part in ("body", "orelse", "finalbody"):
            yield from statements(getattr(node, part, []), everywhere)
        for handler in (*getattr(node, "handlers", []), *getattr(node, "cases", [])):
            yield from statements(handler.body, everywhere)


def imported(file: Path, name: str, everywhere: bool) -> set[str]:
    """Return the dotted paths that a module's imports name, of modules or of what is in them."""
    found: set[str] = set()
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    for node in statements(ast.parse(file.read_text()).body, everywhere):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def circle(source: Path) -> list[str]:
    """Return modules that import each other in a circle when they are imported; none if there is no circle."""
    known = modules(source)
    return _circle(
        {
            name: {_module(path, known) for path in imported(file, name, everywhere=False)} - {name, ""}
            for name, file in known.items()
        }
    )


def circle_of_packages(source: Path) -> list[str]:
    """Return modules and packages in the source's package that import each other in a circle.

    The package itself does not count: it hands on the public names of all of them.
    """
    known = modules(source)
    graph: dict[str, set[str]] = {}
    for name, file in known.items():
        tops = {_top(_module(path, known)) for path in imported(file, name, everywhere=True)}
        graph.setdefault(_top(name), set()).update(tops - {_top(name), ""})
    return _circle({top: below for top, below in graph.items() if top})


def _top(name: str) -> str:
    return ".".join(name.split(".")[:2]) if "." in name else ""


def _circle(graph: Mapping[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def _module(path: str, known: Mapping[str, Path]) -> str:
    """Return the module that a path names, or that holds what it names; nothing if it is none of the known."""
    return next((name for name in (path, path.rpartition(".")[0]) if name in known), "")


def families(root: Path) -> list[str]:
    """Return the families of experiments: folders that have one of the same name among the configs of figures."""
    folders = [path.name for path in sorted((root / "experiments").iterdir()) if path.is_dir()]
    return [name for name in folders if (root / "configs" / "figure" / name).is_dir()]


def above(root: Path) -> set[str]:
    """Return the names under which the source could import what stands above it."""
    places = [path for folder in ("experiments", "scripts") for path in (root / folder).iterdir()]
    return {"experiments", "scripts", *(path.stem for path in places if path.is_dir() or path.suffix == ".py")}


def imports_from_above(root: Path) -> list[str]:
    """Return which modules of the source import experiments, a family or a script, wherever in them."""
    return sorted(
        f"{name} imports {path}"
        for name, file in modules(root / "src").items()
        for path in imported(file, name, everywhere=True)
        if path.split(".")[0] in above(root)
    )


def imports_between_families(root: Path) -> list[str]:
    """Return which modules of a family import another family, wherever in them."""
    known = families(root)
    return sorted(
        f"{name} imports {path}"
        for family in known
        for name, file in modules(root / "experiments").items()
        if name.split(".")[0] == family
        for path in imported(file, name, everywhere=True)
        if path.removeprefix("experiments.").split(".")[0] in {*known} - {family}
    )


def test_no_circle_of_imports():
    assert circle(ROOT / "src") == []


def test_no_circle_of_packages():
    assert circle_of_packages(ROOT / "src") == []


def test_the_source_imports_nothing_from_above():
    assert imports_from_above(ROOT) == []


def test_no_family_imports_another():
    assert imports_between_families(ROOT) == []


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ({"a": "import p.b", "b": "from p import a"}, "p.a p.b"),
        ({"a": "from p.b import x", "b": "if True:\n    from . import c", "c": "from .a import y"}, "p.a p.b p.c"),
        ({"q/__init__": "from p.q.a import f", "q/a": "import p.b", "b": "from p.q import f"}, "p.q p.q.a p.b"),
        ({"a": "try:\n    import p.b\nexcept OSError:\n    pass", "b": "class C:\n    import p.a"}, "p.a p.b"),
        ({"a": "import p.b", "b": "if not TYPE_CHECKING:\n    import p.a"}, "p.a p.b"),
        ({"a": "import p.b", "b": "if TYPE_CHECKING:\n    import p.a"}, ""),
        ({"a": "import p.b", "b": "def f():\n    import p.a"}, ""),
        ({"q/__init__": "from p.q.a import f", "q/a": "import p.q.b", "q/b": ""}, ""),
    ],
)
def test_a_planted_circle_is_found_and_nothing_else(tmp_path, files, names):
    write(tmp_path, {"p/__init__.py": "", **{f"p/{name}.py": text for name, text in files.items()}})
    assert set(circle(tmp_path)) == set(names.split())


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ({"q/a": "from p.b import x", "b": "def f():\n    from p.q.c import y", "q/c": ""}, "p.q p.b"),
        ({"q/a": "import p.r.a", "r/b": "if TYPE_CHECKING:\n    import p.q.b", "r/a": "", "q/b": ""}, "p.q p.r"),
        ({"q/a": "import p.q.b", "q/b": "from p.r import a", "r/a": "from p import c", "c": ""}, ""),
        ({"__init__": "from p.a import x", "a": "import p"}, ""),
    ],
)
def test_a_planted_circle_of_packages_is_found_and_nothing_else(tmp_path, files, names):
    write(tmp_path, {"p/__init__.py": "", **{f"p/{name}.py": text for name, text in files.items()}})
    assert set(circle_of_packages(tmp_path)) == set(names.split())


HOUSE = {
    "src/p/a.py": "import train_tools\nfrom p.scripts import x\nfrom p import train\n",
    "experiments/train.py": "",
    "experiments/one/fig01.py": "from one import panels\nimport p.a\nfrom experiments.one.panels import draw\n",
    "experiments/one/panels.py": "",
    "experiments/two/fig01.py": "",
    "experiments/shared/panels.py": "",
    "configs/figure/one/fig01.yaml": "",
    "configs/figure/two/fig01.yaml": "",
    "configs/figure/text.yaml": "",
    "scripts/tool.py": "",
}


@pytest.mark.parametrize(
    "line",
    [
        "import train",
        "import experiments.train",
        "from one.panels import x",
        "def f():\n    import tool",
        "import scripts",
    ],
)
def test_a_planted_import_from_above_is_found(tmp_path, line):
    write(tmp_path, HOUSE)
    assert imports_from_above(tmp_path) == []
    write(tmp_path, {"src/p/b.py": line})
    (found,) = imports_from_above(tmp_path)
    assert found.startswith("p.b imports ")


@pytest.mark.parametrize(
    "line",
    ["import two.fig01", "from two import fig01", "from experiments.two.fig01 import x", "def f():\n    import two"],
)
def test_a_planted_import_between_families_is_found(tmp_path, line):
    write(tmp_path, HOUSE)
    assert families(tmp_path) == ["one", "two"]
    assert imports_between_families(tmp_path) == []
    write(tmp_path, {"experiments/one/deep/b.py": line})
    (found,) = imports_between_families(tmp_path)
    assert found.startswith("one.deep.b imports ")


def test_a_house_without_families_is_in_order(tmp_path):
    write(tmp_path, {"experiments/figures/fig01.py": "import two", "configs/figure/fig01.yaml": "", "src/p/a.py": ""})
    assert families(tmp_path) == imports_between_families(tmp_path) == []
