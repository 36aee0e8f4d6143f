"""Weights remember whom they have seen, through every fine-tuning, and are not tested on them unknowingly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tubelet.datasets.manifest import Item, Manifest
from tubelet.errors import UsageError
from tubelet.models.registry import create_model
from tubelet.protocols.leak import refuse_seen_groups, refuse_shared_groups, trained_on


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
