"""Weights know their training videos again by their looks; tests on copies of them are refused or marked."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from in_process import InProcess
from tubelet.datasets.catalog import open_dataset
from tubelet.datasets.fingerprints import Fingerprints
from tubelet.datasets.manifest import Item, Manifest
from tubelet.errors import InputDataError, UsageError
from tubelet.models.registry import create_model
from tubelet.protocols import lookalikes
from tubelet.protocols.leak import refuse_seen_groups, trained_on
from tubelet.protocols.leaked import is_leaked
from tubelet.protocols.lookalikes import (
    FINGERPRINTS,
    fingerprints_record,
    look_at,
    looks_of_training,
    refuse_copies,
    refuse_copies_between,
    remembered,
)


@pytest.fixture(autouse=True)
def no_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookalikes, "ClipDecoder", InProcess)


@pytest.fixture
def train(copies_folder: Path) -> Manifest:
    return open_dataset("folder", copies_folder / "train")


@pytest.fixture
def test(copies_folder: Path) -> Manifest:
    return open_dataset("folder", copies_folder / "test")


def saved(folder: Path, manifest: Manifest, looks: Fingerprints | None) -> Path:
    """A model folder as training leaves it."""
    provenance = {"trained_on": trained_on(manifest), **fingerprints_record(looks)}
    create_model("c3d_small", 2, seed=0, width=0.0625).save(folder, labels=("run", "walk"), provenance=provenance)
    if looks is not None:
        looks.save(folder / FINGERPRINTS)
    return folder


def test_copies_of_training_videos_are_refused_with_the_pair_named(
    tmp_path: Path, train: Manifest, test: Manifest
) -> None:
    weights = saved(tmp_path / "model", train, looks_of_training([train]))
    with pytest.raises(UsageError, match=r"^3 of the 4 test videos show what the weights were trained on too") as error:
        refuse_seen_groups(weights, test)
    for pair in ("walk/trimmed.mp4 from 0", "is walk/one.avi from 0.9 s", "small.avi", "half_rate.mp4", "--allow-leak"):
        assert pair in str(error.value)
    assert "near_miss" not in str(error.value)
    assert "metadata.csv" not in str(error.value), "weights that are given have seen the copies, whatever their group"
    (note,) = refuse_seen_groups(weights, test, allow=True)
    assert note.startswith("3 of the 4 test videos show what the weights were trained on too: ")
    assert is_leaked([note])
    assert refuse_seen_groups(weights, test.select(keep=lambda item: "near_miss" in item.path)) == []


def test_what_groups_tell_already_is_not_looked_at(
    tmp_path: Path, train: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = saved(tmp_path / "model", train, looks_of_training([train]))
    monkeypatch.setattr(lookalikes, "look_at", lambda *_, **__: pytest.fail("was looked at"))
    (note,) = refuse_seen_groups(weights, train, allow=True)
    assert "3 of the 3 test groups" in note


def test_looks_are_inherited_from_the_weights_that_training_began_with(
    tmp_path: Path, train: Manifest, test: Manifest
) -> None:
    one, rest = train.select(keep=[0]), train.select(keep=[1, 2])
    first = saved(tmp_path / "first", one, looks_of_training([one]))
    second = looks_of_training([rest], [first, None])
    assert second is not None
    assert second.names == (*rest.files(), *one.files())
    weights = saved(tmp_path / "second", rest, second)
    with pytest.raises(UsageError, match="3 of the 4 test videos"):
        refuse_copies(weights, test)


def test_old_model_folders_remember_nothing(tmp_path: Path, train: Manifest, test: Manifest) -> None:
    weights = saved(tmp_path / "model", train, None)
    assert len(remembered(weights)) == 0
    assert refuse_copies(weights, test) == []
    assert refuse_seen_groups(weights, test) == []


def test_a_lost_or_foreign_file_is_said_and_a_damaged_one_refused(
    tmp_path: Path, train: Manifest, test: Manifest, caplog: pytest.LogCaptureFixture
) -> None:
    looks = look_at(train)
    weights = saved(tmp_path / "model", train, looks)
    with caplog.at_level(logging.WARNING):
        remembered(weights)
        assert not caplog.text
        looks.select([0]).save(weights / FINGERPRINTS)
        assert len(remembered(weights)) == 1
        assert "not the fingerprints that the weights' provenance names" in caplog.text
        (weights / FINGERPRINTS).unlink()
        assert refuse_copies(weights, test) == []
        assert "were not copied with them" in caplog.text
    (weights / FINGERPRINTS).write_bytes(b"damaged")
    with pytest.raises(InputDataError, match="fingerprints cannot be read"):
        refuse_copies(weights, test)


def test_the_two_parts_of_a_split_are_compared(train: Manifest, test: Manifest, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"3 of the 4 test videos show what training has too .*trimmed\.mp4.*metadata\.csv"
    ):
        refuse_copies_between([train], test)
    (note,) = refuse_copies_between([train.select(keep=[0]), train.select(keep=[1])], test, allow=True)
    assert note.startswith("2 of the 4 test videos show")
    same = train.select(keep=[0])
    assert refuse_copies_between([same], same) == [], "the same file is told by its path"
    shutil.copy(train.root / train.items[0].path, tmp_path / "copy.avi")
    with pytest.raises(UsageError, match="1 of the 1 test videos shows what training has too"):
        refuse_copies_between([same], Manifest("other", tmp_path, (Item("copy.avi"),), ()))


def test_it_can_be_switched_off(
    tmp_path: Path, train: Manifest, test: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = saved(tmp_path / "model", train, looks_of_training([train]))
    monkeypatch.setenv("TUBELET_NO_FINGERPRINTS", "1")
    assert looks_of_training([train]) is None
    assert fingerprints_record(None) == {}
    assert refuse_copies(weights, test) == []
    assert refuse_copies_between([train], test) == []


def test_of_too_many_videos_nothing_is_remembered(
    train: Manifest, test: Manifest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lookalikes, "_MOST_VIDEOS", 2)
    assert looks_of_training([train]) is None
    assert "do not remember" in caplog.text
    assert refuse_copies_between([train], test) == []
