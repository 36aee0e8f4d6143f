"""ActivityNet: order of several classes, segments that hold nothing, files of annotations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tubelet.datasets.activitynet import find_activitynet, open_activitynet, read_activitynet
from tubelet.errors import InputDataError

A, B = "--1DO2V4K74", "QOlSCBRmfWY"


def write(path: Path, **entries: list[tuple[str, float, float]]) -> Path:
    database = {
        name.replace("__", "--"): {
            "subset": "training",
            "annotations": [{"label": label, "segment": [start, end]} for label, start, end in segments],
        }
        for name, segments in entries.items()
    }
    path.write_text(json.dumps({"database": database, "version": "1.3"}))
    return path


def test_the_class_of_the_longest_time_comes_first(tree, tmp_path: Path) -> None:
    rows = [("b", 0.0, 2.0), ("a", 1.0, 2.5), ("a", 3.0, 3.75), ("c", 0.0, 2.0), ("c", 0.0, 2.0), ("b", 4.0, 4.0)]
    path = write(tmp_path / "activity_net.v1-3.min.json", __1DO2V4K74=rows)
    root = tree(f"v_{A}.mp4")
    (item,) = (found := open_activitynet(root)).items
    assert (item.label, item.more_labels) == ("a", ("b", "c"))  # 2.25 s, 2 s, 2 s
    assert found.classes == ("a", "b", "c"), "without a taxonomy the labels that occur"
    assert found.findings.notes == (
        f"1 segments end where they begin and are left out: {A}",
        f"1 segments are repeated and count once: {A}",
    )
    parts = open_activitynet(root, segments=True, annotations=path)
    assert [(item.start_s, item.end_s, item.label, item.more_labels) for item in parts.items] == [
        (0.0, 2.0, "b", ("c",)),
        (1.0, 2.5, "a", ()),
        (3.0, 3.75, "a", ()),
    ]
    assert parts.group_hashes == found.group_hashes, "what was trained on segments knows the videos"


def test_videos_without_segments_are_told(tree, tmp_path: Path) -> None:
    write(tmp_path / "activity_net.v1-3.min.json", __1DO2V4K74=[("a", 0, 1)], QOlSCBRmfWY=[])
    parts = open_activitynet(tree(f"v_{A}.mp4", f"v_{B}.mp4"), segments=True)
    assert len(parts) == 1
    assert parts.findings.notes == ("1 videos have no annotated segment and are left out",)


def test_several_versions_in_one_folder(tree, tmp_path: Path) -> None:
    for version in ("1-2", "1-3"):
        write(tmp_path / f"activity_net.v{version}.min.json", __1DO2V4K74=[("a", 0, 1)])
    root = tree(f"v_{A}.mp4")
    with pytest.raises(InputDataError, match=r"several versions.*v1-2.*v1-3.*--annotations FILE"):
        open_activitynet(root)
    assert find_activitynet(root, tmp_path / "activity_net.v1-2.min.json").name.endswith("v1-2.min.json")
    with pytest.raises(InputDataError, match="not found"):
        open_activitynet(tree(f"deep/v_{A}.mp4") / "deep")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[1, 2]", "no annotations of ActivityNet"),
        ("[" * 100_000, "no annotations of ActivityNet"),
        ('{"database": {"x": 3}}', "x: not a subset"),
        (
            '{"database": {"x": {"subset": "training", "annotations": [{"label": "a", "segment": [0, 1, 2]}]}}}',
            "not a start",
        ),
        (
            '{"database": {"x": {"subset": "training", "annotations": [{"label": "a", "segment": [0, NaN]}]}}}',
            "no segment",
        ),
        ('{"database": {"x": {"subset": "training", "annotations": [{"label": 3, "segment": [0, 1]}]}}}', "no class"),
        ('{"database": {"x": {"subset": 3, "annotations": []}}}', "x: not a subset"),
    ],
)
def test_other_json_is_one_clear_error(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "activity_net.json"
    path.write_text(text)
    with pytest.raises(InputDataError, match=says) as caught:
        read_activitynet(path)
    assert len(str(caught.value)) < 600
