"""Names of videos in the table."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tubelet.datasets.manifest import Item, Manifest
from tubelet.descriptors.request import common_root, item_id, requests_of
from tubelet.errors import UsageError


@pytest.mark.parametrize(
    ("item", "name"),
    [
        (Item("walk/a.avi"), "walk/a.avi"),
        (Item("walk/a.avi", start_s=1.5, end_s=20.0), "walk/a.avi#t=1.5,20"),
        (Item("walk/a.avi", start_s=12345.678), "walk/a.avi#t=12345.678"),
        (Item("walk/a.avi", end_s=3.0), "walk/a.avi#t=,3"),
    ],
)
def test_spans_are_named_by_media_fragments(item: Item, name: str) -> None:
    assert item_id(item) == name


def test_a_manifest_gives_its_items(tmp_path: Path) -> None:
    items = (Item("walk/a.avi", "walk"), Item("b.avi", None, start_s=1.0, end_s=2.0))
    manifest = Manifest("mine", tmp_path, items, ("walk",), fps=5.0)
    first, second = requests_of(manifest)
    assert (first.path, first.video_id, first.label, first.fps) == (tmp_path / "walk/a.avi", "walk/a.avi", "walk", 5.0)
    assert not first.is_span
    assert second.is_span
    assert (second.start_s, second.end_s) == (1.0, 2.0)
    assert requests_of(manifest, fps=10.0)[0].fps == 10.0


def test_paths_are_named_relative_to_what_they_share(tmp_path: Path) -> None:
    paths = [tmp_path / "x/walk/a.avi", tmp_path / "x/run/b.avi"]
    assert [request.video_id for request in requests_of(paths)] == ["walk/a.avi", "run/b.avi"]
    assert [request.video_id for request in requests_of(paths[:1])] == ["a.avi"]
    assert [request.video_id for request in requests_of(paths, root=tmp_path)] == ["x/walk/a.avi", "x/run/b.avi"]


def test_paths_may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (request,) = requests_of(["sub/../a.avi"])
    assert (request.path, request.video_id) == (tmp_path / "a.avi", "a.avi")
    assert common_root([]) == Path(os.getcwd())
    assert requests_of([]) == []


def test_what_does_not_fit_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="outside the root"):
        requests_of([tmp_path / "a.avi"], root=tmp_path / "sub")
    with pytest.raises(UsageError, match="given twice"):
        requests_of([tmp_path / "a.avi", tmp_path / "a.avi"])
