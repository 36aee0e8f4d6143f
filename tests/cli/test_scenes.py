"""``tubelet evaluate yupenn|maryland`` and ``evaluate descriptors --model``: described first, one video left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tubelet.protocols import comparable, descriptor_svm
from tubelet.video.encode import encode

Tubelet = Callable[..., Any]
NET = ("--model", "untrained:c3d_small", "--workers", "1", "--device", "cpu")
COLORS = {"Beach": (220, 200, 120), "Ocean": (30, 90, 200), "Street": (120, 120, 120)}


@pytest.fixture(scope="session")
def scenes_folder(made_once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """Three scenes of four videos, told apart by their colors; one video lasts for two clips."""

    def make(folder: Path) -> None:
        rng = np.random.default_rng(0)
        for label, color in COLORS.items():
            for number in range(4):
                frames = np.clip(rng.normal(color, 25, (24 if number else 16, 48, 64, 3)), 0, 255).astype(np.uint8)
                encode((folder / label / f"{number}.mp4"), frames, codec="mpeg4")

    def make_folders(folder: Path) -> None:
        for label in COLORS:
            (folder / label).mkdir()
        make(folder)

    return made_once("scenes", make_folders)


@pytest.fixture(scope="module")
def finished(tubelet: Tubelet, scenes_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    out = tmp_path_factory.mktemp("scenes") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(comparable.CLASSES, "yupenn", 3)
        return out, tubelet("evaluate", "yupenn", "--data", scenes_folder, *NET, "-o", out)


def test_one_command_describes_leaves_each_video_out_and_compares(finished: Any) -> None:
    out, found = finished
    assert found.code == 0, found.err
    lines = found.out.splitlines()
    assert lines[0].startswith("linear SVM on c3d_small fc6, 512 numbers")
    assert ", leaving one video out: accuracy 100.0% (95% interval " in lines[0]
    assert "published: 98.1% (C3D + linear SVM) [paper: C3D (Tran et al., ICCV 2015), table 5]" in lines[0]
    assert "  unlike it: network c3d_small here, c3d there" in lines
    assert "  unlike it: 12 test videos here, 420 there" in lines
    assert "yupenn: 3 classes, videos: 12 folds" in found.err
    assert len(list((out / "scores").iterdir())) == 12
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Beside the papers" in page
    result = json.loads((out / "result.json").read_text())
    assert result["value"] == 1.0
    assert "3 classes, YUPENN has 14" in result["notes"]
    assert "3 classes, YUPENN has 14" in page
    assert result["settings"]["tables"][0]["sampling"] == (
        '{"policy":"dense","clip_length":16,"stride_frames":8,"step_frames":1,"short":"loop"}'
    )


def test_typed_again_nothing_is_described_or_fitted(
    tubelet: Tubelet, finished: Any, scenes_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(*arguments: Any) -> Any:
        raise AssertionError("it is in the folder")

    monkeypatch.setattr(descriptor_svm, "fitted_decisions", fit)
    again = tubelet("evaluate", "yupenn", "--data", scenes_folder, *NET, "-o", finished[0], "--json")
    assert again.code == 0, again.err
    assert "0 described, 12 already there, 0 failed" in again.err
    assert again.json["parts"]["videos"]["value"] == 1.0
    other = tubelet("evaluate", "yupenn", "--data", scenes_folder, *NET, "-o", finished[0], "--stride-frames", 4)
    assert other.complaint.startswith("the output folder holds a run with other settings")


def test_its_table_serves_maryland_and_descriptors(
    tubelet: Tubelet, finished: Any, scenes_folder: Path, tmp_path: Path
) -> None:
    table = ("--data", scenes_folder, "--table", finished[0] / "descriptors")
    maryland = tubelet("evaluate", "maryland", *table, "-o", tmp_path / "m", "--json")
    assert maryland.code == 0, maryland.err
    result = maryland.json["parts"]["videos"]
    assert (result["n"], result["value"], result["published"]) == (12, 1.0, None), "three classes are not Maryland's"
    own = tubelet("evaluate", "descriptors", *table, "--leave-one-out", "-o", tmp_path / "d", "--json")
    assert own.code == 0, own.err
    assert own.json["parts"]["videos"]["predictions"] == result["predictions"]
    as_yupenn = tubelet("evaluate", "descriptors", *table, "--kind", "yupenn", "--dry-run", "--json")
    assert as_yupenn.json["parts"] == ["videos"]


def test_a_network_and_a_table_stand_side_by_side(tubelet: Tubelet, scenes_folder: Path, tmp_path: Path) -> None:
    names = [f"{label}/{number}.mp4" for label in COLORS for number in range(4)]
    np.savez(tmp_path / "idt.npz", video_id=np.array(names), h=np.random.default_rng(0).random((12, 5)))
    broken = tmp_path / "videos"
    for name in names[1:]:
        (broken / name).parent.mkdir(parents=True, exist_ok=True)
        (broken / name).write_bytes((scenes_folder / name).read_bytes())
    (broken / names[0]).write_bytes(b"this is no video")
    command = ("evaluate", "descriptors", "--data", broken, "--table", tmp_path / "idt.npz", *NET)
    found = tubelet(*command, "--leave-one-out", "-o", tmp_path / "run", "--json")
    assert found.code == 3
    result = found.json["parts"]["videos"]
    assert result["protocol"].startswith("linear SVM on idt + c3d_small ")
    assert found.json["missing"] == [names[0]]
    assert result["n"] == 11
    (line,) = (tmp_path / "run" / "failed.jsonl").read_text().splitlines()
    assert json.loads(line)["video_id"] == names[0]


def test_a_network_that_saw_the_videos_is_refused_before_the_work(
    tubelet: Tubelet, trained_run: Any, tmp_path: Path
) -> None:
    command = (
        "evaluate",
        "descriptors",
        "--data",
        trained_run.videos,
        "--kind",
        "folder",
        "--leave-one-out",
        "--model",
    )
    found = tubelet(*command, trained_run.folder, "-o", tmp_path / "run")
    assert found.code == 2
    assert found.complaint.startswith("the weights were trained on 20 of the 30 test groups")
    assert not (tmp_path / "run" / "descriptors").exists()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["yupenn"], "there are no descriptors to fit an SVM on"),
        (["descriptors", *NET, "--leave-one-out", "--leave-one-group-out"], "one video is left out, or one group"),
        (["descriptors", *NET, "--leave-one-out", "--test-fraction", "0.2"], "every video is tested on in turn"),
        (["maryland", *NET, "--layer", "fc9"], "c3d_small has no layer"),
    ],
)
def test_what_does_not_fit_is_refused(
    tubelet: Tubelet, scenes_folder: Path, tmp_path: Path, options: list[str], complaint: str
) -> None:
    found = tubelet("evaluate", options[0], "--data", scenes_folder, *options[1:], "-o", tmp_path / "out")
    assert (found.code, found.out) == (2, "")
    assert complaint in found.complaint
    assert not (tmp_path / "out").exists()
