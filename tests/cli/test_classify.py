"""``tubelet classify``: one file, any folder, folders of frames; words, JSON, timelines."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tubelet.video.encode import encode

Tubelet = Callable[..., Any]
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def nested(motion_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos at any depth without classes, one of them damaged, and one folder of frames."""
    root = tmp_path_factory.mktemp("nested") / "camera"
    source = motion_folder / "test"
    for place in ("2024/05/a.avi", "2025/06/b.avi"):
        (root / place).parent.mkdir(parents=True)
        shutil.copy(source / "grow" / "grow_00000.avi", root / place)
    (root / "2025" / "06" / "damaged.mp4").write_bytes(b"no video at all")
    frames = np.random.default_rng(0).integers(0, 255, (17, 48, 64, 3), np.uint8)
    for number, frame in enumerate(frames, start=1):
        one = encode(root / "frames" / "one.mkv", frame[None], codec="mjpeg")
        # A Matroska file with one JPEG in it: the picture is what lies between its markers.
        data = one.read_bytes()
        (root / "frames" / f"img_{number:05d}.jpg").write_bytes(
            data[data.index(b"\xff\xd8") : data.rindex(b"\xff\xd9") + 2]
        )
    (root / "frames" / "one.mkv").unlink()
    return root


@pytest.fixture(scope="module")
def of_nested(tubelet: Tubelet, nested: Path, trained_run: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    out = tmp_path_factory.mktemp("classified") / "out"
    found = tubelet("classify", nested, "--model", trained_run.folder, "--fps", 10, "--top", 3, "-o", out, "--json")
    return found, out


def test_the_record_of_a_folder(of_nested: Any, trained_run: Any) -> None:
    record = of_nested[0].json
    assert set(record) == {
        "model",
        "weights_sha256",
        "head",
        "classes",
        "videos",
        "failed",
        "labeled",
        "seen_in_training",
        "accuracy",
        "notes",
        "report",
    }
    assert record["head"] == "svm"
    assert len(record["classes"]) == 10
    assert [video["video_id"] for video in record["videos"]] == ["2024/05/a.avi", "2025/06/b.avi", "frames"]
    for video in record["videos"]:
        assert video["label"] is None
        assert video["predicted"] in record["classes"]
        assert [len(video["heads"][head]) for head in ("svm", "net")] == [3, 3]
        assert {"start_s", "end_s", "predicted", "score"} == set(video["clips"][0])
    assert (record["labeled"], record["accuracy"]) == (0, None)
    assert (
        record["weights_sha256"]
        == json.loads((trained_run.folder / "model" / "config.json").read_text())["weights_sha256"]
    )


def test_frames_have_the_rate_that_was_given(of_nested: Any) -> None:
    frames = of_nested[0].json["videos"][2]
    assert (frames["fps"], frames["fps_source"], frames["frames_decoded"]) == (10.0, "given", 17)
    # 17 frames at 10 frames/s hold one clip of 16.
    assert [(clip["start_s"], clip["end_s"]) for clip in frames["clips"]] == [(0.0, 1.6)]


def test_a_video_that_cannot_be_read_is_listed_and_the_code_is_3(of_nested: Any, nested: Path) -> None:
    found, out = of_nested
    assert found.code == 3
    assert [failure["path"] for failure in found.json["failed"]] == ["2025/06/damaged.mp4"]
    failed = [json.loads(line) for line in (out / "failed.jsonl").read_text().splitlines()]
    assert [row["video_id"] for row in failed] == ["2025/06/damaged.mp4"]
    assert failed[0]["path"] == str(nested / "2025" / "06" / "damaged.mp4")
    assert "failed: 2025/06/damaged.mp4: " in found.err
    assert "classifying 4/4 videos" in found.err


def test_every_video_has_its_timeline(of_nested: Any) -> None:
    found, out = of_nested
    assert found.json["report"] == str(out / "report.html")
    pictures = {path.name: path.read_bytes() for path in (out / "plots").iterdir()}
    assert set(pictures) == {"2024_05_a.avi.png", "2025_06_b.avi.png", "frames.png"}
    assert all(data.startswith(PNG) for data in pictures.values())
    assert "damaged.mp4" in (out / "report.html").read_text(encoding="utf-8")


def test_labeled_videos_in_words(tubelet: Tubelet, trained_run: Any, tmp_path: Path) -> None:
    root = tmp_path / "videos"
    for place in ("up/1.avi", "down/2.avi", "sideways/3.avi"):
        motion = place.split("/")[0] if "side" not in place else "left"
        (root / place).parent.mkdir(parents=True)
        shutil.copy(trained_run.videos / "test" / motion / f"{motion}_00000.avi", root / place)
    found = tubelet(
        "classify",
        root,
        "--model",
        trained_run.folder,
        "--head",
        "net",
        "--top",
        2,
        "--no-plots",
        "-o",
        tmp_path / "out",
    )
    assert found.code == 0
    lines = found.out.splitlines()
    scores = json.loads((trained_run.folder / "scores.json").read_text())
    of = dict(zip(scores["video_ids"], scores["net"], strict=True))
    classes = json.loads((trained_run.folder / "model" / "labels.json").read_text())
    right = 0
    for place, motion in (("down/2.avi", "down"), ("up/1.avi", "up"), ("sideways/3.avi", "left")):
        line = next(line for line in lines if line.startswith(f"{place}: "))
        ranked = np.argsort(of[f"test/{motion}/{motion}_00000.avi"])[::-1][:2]
        first, second = (f"{classes[k]} {of[f'test/{motion}/{motion}_00000.avi'][k]:.0%}" for k in ranked)
        mark = "" if motion == "left" else "  [right]" if classes[ranked[0]] == motion else f"  [is {motion}]"
        # "sideways" is a folder, but no class of the model: nothing is said about it.
        assert line == f"{place}: {first}, {second}{mark}"
        right += mark == "  [right]"
    assert lines[-1] == f"{right} of 2 labeled videos right ({right / 2:.1%}), head net"
    assert "trained on" not in found.out, "these names are new to the model"
    stretches = [line.split() for line in lines if line.startswith("    ")]
    assert stretches[0][0].split("-")[0] == "0.00"
    assert {line[0].split("-")[1] for line in stretches} <= {"0.64", "0.96"}
    assert not (tmp_path / "out").exists(), "nothing failed and no plot was wanted"


def test_one_file_is_enough(
    tubelet: Tubelet, trained_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(trained_run.videos / "test" / "up" / "up_00000.avi", "clip.avi")
    found = tubelet("classify", "clip.avi", "--model", trained_run.folder / "model")
    assert found.code == 0
    assert found.out.startswith("clip.avi: ")
    assert found.out.splitlines()[-1] == "report: runs/classify/clip/report.html"
    assert (tmp_path / "runs/classify/clip/plots/clip.avi.png").read_bytes().startswith(PNG)


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["--head", "both"], 2, "--head cannot be 'both'; use one of auto, net, svm"),
        (["--device", "tpu"], 2, "--device cannot be 'tpu'"),
        (["--model", "nowhere"], 4, "this is no model folder: nowhere (there is no such folder)"),
    ],
)
def test_a_wrong_command_says_what_to_do(
    tubelet: Tubelet, trained_run: Any, tmp_path: Path, arguments: list[str], code: int, complaint: str
) -> None:
    model = [] if "--model" in arguments else ["--model", trained_run.folder]
    found = tubelet("classify", trained_run.videos, *model, *arguments, "-o", tmp_path / "out")
    assert (found.code, found.out) == (code, "")
    assert found.complaint.startswith(complaint)
    assert len(found.err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_dry_run_writes_nothing(tubelet: Tubelet, trained_run: Any, tmp_path: Path) -> None:
    command = ("classify", trained_run.videos, "--model", trained_run.folder, "-o", tmp_path / "out", "--limit", 4)
    found = tubelet(*command, "--dry-run", "--json")
    assert (found.code, found.json["videos"]) == (0, 4)
    assert tubelet(*command, "--dry-run").out == ""
    assert not (tmp_path / "out").exists()


def test_videos_of_the_training_set_are_marked(tubelet: Tubelet, trained_run: Any, tmp_path: Path) -> None:
    command = ("classify", trained_run.videos, "--model", trained_run.folder, "--no-plots", "-o", tmp_path / "out")
    found = tubelet(*command, "--json")
    assert found.json["seen_in_training"] == 20
    assert {video["video_id"].split("/")[0] for video in found.json["videos"] if video["seen_in_training"]} == {"train"}
    assert "20 of them are of groups that the model was trained on" in tubelet(*command).out
