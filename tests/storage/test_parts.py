"""What is carried in parts arrives as it was, or what is wrong with it is named and nothing has changed."""

import random
import re

import pytest

from normscape.errors import UserError
from normscape.storage.files import read_json, write_json
from normscape.storage.parts import join, pack, packed

CONTENT = random.Random(0).randbytes(1000)


@pytest.fixture
def parts(tmp_path):
    file = tmp_path / "here" / "data.bin"
    file.parent.mkdir()
    file.write_bytes(CONTENT)
    return pack(file, tmp_path / "carried", 300)


def test_the_parts_join_to_the_identical_file(parts, tmp_path):
    assert [part.name for part in parts] == [f"data.bin.part0{number}" for number in (1, 2, 3, 4)]
    assert [part.stat().st_size for part in parts] == [300, 300, 300, 100]
    assert packed(tmp_path / "carried") == ["data.bin"]
    join(tmp_path / "carried", "data.bin", tmp_path / "there" / "data.bin")
    assert (tmp_path / "there" / "data.bin").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["data.bin"]


@pytest.mark.parametrize("size", [0, 299, 300, 301, 600])
def test_any_size_is_cut_and_joined(tmp_path, size):
    file = tmp_path / "data.bin"
    file.write_bytes(CONTENT[:size])
    assert len(pack(file, tmp_path / "carried", 300)) == max(1, -(-size // 300))
    join(tmp_path / "carried", "data.bin", tmp_path / "there")
    assert (tmp_path / "there").read_bytes() == CONTENT[:size]


def test_packed_again_smaller_it_leaves_no_part_of_before(parts, tmp_path):
    (tmp_path / "here" / "data.bin").write_bytes(CONTENT[:400])
    pack(tmp_path / "here" / "data.bin", tmp_path / "carried", 300)
    names = ["data.bin.part01", "data.bin.part02", "data.bin.parts.json"]
    assert sorted(path.name for path in (tmp_path / "carried").iterdir()) == names


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda part: part.unlink(), r"a part that cannot be read \(No such file or directory\); bring it again"),
        (lambda part: part.write_bytes(part.read_bytes()[:-1]), r"has 299 bytes of 300; bring it again"),
        (lambda part: part.write_bytes(b"x" + part.read_bytes()[1:]), r"not the part that was packed"),
    ],
)
def test_a_missing_or_damaged_part_is_named_and_what_was_there_stays(parts, tmp_path, damage, said):
    target = tmp_path / "target"
    target.write_text("as it was")
    damage(parts[1])
    with pytest.raises(UserError, match=rf"^{re.escape(str(parts[1]))}: {said}") as caught:
        join(tmp_path / "carried", "data.bin", target)
    assert len(str(caught.value).splitlines()) == 1
    assert target.read_text() == "as it was"
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"name": "data.bin", "parts": [1]}'])
def test_a_missing_or_damaged_list_is_named(parts, tmp_path, content):
    listed = tmp_path / "carried" / "data.bin.parts.json"
    listed.unlink() if content is None else listed.write_text(content)
    with pytest.raises(UserError, match=r"data\.bin\.parts\.json: (there is no|cannot be read|not a list)"):
        join(tmp_path / "carried", "data.bin", tmp_path / "target")


def test_whole_parts_of_two_packings_do_not_make_a_file(parts, tmp_path):
    listed = tmp_path / "carried" / "data.bin.parts.json"
    content = read_json(listed)
    content["parts"].reverse()
    write_json(listed, content)
    with pytest.raises(UserError, match=r"its parts do not make data\.bin"):
        join(tmp_path / "carried", "data.bin", tmp_path / "target")
