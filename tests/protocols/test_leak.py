"""Weights remember whom they have seen, through every fine-tuning, and are not tested on them unknowingly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tubelet.datasets.catalog import open_dataset
from tubelet.datasets.manifest import Item, Manifest
from tubelet.errors import UsageError
from tubelet.models.registry import create_model
from tubelet.protocols.leak import (
    refuse_seen_groups,
    refuse_shared_groups,
    seen_files,
    seen_items,
    trained_on,
    unknown_training,
)
from tubelet.protocols.leaked import is_leaked


def actors(*names: str, dataset: str = "acts") -> Manifest:
    items = tuple(Item(f"{name}_{action}.avi", action, group=name) for name in names for action in ("run", "walk"))
    return Manifest(dataset, Path("."), items, ("run", "walk"))


def saved(folder: Path, provenance: dict[str, Any] | None) -> Path:
    create_model("c3d_small", 2, seed=0, width=0.0625).save(folder, labels=("run", "walk"), provenance=provenance)
    return folder


def test_seen_groups_are_refused_or_noted(tmp_path: Path) -> None:
    weights = saved(tmp_path / "model", {"trained_on": trained_on(actors("ann", "bob"))})
    assert refuse_seen_groups(weights, actors("eve")) == []
    assert refuse_seen_groups(weights, actors("ann", dataset="others")) == [], "another data set's Ann"
    with pytest.raises(UsageError, match=r"trained on 1 of the 2 test groups.*--allow-leak"):
        refuse_seen_groups(weights, actors("bob", "eve"))
    (note,) = refuse_seen_groups(weights, actors("bob", "ann", "eve"), allow=True)
    assert "2 of the 3 test groups" in note
    assert is_leaked([note])


def test_what_was_seen_is_remembered_through_fine_tuning(tmp_path: Path) -> None:
    first = saved(tmp_path / "first", {"trained_on": trained_on(actors("ann"))})
    second = saved(tmp_path / "second", {"trained_on": trained_on(actors("bob"), first)})
    third = saved(tmp_path / "third", {"trained_on": trained_on(actors("eve"), second)})
    with pytest.raises(UsageError, match="1 of the 1 test groups"):
        refuse_seen_groups(third, actors("ann"))
    assert refuse_seen_groups(third, actors("joe")) == []


def test_weights_that_say_nothing_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    weights = saved(tmp_path / "model", None)
    assert refuse_seen_groups(weights, actors("ann")) == []
    assert "do not say what they were trained on" in caplog.text
    assert unknown_training(weights) == ["what the weights were trained on is not known, so a leak would not be seen"]
    assert unknown_training(saved(tmp_path / "known", {"trained_on": trained_on(actors("ann"))})) == []
    assert "before" not in trained_on(actors("bob"), weights)


def test_further_sets_are_remembered_and_not_tested_on(tmp_path: Path) -> None:
    further = [actors("eve", dataset="others"), actors("kim", dataset="third")]
    weights = saved(tmp_path / "model", {"trained_on": trained_on(actors("ann"), further=further)})
    again = saved(tmp_path / "again", {"trained_on": trained_on(actors("joe"), weights)})
    for folder in (weights, again):
        for test in (actors("ann"), *further):
            with pytest.raises(UsageError, match="1 of the 1 test groups"):
                refuse_seen_groups(folder, test)
    assert refuse_seen_groups(weights, actors("eve")) == []
    with pytest.raises(UsageError, match=r"set third holds 1 of the 2 test groups.*--allow-leak"):
        refuse_shared_groups(further, actors("kim", "bob", dataset="third"))
    assert refuse_shared_groups(further, actors("kim")) == []
    (note,) = refuse_shared_groups(further, actors("kim", dataset="third"), allow=True)
    assert "third" in note
    assert is_leaked([note])


def videos(folder: Path, kind: str, *names: str, salt: str = "") -> Manifest:
    """A folder of videos, each with a content of its own (which nothing here decodes)."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(f"{Path(name).stem}{salt}".encode())
    return open_dataset(kind, folder)


