"""Sports-1M: the official labels, several labels a video, what the lists repeat."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tubelet.datasets.official_lists import list_names
from tubelet.datasets.sports1m import open_sports1m, read_sports1m_lists
from tubelet.datasets.youtube import url_id, youtube_id
from tubelet.errors import InputDataError
from tubelet.protocols.metrics import hits_at

ID, OTHER, THIRD = "UDqivjS-lpI", "udqivjS-lpI", "00000000000"
URL = "https://www.youtube.com/watch?v="


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    folder = tmp_path / "sports-1m-dataset"
    (folder / "original").mkdir(parents=True)
    (folder / "labels.txt").write_text("boomerang\nboxing\nbowling\ndecathlon\n")
    (folder / "original/train_partition.txt").write_text(f"{URL}{ID} 3,1\n{URL}{OTHER} 0\n{URL}{ID} 3,1\n")
    (folder / "original/test_partition.txt").write_text(f"{URL}{THIRD} 2,0,2\n{URL}{OTHER} 0\n")
    return folder


def test_the_official_labels(shared_data: Path) -> None:
    # README of the repository: "the last corresponds to index 486 (model aircraft)", the first is boomerang.
    names = list_names(shared_data / "sports1m/labels.txt")
    assert (len(names), names[0], names[486]) == (487, "boomerang", "model aircraft")


def test_repeated_and_shared_videos_are_told(lists: Path) -> None:
    read = read_sports1m_lists(lists)
    assert read.videos == {
        ID: ("train", ("decathlon", "boxing")),
        OTHER: ("train", ("boomerang",)),
        THIRD: ("test", ("bowling", "boomerang")),
    }
    assert read.notes == (
        f"1 lines are repeated and count once: {ID}",
        f"1 videos are in both partitions and left out of the test: {OTHER}",
    )


def test_any_of_several_labels_is_a_hit(tree, lists: Path) -> None:
    found = open_sports1m(tree(f"{ID}.mp4", f"yt_{OTHER}.mkv", f"v_{THIRD}/", "archery1234/a.avi"))
    assert [item.path for item in found.items] == [f"{ID}.mp4", f"yt_{OTHER}.mkv", f"v_{THIRD}"]
    assert found.findings.unlisted == ("archery1234/a.avi",), "a class folder of eleven letters is no video"
    assert found.targets.tolist() == [3, 0, 2], "training takes the first"
    assert found.every_target.tolist() == [[3, 1], [0, -1], [2, 0]]
    scores = np.array([[0.1, 0.5, 0.0, 0.4], [0.2, 0.5, 0.3, 0.0], [0.3, 0.4, 0.2, 0.1]])
    # Best classes in order: 1 3 0 2; 1 2 0 3; 1 0 2 3.
    assert hits_at(scores, found.every_target, 1).tolist() == [True, False, False]
    assert hits_at(scores, found.every_target, 2).tolist() == [True, False, True]
    assert hits_at(scores, found.targets, 2).tolist() == [True, False, False]
    assert hits_at(scores, found.every_target, 9).tolist() == [True, True, True]


def test_ids_that_differ_by_case_are_two_videos_but_two_files_of_one_are_refused(tree, lists: Path) -> None:
    root = tree(f"a/{ID}.mp4", f"b/{OTHER}.mp4")
    assert len(open_sports1m(root)) == 2
    (root / f"v_{ID}.webm").touch()
    with pytest.raises(InputDataError, match="the same video more than once"):
        open_sports1m(root)


def test_lists_that_are_still_packed(tree, lists: Path) -> None:
    (lists / "original/train_partition.txt").rename(lists / "original/train_partition.txt.gz")
    with pytest.raises(InputDataError, match="gzip -d its lists"):
        open_sports1m(tree(f"{ID}.mp4"))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("UDqivjS-lpI.mp4", ID),
        ("yt_UDqivjS-lpI.mkv", ID),
        ("v_UDqivjS-lpI", ID),
        ("yt_UDqivjS-.mp4", "yt_UDqivjS-"),  # eleven letters that begin so are an id themselves
        ("UDqivjS-lp.mp4", None),
        ("a UDqivjS-lpI.mp4", None),
    ],
)
def test_ids_in_names(name: str, found: str | None) -> None:
    assert youtube_id(name) == found


def test_ids_in_addresses() -> None:
    assert url_id(f"http://youtube.com/watch?v={ID}") == url_id(f"https://youtu.be/{ID}") == ID
    assert url_id(f"https://www.youtube.com/watch?v={ID}x") is None
    assert url_id("https://vimeo.com/123456") is None
