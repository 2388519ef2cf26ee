import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_cifar10 import copy_but, fake_records, fingerprint, web_server, write_binary, write_pickles, write_pngs

from normscape.data import download
from normscape.data.cifar.archive import CIFAR10, check_records
from normscape.data.cifar.load import ARRAY_FILE, HAND_PLACED, MEAN, STD, cifar10, load_records
from normscape.data.download import SourceError
from normscape.data.sources import Source
from normscape.errors import UserError
from patience import PATIENCE_SECONDS, wait_until

RECORDS = fake_records()
EXPECTED = fingerprint(RECORDS)


@pytest.fixture(autouse=True)
def _no_mirror(monkeypatch):
    monkeypatch.delenv("NORMSCAPE_CIFAR10_MIRROR", raising=False)


@pytest.fixture
def binary(tmp_path):
    return Source("a copy", str(write_binary(tmp_path / "elsewhere" / "copy.tar.gz", RECORDS)))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def left_in(folder):
    return {path.name for path in folder.iterdir()} - {"cifar10.lock"}


@pytest.mark.parametrize("write", [write_binary, write_pickles, write_pngs])
def test_each_published_form_gives_the_same_records(folder, tmp_path, write):
    archive = write(tmp_path / "archive.tar.gz", RECORDS)
    records = load_records(folder, [Source("it", archive.as_uri())], fingerprint(RECORDS, archive))
    assert isinstance(records, np.memmap)
    assert np.array_equal(records, RECORDS)
    assert left_in(folder) == {ARRAY_FILE}
    assert archive.exists()


def test_pickles_are_not_opened_when_the_archive_has_another_md5(folder, tmp_path, capsys, monkeypatch):
    archive = write_pickles(tmp_path / "archive.tar.gz", RECORDS)
    monkeypatch.setattr("pickle.loads", lambda *_, **__: pytest.fail("unpickled"))
    with pytest.raises(UserError, match="no source gave"):
        load_records(folder, [Source("it", str(archive))], EXPECTED)
    assert f"its MD5 is {fingerprint(RECORDS, archive).pickles_md5} instead of 000" in capsys.readouterr().err


def test_bad_answers_are_named_and_the_next_source_is_tried(folder, binary, capsys, monkeypatch):
    fetch_http, causes_in_full = download._fetch_http, []

    def impatient_with_silence(url, scratch):
        """Give up soon only where there is never an answer: where it comes late, the machine is slow."""
        monkeypatch.setattr(download, "SILENCE_SECONDS", 0.2 if "silent" in url else PATIENCE_SECONDS)
        try:
            return fetch_http(url, scratch)
        except SourceError as error:
            causes_in_full.append(str(error.__cause__))
            raise

    monkeypatch.setattr(download, "_fetch_http", impatient_with_silence)
    with web_server(Path(binary.location)) as (url, asked, _):
        names = ["html", "truncated", "altered", "absent", "silent", "good"]
        sources = [Source(name, f"{url}/{name}.tar.gz") for name in names]
        sources.insert(0, Source("dead", "http://127.0.0.1:9/x.tar.gz"))
        records = load_records(folder, sources, EXPECTED)
        wait_until(lambda: len(asked) >= len(names))  # the silent one may see its request late
        assert sorted(asked) == sorted(f"/{name}.tar.gz" for name in names)
    assert np.array_equal(records, RECORDS)
    assert left_in(folder) == {ARRAY_FILE}
    assert "read timeout=0.2" in causes_in_full[-1]
    lines = capsys.readouterr().err.splitlines()
    causes = ["refused", "DOCTYPE", "Incomplete", "have MD5", "answers 404", "imed out", "all of it is right"]
    assert len(lines) == len(causes)
    for line, name, cause in zip(lines, ["dead", *names], causes, strict=True):
        assert line.startswith(f"CIFAR-10: {name}: ")
        assert cause in line


def test_an_archive_with_gaps_is_refused(folder, tmp_path, capsys):
    names = ["data_batch_3.bin", "data_batch_2.png", "train_lables.json"]
    whole = [write_binary(tmp_path / "b", RECORDS), write_pngs(tmp_path / "p", RECORDS)]
    sources = []
    for name, archive in zip(names, [whole[0], whole[1], whole[1]], strict=True):
        sources.append(Source(name, str(copy_but(archive, tmp_path / f"no_{name}", name, lambda content: None))))
    for name in names[1:]:
        sources.append(Source(name, str(copy_but(whole[1], tmp_path / f"half_{name}", name, halved))))
    with pytest.raises(UserError):
        load_records(folder, sources, EXPECTED)
    lines = capsys.readouterr().err.splitlines()
    for line, name in zip(lines[:3], names, strict=True):
        assert f"the archive has no file '{name}'" in line
    assert len(lines[3:]) == 2
    assert all("not a whole archive" in line for line in lines[3:])


