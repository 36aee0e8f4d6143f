"""``tubelet evaluate objects`` on videos whose objects were planted: which windows count, and what comes out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tubelet.protocols import comparable
from tubelet.video.encode import encode

Tubelet = Callable[..., Any]
NET = ("--model", "untrained:c3d_small", "--workers", "1", "--device", "cpu")
COLORS = {"cup": (230, 40, 40), "pen": (40, 220, 60)}


def frame(rng: np.random.Generator, label: str | None) -> np.ndarray:
    """48 x 64 pixels of gray noise; an object is a patch of its color in its middle."""
    picture = rng.normal(120, 20, (48, 64, 3))
    if label is not None:
        picture[12:36, 16:48] = COLORS[label]
    return np.clip(picture, 0, 255).astype(np.uint8)


# Frames of each video: which object is seen for how long. Windows begin at 0, 8 and 16.
PLANS = {
    "cup": (("cup", 24), (None, 8)),  # 16, 16, 8 frames of a cup: three windows
    "pen": ((None, 9), ("pen", 23)),  # 7, 15, 16 of a pen: the first window is dropped
    "both": (("cup", 16), ("pen", 16)),  # cup; 8 of each, a tie that the cup wins; pen
    "none": ((None, 32),),
}
TRAIN, TEST = ("cup", "pen", "both", "cup", "pen", "none"), ("cup", "pen") * 5 + ("none",)


@pytest.fixture(scope="session")
def objects_folder(made_once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """Six videos to train on and eleven to test, of 32 frames, with ``frame_labels.csv``."""

    def make(folder: Path) -> None:
        rng = np.random.default_rng(0)
        lines = ["file_name,frame,last_frame,label,split"]
        for split, plans in (("train", TRAIN), ("test", TEST)):
            for number, plan in enumerate(plans):
                name, at, frames = f"{split}{number:02d}.mp4", 0, []
                for label, length in PLANS[plan]:
                    frames += [frame(rng, label) for _ in range(length)]
                    lines.append(f"{name},{at},{at + length - 1},{label or ''},{split}")
                    at += length
                encode(folder / name, np.stack(frames), codec="mpeg4")
        (folder / "frame_labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")

    return made_once("objects", make)


@pytest.fixture(scope="module")
def finished(tubelet: Tubelet, objects_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    out = tmp_path_factory.mktemp("objects") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(comparable.CLASSES, "egocentric", 2)
        return out, tubelet("evaluate", "objects", "--data", objects_folder, *NET, "-o", out)


def test_planted_objects_are_told_apart(finished: Any) -> None:
    out, found = finished
    assert found.code == 0, found.err
    lines = found.out.splitlines()
    # 5 test videos with 3 windows of a cup, 5 with 2 of a pen.
    assert lines[0].startswith("linear SVM on c3d_small fc6, 512 numbers: clip accuracy 100.0% (95% interval ")
    assert "over 10 videos) on 25 clips; published: 22.3% clip accuracy (C3D + linear SVM)" in lines[0]
    assert any("there: Ren and Philipose's 42 objects in their own split" in line for line in lines)
    assert not any("window_frames" in line or "least_frames" in line for line in lines), "they are the paper's"
    assert any(line.split()[:3] == ["cup", "15", "15"] for line in lines)
    assert any(line.split()[:3] == ["pen", "10", "10"] for line in lines)
    # Of 17 videos with 3 windows: 2 without any object; 7 of a pen lose one; one of both has a tie.
    told = "38 of 51 windows have a label (1 of them by a tie, where the object seen first counts), 6 show no object"
    assert any(line.startswith(f"  note: {told}, in 7 none is seen long enough") for line in lines)
    assert "objects: 2 classes, held-out: 6 videos to train on, 11 to test" in found.err
    result = json.loads((out / "result.json").read_text())
    assert result["settings"]["clips"]["kept"] == 38
    assert result["predictions"][0]["video_id"] == "test00.mp4#t=0,0.64"
    assert "Windows" in (out / "report.html").read_text(encoding="utf-8")


def test_the_rule_is_an_option_and_a_difference(tubelet: Tubelet, finished: Any, objects_folder: Path, tmp_path: Path,
                                                monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setitem(comparable.CLASSES, "egocentric", 2)
    table = ("--data", objects_folder, "--table", finished[0] / "descriptors")
    found = tubelet("evaluate", "objects", *table, "--least-frames", 9, "-o", tmp_path / "nine", "--json")
    assert found.code == 0, found.err
    result = found.json["parts"]["held-out"]
    assert result["settings"]["clips"]["kept"] == 38 - 7 - 1, "those of eight frames"
    assert result["settings"]["clips"]["ties"] == 0
    assert "least_frames 9 here, 8 there" in result["published"]["differences"]
    turns = tubelet("evaluate", "objects", *table, "--leave-one-out", "-o", tmp_path / "turns", "--json")
    assert turns.code == 0, turns.err
    whole = turns.json["parts"]["videos"]
    assert whole["protocol"].endswith(", leaving one video out")
    assert (whole["n"], whole["interval"]["n_units"], whole["value"]) == (38, 15, 1.0)


def test_a_missing_video_is_listed(tubelet: Tubelet, objects_folder: Path, tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    for path in objects_folder.iterdir():
        (videos / path.name).write_bytes(b"no video" if path.name == "test00.mp4" else path.read_bytes())
    found = tubelet("evaluate", "objects", "--data", videos, *NET, "-o", tmp_path / "run", "--json")
    assert found.code == 3
    assert found.json["missing"] == ["test00.mp4"]
    assert found.json["parts"]["held-out"]["n"] == 22
    assert found.json["parts"]["held-out"]["interval"] is None, "nine videos with an object are left"
    (line,) = (tmp_path / "run" / "failed.jsonl").read_text().splitlines()
    assert json.loads(line)["video_id"] == "test00.mp4"


@pytest.mark.parametrize(
    ("options", "code", "complaint"),
    [
        ([], 2, "there are no descriptors to fit an SVM on"),
        (["--table", "none"], 4, "there is no descriptor table here: none"),
        ([*NET, "--annotations", "."], 4, "the folder holds no frame_labels.csv"),
        ([*NET, "--leave-one-out", "--test-groups", "a"], 2, "every video is tested on in turn"),
    ],
)
def test_what_does_not_fit_is_refused(
    tubelet: Tubelet, objects_folder: Path, tmp_path: Path, options: list[str], code: int, complaint: str
) -> None:
    found = tubelet("evaluate", "objects", "--data", objects_folder, *options, "-o", tmp_path / "out")
    assert (found.code, found.out) == (code, "")
    assert found.complaint.startswith(complaint), found.complaint
    assert not (tmp_path / "out").exists()
