"""Overrides, configs and files that nobody has thought of: a valid run, or one line; never a traceback."""

import string
from dataclasses import asdict, replace

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from normscape.build import dry_build
from normscape.config import compose_run
from normscape.errors import UserError
from normscape.evidence.table import read_table
from normscape.execute import execute
from normscape.gather import gather
from normscape.identity import identity
from normscape.runs import RunDirectory
from normscape.storage.files import read_json, write_json

SMOKE = ["scale=smoke", "run=dln_batch", "tracker=none", "device=cpu"]
QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


def fuzz(examples):
    """The same examples each time, without a limit of time: a test is not to judge the machine."""
    return settings(max_examples=examples, derandomize=True, deadline=None, database=None, suppress_health_check=QUIET)


def keys(node, path=""):
    """Yield every key of a config, those of groups too."""
    for key, value in node.items():
        here = f"{path}.{key}".lstrip(".")
        yield here
        if isinstance(value, dict):
            yield from keys(value, here)


KEYS = sorted({*keys(asdict(compose_run(SMOKE))), "run", "study", "hydra.launcher", "nothing", "data.root"})
ODD = ["", "null", "nan", "-1", "0", "1e400", "-inf", "[]", "{}", "''", "' '", "[[1]]", "{a: {b: [null]}}", "true"]
ODD += ["é日本", "'é日本'", "9" * 400, "x" * 5000, "${seed}", "${nothing}", "${oc.env:HOME}", "???", "1,2", "range(3)"]
ODD += [
    "\\",
    "'",
    "a b",
    "~",
    "/",
    "..",
    "{_target_: os.getcwd}",
    "{_target_: [1]}",
    "os.getcwd",
    "1_0",
    "0x10",
    "1e-1",
]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def refused_in_one_line(overrides, **folders):
    """Compose and build a run; return whether it was refused, in one line."""
    said = None
    try:
        config = compose_run([*SMOKE, *overrides], **folders)
        dry_build(config)
        assert len(identity(config)) == 12
    except UserError as error:
        said = str(error)
    assert said is None or said == " ".join(said.splitlines()) != ""
    return said is not None


@fuzz(20)
@given(st.sampled_from(KEYS), st.sampled_from(ODD) | TEXT, st.sampled_from(["", "", "", "+", "++", "~"]))
def test_any_value_of_any_key(key, value, sign):
    refused_in_one_line([f"{sign}{key}={value}"])


@fuzz(15)
@given(st.text(string.printable, max_size=30) | TEXT)
def test_any_override(override):
    refused_in_one_line([override])


@pytest.mark.parametrize("value", ["nan", "-1", "1e400", "[]", "{}", "''", "null"])
@pytest.mark.parametrize("key", ["steps", "optimizer.lr", "threads"])
def test_no_nonsense_is_taken(key, value):
    assert refused_in_one_line([f"{key}={value}"])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@fuzz(15)
@given(content=st.dictionaries(st.sampled_from(KEYS) | TEXT, VALUES, max_size=3) | VALUES)
def test_any_yaml_of_the_user_s_own(content, tmp_path):
    (tmp_path / "run").mkdir(exist_ok=True)
    text = yaml.safe_dump(content, allow_unicode=True)
    (tmp_path / "run" / "mine.yaml").write_text(f"# @package _global_\n{text}", encoding="utf-8")
    refused_in_one_line(["run=mine"], own=tmp_path)


@fuzz(15)
@given(content=st.binary(max_size=60) | st.text(string.printable, max_size=60).map(str.encode))
def test_any_bytes_as_a_yaml(content, tmp_path):
    (tmp_path / "norm").mkdir(exist_ok=True)
    (tmp_path / "norm" / "mine.yaml").write_bytes(content)
    refused_in_one_line(["norm=mine"], own=tmp_path)


def test_a_yaml_with_a_byte_order_mark_is_read(tmp_path):
    (tmp_path / "norm").mkdir()
    (tmp_path / "norm" / "mine.yaml").write_text(
        "_target_: normscape.norms.LpNorm\n_partial_: true\np: 3\n", "utf-8-sig"
    )
    assert compose_run([*SMOKE, "norm=mine"], own=tmp_path).norm["p"] == 3


def test_a_yaml_makes_nothing_but_data(tmp_path):
    (tmp_path / "norm").mkdir()
    evil = f"_target_: !!python/object/apply:os.mkdir [{tmp_path / 'executed'}]\n"
    (tmp_path / "norm" / "mine.yaml").write_text(evil)
    assert refused_in_one_line(["norm=mine"], own=tmp_path)
    assert not (tmp_path / "executed").exists()


class Silent:
    def update(self, name, step, steps):
        pass

    def message(self, text):
        pass


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run, whose files are damaged and put back."""
    folder = tmp_path_factory.mktemp("run")
    more = ["steps=3", "log_every=1", "probe=[activations]", "measure.activation_layers=[1]"]
    return execute(replace(compose_run([*SMOKE, *more]), runs_dir=str(folder)), Silent()).path


def told(path):
    directory = RunDirectory(path)
    arrays = {name: array.tobytes() for name, array in directory.arrays().items()}
    return directory.table().to_csv(), arrays, gather(path.parent).to_csv(), directory.status, directory.summary


def damaged(content, where, bit, end):
    """Return bytes with one bit changed, and cut off after a place."""
    changed = bytearray(content)
    if changed:
        changed[int(where * (len(changed) - 1))] ^= 1 << bit
    return bytes(changed[: int(end * len(changed))])


SHARE = st.floats(0, 1)
NAMES = ["config.json", "status.json", "summary.json", "metrics.csv", "arrays.npz"]


@fuzz(40)
@given(st.sampled_from(NAMES), SHARE, st.integers(0, 7), st.just(1.0) | SHARE)
def test_any_damage_to_a_file_of_a_run(run, name, where, bit, end):
    file, whole = run / name, told(run)
    content = file.read_bytes()
    try:
        file.write_bytes(damaged(content, where, bit, end))
        found = told(run)
    except UserError as error:
        found = str(error)
    finally:
        file.write_bytes(content)
    assert found == whole or (isinstance(found, str) and run.name in found and "\n" not in found)


@fuzz(20)
@given(content=st.binary(max_size=80) | VALUES.map(lambda value: yaml.safe_dump(value).encode()))
def test_any_bytes_as_a_json_or_a_table(content, tmp_path):
    for reader, name in ((read_json, "f.json"), (read_table, "f.csv"), (read_table, "f.csv.gz")):
        (tmp_path / name).write_bytes(content)
        said = name
        try:
            reader(tmp_path / name)
        except UserError as error:
            said = str(error)
        assert name in said


@fuzz(40)
@given(content=VALUES)
def test_what_is_written_as_json_is_read(content, tmp_path):
    write_json(tmp_path / "f.json", {"content": content})
    write_json(tmp_path / "g.json", read_json(tmp_path / "f.json"))
    assert read_json(tmp_path / "f.json") == read_json(tmp_path / "g.json")