def halved(content):
    return content[: len(content) // 2]


def test_other_images_than_cifar10s_are_refused(folder, tmp_path, capsys):
    changed = RECORDS.copy()
    changed[70, 1000] ^= 1
    other = Source("changed", str(write_binary(tmp_path / "other.tar.gz", changed)))
    few = Source("few", str(write_binary(tmp_path / "few.tar.gz", RECORDS[:60])))
    with pytest.raises(UserError):
        load_records(folder, [other, few], EXPECTED)
    first, second = capsys.readouterr().err.splitlines()
    assert "the images of data_batch_4 have MD5" in first
    assert "of shape (60, 3073) instead of uint8 (120, 3073)" in second
    assert left_in(folder) == set()


def test_when_all_fail_the_message_says_what_to_put_where(folder):
    with pytest.raises(UserError) as caught:
        load_records(folder, [Source("gone", str(folder / "gone.tar.gz"))], EXPECTED)
    message = str(caught.value)
    assert "\n" not in message
    assert all(part in message for part in (str(folder), *HAND_PLACED, "NORMSCAPE_CIFAR10_MIRROR"))


@pytest.mark.parametrize("name", HAND_PLACED)
def test_an_archive_placed_by_hand_is_used_first_and_kept(folder, name, monkeypatch):
    monkeypatch.setenv("NORMSCAPE_CIFAR10_MIRROR", "http://127.0.0.1:9/never-asked.tar.gz")
    write_binary(folder / name, RECORDS)
    assert np.array_equal(load_records(folder, [], EXPECTED), RECORDS)
    assert left_in(folder) == {ARRAY_FILE, name}


def test_a_bad_archive_placed_by_hand_is_named_and_left(folder, binary, capsys):
    placed = folder / HAND_PLACED[0]
    placed.write_text("<html>not found</html>")
    load_records(folder, [binary], EXPECTED)
    first = capsys.readouterr().err.splitlines()[0]
    assert str(placed) in first
    assert "'<html>not found</html>'" in first
    assert placed.read_text() == "<html>not found</html>"


def test_the_mirror_comes_before_the_public_sources(folder, binary, capsys, monkeypatch):
    with web_server(Path(binary.location)) as (url, asked, _):
        secret = url.replace("//", "//me:secret@") + "/good.tar.gz?token=secret"
        monkeypatch.setenv("NORMSCAPE_CIFAR10_MIRROR", secret)
        load_records(folder, [Source("never asked", "http://127.0.0.1:9/x")], EXPECTED)
        assert len(asked) == 1
    said = capsys.readouterr().err
    assert f"NORMSCAPE_CIFAR10_MIRROR={url}/good.tar.gz: all of it is right" in said
    assert "secret" not in said


def truncate(path):
    os.truncate(path, path.stat().st_size - 1)


def alter(path):
    with path.open("r+b") as file:
        file.seek(200_000)
        byte = file.read(1)[0]
        file.seek(200_000)
        file.write(bytes([byte ^ 1]))


def empty(path):
    path.write_bytes(b"")


def replace_by_page(path):
    path.write_text("<html>")


@pytest.mark.parametrize("damage", [truncate, alter, empty, replace_by_page])
def test_a_damaged_array_file_is_noticed_and_made_anew(folder, binary, damage, capsys):
    load_records(folder, [binary], EXPECTED)
    whole = (folder / ARRAY_FILE).read_bytes()
    damage(folder / ARRAY_FILE)
    assert np.array_equal(load_records(folder, [binary], EXPECTED), RECORDS)
    assert (folder / ARRAY_FILE).read_bytes() == whole
    assert f"{folder / ARRAY_FILE} is damaged" in capsys.readouterr().err


def test_a_whole_array_file_needs_no_source_and_no_lock(folder, binary, capsys):
    load_records(folder, [binary], EXPECTED)
    (folder / "cifar10.lock").unlink()
    capsys.readouterr()
    load_records(folder, [], EXPECTED)
    assert capsys.readouterr().err == ""
    assert {path.name for path in folder.iterdir()} == {ARRAY_FILE}


def test_what_a_killed_process_left_is_removed(folder, binary):
    (folder / "cifar10.partial").mkdir()
    (folder / "cifar10.partial" / "half.tar.gz").write_bytes(b"half")
    load_records(folder, [binary], EXPECTED)
    assert left_in(folder) == {ARRAY_FILE}


def test_a_folder_that_cannot_be_written_is_a_user_error(tmp_path, binary):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/data.*NORMSCAPE_DATA"):
        cifar10(root=str(tmp_path / "file" / "data"))
    with pytest.raises(UserError, match=r"absent.*NORMSCAPE_DATA"):
        load_records(tmp_path / "file" / "absent", [binary], EXPECTED)


CHILD = """
import sys
from pathlib import Path
from fake_cifar10 import copy_but, fake_records, fingerprint
from normscape.data.cifar.load import load_records
from normscape.data.sources import Source
records = fake_records()
assert (load_records(Path(sys.argv[1]), [Source("held", sys.argv[2])], fingerprint(records)) == records).all()
"""


def test_two_processes_fetch_once(folder, binary, tmp_path, start):
    """The one that fetches gets its archive when the other has said that it waits, or fetches too."""
    files = [tmp_path / "said-0", tmp_path / "said-1"]
    waiting = "waiting for another process that is fetching it"
    with web_server(Path(binary.location)) as (url, asked, released):
        children = []
        for path in files:
            with path.open("w") as file:
                command = [sys.executable, "-c", CHILD, str(folder), f"{url}/held.tar.gz"]
                children.append(start(command, stderr=file))
        wait_until(lambda: len(asked) == 2 or any(waiting in file.read_text() for file in files) or ended(children))
        released.set()
        assert [child.wait(PATIENCE_SECONDS) for child in children] == [0, 0]
        assert asked == ["/held.tar.gz"]
    assert sum(waiting in file.read_text() for file in files) == 1


def ended(processes):
    return any(process.poll() is not None for process in processes)


@pytest.mark.parametrize("count", [0, -1, 50_001, 1.5])
def test_train_images_out_of_range_is_a_user_error(count, tmp_path):
    with pytest.raises(UserError, match=f"train_images={count}: "):
        cifar10(count, root=str(tmp_path))


REAL = download.data_root() / ARRAY_FILE
real = pytest.mark.skipif(not REAL.exists(), reason=f"CIFAR-10 is not in {REAL}; scripts/fetch_data.py fetches it")


@real
def test_the_array_file_is_mapped_not_read():
    records = load_records(REAL.parent, [])
    assert isinstance(records, np.memmap)
    assert records.filename == REAL
    check_records(records, CIFAR10)
    with pytest.raises(SourceError, match="instead of uint8"):
        check_records(records[1:], CIFAR10)


@real
def test_the_real_data_set():
    data = cifar10()
    assert data.test is not None
    assert (data.train.inputs.shape, data.train.inputs.dtype) == ((50_000, 3, 32, 32), torch.uint8)
    assert (len(data.test), data.test.targets.dtype) == (10_000, torch.int64)
    assert data.train.targets.bincount().tolist() == [5000] * 10
    assert data.test.targets.bincount().tolist() == [1000] * 10
    channels = data.train.inputs.transpose(0, 1).flatten(1)
    counts = torch.stack([channel.bincount(minlength=256) for channel in channels]).double()
    values, pixels = torch.arange(256).double(), 50_000 * 1024
    mean = counts @ values / pixels
    std = (counts @ values**2 / pixels - mean**2).sqrt()
    assert torch.allclose(mean, torch.tensor(MEAN, dtype=torch.float64), rtol=1e-12)
    assert torch.allclose(std, torch.tensor(STD, dtype=torch.float64), rtol=1e-12)


@real
def test_train_images_keeps_the_first_ones_and_shows_in_the_checksum():
    part, other = cifar10(100), cifar10(101)
    assert torch.equal(part.train.inputs, other.train.inputs[:100])
    assert torch.equal(part.train.targets, other.train.targets[:100])
    assert part.checksum != other.checksum
    inputs = part.network_inputs(other.train.inputs)
    assert inputs.mean((0, 2, 3)).abs().max() < 0.3