def test_videos_are_known_again_by_their_content(tmp_path: Path) -> None:
    """Trained on without labels; tested on as another data set, under other names, in labeled folders."""
    weights = saved(
        tmp_path / "model", {"trained_on": trained_on(videos(tmp_path / "pile", "videos", "a.avi", "b.avi", "c.avi"))}
    )
    test = videos(tmp_path / "acts", "folder", "run/d.avi", "walk/e.avi")
    assert refuse_seen_groups(weights, test) == []
    (tmp_path / "acts" / "run" / "known.avi").write_bytes(b"b")
    (tmp_path / "acts" / "walk" / "empty.avi").write_bytes(b"")
    (tmp_path / "pile" / "empty.avi").write_bytes(b"")
    with pytest.raises(UsageError, match="1 of the 4 test groups"):
        refuse_seen_groups(weights, open_dataset("folder", tmp_path / "acts"))
    with pytest.raises(UsageError, match="set pile holds 1 of the 4 test groups"):
        refuse_shared_groups([open_dataset("videos", tmp_path / "pile")], open_dataset("folder", tmp_path / "acts"))
    # A group is what was filmed together: the second half of one whose first half was seen counts as seen.
    cuts = (Item("run/known.avi", "run", group="x"), Item("run/d.avi", "run", group="x"))
    together = Manifest("cuts", tmp_path / "acts", cuts, ("run",))
    assert seen_items(json.loads((weights / "provenance.json").read_text()), together) == [True, True]


def test_single_files_are_known_again(tmp_path: Path) -> None:
    train = videos(tmp_path / "pile", "videos", "a.avi", "v_Archery_g08_c01.avi")
    memory = {"trained_on": trained_on(train)}
    other = videos(tmp_path / "other", "videos", "b.avi", "v_Archery_g08_c03.avi", "v_Archery_g09_c01.avi")
    (tmp_path / "other" / "copy.avi").write_bytes(b"a")
    names = ("copy.avi", "b.avi", "v_Archery_g08_c03.avi", "v_Archery_g09_c01.avi")
    assert seen_files(memory, [other.root / name for name in names]) == [True, False, True, False]
    assert seen_files(None, [other.root / "copy.avi"]) == [False]


def test_files_of_other_sizes_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = saved(tmp_path / "model", {"trained_on": trained_on(videos(tmp_path / "pile", "videos", "long.avi"))})
    test = videos(tmp_path / "acts", "folder", "run/d.avi", "walk/e.avi")
    monkeypatch.setattr("tubelet.datasets.content.content_hash", lambda path: pytest.fail(f"{path} was read"))
    assert refuse_seen_groups(weights, test) == []


def test_sources_are_known_again_by_names_like_those_of_ucf101(tmp_path: Path) -> None:
    """Another cut of a source, or the same encoded again, in a data set of another name."""
    train = videos(tmp_path / "small-ucf", "videos", "v_Archery_g08_c01.mp4", "deep/v_Bowling_g09_c02.mp4")
    assert train.groups == ("g08", "g09"), "what is split for a teacher is split by groups"
    weights = saved(tmp_path / "model", {"trained_on": trained_on(train)})
    names = ("Archery/v_Archery_g08_c03.avi", "Bowling/v_Bowling_g09_c02.avi", "Bowling/v_Bowling_g08_c01.avi")
    labeled = videos(tmp_path / "UCF-101", "folder", *names, salt=" encoded again")
    with pytest.raises(UsageError, match="2 of the 2 test groups"):
        refuse_seen_groups(weights, labeled)
    # Number 8 of Bowling was not seen: it has nothing to do with number 8 of Archery, in whose group it is here.
    assert refuse_seen_groups(weights, labeled.select(keep=[1])) == []
