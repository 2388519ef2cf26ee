"""The dashboard's folders of links: every run by its name and group, none hidden by another, figures last."""

import os
import re
import sys
from pathlib import Path

import pytest

from normscape.errors import UserError
from normscape.trackers.fragments import Fragment, fragments

sys.path.append(str(Path(__file__).parents[2] / "scripts"))

import dashboard
import sync_runs


def fragment(wandb, name, labels=None, content="rows"):
    folder = wandb / name
    folder.mkdir(parents=True)
    made = Fragment.at(folder)
    made.file.write_text(content)
    (folder / "files").mkdir()
    if labels:
        made.label(*labels)
    return made


def test_every_run_is_listed_by_name_and_group_and_figures_come_last(tmp_path):
    wandb = tmp_path / "wandb"
    fragment(wandb, "offline-run-20260101_000002-aaa", ("vgg_batch-s0", "fig01", "train"))
    fragment(wandb, "run-20260101_000001-bbb", ("vgg_batch-s0", "thesis/fig01", "train"))
    fragment(wandb, "offline-run-20260101_000003-ccc", ("fig01-laptop", "fig01", "figure"))
    fragment(wandb, "offline-run-20260101_000004-from-before")
    (wandb / "latest-run").symlink_to("offline-run-20260101_000004-from-before")
    (wandb / "offline-run-20260101_000005-empty").mkdir()

    groups = dashboard.named([*fragments(wandb)], tmp_path / "views")
    assert {group: len(names) for group, names in groups.items()} == {
        "all": 4,
        "fig01": 2,
        "thesis_fig01": 1,
        "other": 1,
    }
    listed = sorted(path.name for path in (tmp_path / "views" / "all").iterdir())
    assert listed == [
        "run-00000000_000000-fig01-laptop",
        "run-20260101_000001-vgg_batch-s0",
        "run-20260101_000002-vgg_batch-s0-aaa",
        "run-20260101_000004-from-before",
    ]
    for name in listed:  # as `wandb leet` looks for it
        link = tmp_path / "views" / "all" / name
        assert (link / f"run-{re.sub(r'run-[0-9_]{15}-', '', name)}.wandb").read_text() == "rows"
        assert (link / "files").is_dir()


def test_what_is_not_there_is_refused_in_one_line(tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_DIR", raising=False)
    with pytest.raises(UserError, match="no run is mirrored there"):
        dashboard.main([str(tmp_path), "--list"])
    fragment(tmp_path / "wandb", "offline-run-20260101_000002-aaa", ("vgg_batch-s0", "fig01", "train"))
    with pytest.raises(UserError, match="--group fig1: no such group; did you mean 'fig01'"):
        dashboard.main([str(tmp_path), "--list", "--group", "fig1"])


def test_what_has_changed_since_it_was_sent_is_sent_again(tmp_path):
    offline = fragment(tmp_path, "offline-run-20260101_000002-aaa")
    assert not sync_runs.is_sent(offline, {})
    mark = offline.file.with_name(f"{offline.file.name}.synced")
    mark.touch()
    os.utime(offline.file, (1, 1))
    assert sync_runs.is_sent(offline, {})
    os.utime(mark, (0, 0))
    assert not sync_runs.is_sent(offline, {})
    online = fragment(tmp_path, "run-20260101_000002-bbb")
    assert [sync_runs.is_sent(online, {"whole": whole}) for whole in (True, False)] == [True, False]


def test_a_folder_that_is_not_there_is_not_said_to_be_sent(tmp_path):
    with pytest.raises(UserError, match=r"none: no such folder; expected a folder of runs"):
        sync_runs.main([str(tmp_path / "none")])
