"""``tubelet data check``: what it prints, writes and ends with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tubelet.cli.data import app
from tubelet.datasets import DATASETS, open_dataset
from tubelet.datasets.manifest import Manifest
from tubelet.errors import InputDataError, UsageError
from tubelet.video.encode import encode

runner = CliRunner()


@pytest.fixture(scope="session")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every fault: damaged, unreadable, short, copied, leaking, misnamed."""
    root = tmp_path_factory.mktemp("videos") / "faulty"
    frames = np.random.default_rng(0).integers(0, 255, (40, 48, 64, 3), np.uint8)

    def video(name: str, count: int = 40, shift: int = 0) -> Path:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        return encode(root / name, np.roll(frames[:count], shift, axis=1), codec="mpeg4")

    video("train/walk/a.avi", shift=1)
    cut = video("train/walk/cut.avi", shift=2)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size * 6 // 10])
    video("train/run/b.avi", shift=3)
    video("train/Run/c [red].avi", shift=4)
    video("test/walk/short.avi", 7)
    (root / "test/run").mkdir()
    (root / "test/run/copy of b.avi").write_bytes((root / "train/run/b.avi").read_bytes())
    (root / "train/walk/text.mp4").write_text("no video")
    (root / "train/notes.txt").touch()
    return root


def check(*arguments: object) -> tuple[int, str, str]:
    result = runner.invoke(app, ["check", *map(str, arguments), "--workers", "1"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def test_every_fault_is_named_and_the_exit_code_is_that_of_the_worst(faulty: Path, tmp_path: Path) -> None:
    code, out, err = check(faulty, "-o", tmp_path / "report")
    assert code == 4
    lines = [line.rstrip() for line in out.splitlines()]
    assert lines[0] == "faulty  (folder)  7 videos, 3 classes"
    assert "run       1      1" in lines
    assert "Run       –      1" in lines
    assert "  the same content is in test and train: test/run/copy of b.avi = train/run/b.avi" in lines
    assert any(line.startswith("  train/walk/text.mp4: cannot open as a video") for line in lines)
    assert any(line.startswith("  train/walk/cut.avi: ") and " of 40 frames; " in line for line in lines)
    assert "  test/walk/short.avi: 7 frames" in lines
    assert "ignored (no videos): 1" in lines
    assert "note: these classes are probably one: 'Run', 'run'" in lines
    assert lines[-3:] == [
        "PROBLEM: 1 leak between splits: what is tested was trained on",
        "PROBLEM: 1 video cannot be read",
        "PROBLEM: 1 video lost frames",
    ]
    assert str(faulty) not in out, "paths are those of the manifest"
    assert "checking 7/7 videos" in err

    failed = [json.loads(line) for line in (tmp_path / "report/failed.jsonl").read_text().splitlines()]
    assert [(row["video_id"], row["kind"]) for row in failed] == [
        ("train/walk/text.mp4", "failed"),
        ("train/walk/cut.avi", "partial"),
    ]
    assert json.loads((tmp_path / "report/check.json").read_text())["exit_code"] == 4
    assert len(Manifest.from_csv(tmp_path / "report/manifest.csv", faulty)) == 7


def test_without_a_leak_the_failed_videos_decide(faulty: Path) -> None:
    code, out, _ = check(faulty / "train", "--short-frames", 41, "--json")
    report = json.loads(out)
    assert code == report["exit_code"] == 3
    assert report["kind"] == "folder"
    assert report["counts"] == {"Run": {"": 1}, "run": {"": 1}, "walk": {"": 3}}
    assert [row["path"] for row in report["unreadable"]] == ["walk/text.mp4"]
    assert [row["path"] for row in report["short"]] == [
        "Run/c [red].avi",
        "run/b.avi",
        "walk/a.avi",
        "walk/cut.avi",
    ]


def test_real_clips_without_fault(shared_data: Path) -> None:
    code, out, _ = check(shared_data / "weizmann")
    assert code == 0
    lines = [line.rstrip() for line in out.splitlines()]
    assert lines[:2] == ["weizmann  (weizmann)  60 videos, 10 classes", "groups: 6 (actors, from the names)"]
    assert "all        60" in lines
    # 36 to 146 frames of 180×144 at 25 frames/s: the data's README.
    assert any(line.startswith("length    36 to 146 frames") for line in lines)
    assert "size      180×144: 60" in lines
    assert "frames/s  25: 60" in lines
    assert lines[-1] == "All videos are whole."


def test_frames_with_official_lists(shared_data: Path) -> None:
    code, out, err = check(shared_data / "ucf101/frames_5fps", "--fps", 5, "--split", 2)
    assert code == 0
    assert out.startswith("ucf101-split2  (ucf101)  90 videos, 5 classes, 5 frames/s given")
    assert "missing: 13230" in out
    assert "more (--json lists all)" in out
    assert "All videos are whole, and the splits share nothing." in out
    assert "Warning" not in err


def test_videos_without_labels(faulty: Path) -> None:
    code, out, _ = check(faulty / "train/run", "--kind", "videos")
    assert code == 0
    assert out.startswith("run  (videos)  1 video, no labels\ngroups: each video is its own group\n")


def test_many_classes_are_cut_to_the_smallest(tmp_path: Path) -> None:
    clip = encode(tmp_path / "x.avi", np.zeros((16, 16, 16, 3), np.uint8), codec="mpeg4").read_bytes()
    for label in range(45):
        for number in range(2 if label < 5 else 1):
            path = tmp_path / f"many/c{label:02d}/{number}.avi"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(clip)
    _, out, _ = check(tmp_path / "many")
    assert "class (the 40 smallest)" in out
    assert "c44" in out
    assert "c00 " not in out.split("same content")[0]
    assert "50 videos, 45 classes" in out


def test_errors_reach_the_entry_point(faulty: Path) -> None:
    with pytest.raises(InputDataError, match="no such folder"):
        check(faulty / "nope")
    with pytest.raises(UsageError, match="did you mean weizmann"):
        check(faulty, "--kind", "weizman")
    code, _, err = check(faulty, "--short-frames", 0)
    assert code == 2
    assert "short-frames" in err


def test_help_needs_neither_torch_nor_a_decoder() -> None:
    code = (
        "import sys\nfrom tubelet.cli.data import app\n"
        "try:\n    app(['check', '--help'], prog_name='data')\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "assert not {'torch', 'av', 'numpy'} & set(sys.modules), set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert "--short-frames" in done.stdout


def run(*arguments: object) -> tuple[int, str]:
    result = runner.invoke(app, list(map(str, arguments)))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def test_kinds_are_listed() -> None:
    code, out = run("kinds")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[::2]] == list(DATASETS)
    assert "sports1m              Sports-1M with its official partitions" in out
    assert json.loads(run("kinds", "--json")[1])[-1]["kind"] == list(DATASETS)[-1]


def test_videos_are_cut_into_clips(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (60, 32, 48, 3), np.uint8)
    root = tmp_path / "videos"
    for name, count in (("train/a/one.mp4", 60), ("train/a/two.mp4", 10), ("test/a/three.mp4", 20)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        encode(root / name, frames[:count], codec="mpeg4")
    (root / "train/a/text.mp4").write_text("no video")
    cut = ("cut", root, "--clips", 5, "--seconds", 1, "--seed", 3, "--workers", 1)
    code, out = run(*cut, "-o", root / "metadata.csv", "--json")
    assert code == 3
    assert json.loads(out) == {
        "table": str(root / "metadata.csv"),
        "videos": 3,
        "rows": 7,
        "whole": 1,
        "failed": 1,
        "seed": 3,
    }
    assert json.loads((root / "failed.jsonl").read_text())["video_id"] == "train/a/text.mp4"
    (root / "train/a/text.mp4").unlink()
    clips = [item for item in open_dataset(root).items if item.path == "train/a/one.mp4"]
    assert [item.split for item in clips] == ["train"] * 5
    assert all(0 <= item.start_s <= 1.4 and item.end_s == pytest.approx(item.start_s + 1) for item in clips)
    assert check(root)[0] == 0
    # A table above the videos, of all splits.
    code, out = run(*cut, "--kind", "class-folders", "--split", "all", "-o", tmp_path / "metadata.csv")
    assert code == 0
    # one.mp4 has 2.4 s; the two others have 0.4 and 0.8 s and stay whole.
    assert out == f"{tmp_path / 'metadata.csv'}: 7 rows of 3 videos (2 kept whole: too short to cut), 0 unreadable\n"
    again = [item for item in open_dataset(tmp_path).items if item.path == "videos/train/a/one.mp4"]
    assert [(item.start_s, item.end_s) for item in again] == [(item.start_s, item.end_s) for item in clips]
    assert not (tmp_path / "failed.jsonl").exists()
    with pytest.raises(UsageError, match="the table exists"):
        run(*cut, "--kind", "class-folders", "-o", root / "metadata.csv")
    with pytest.raises(UsageError, match="the table's folder does not hold the videos"):
        run(*cut, "--kind", "class-folders", "-o", tmp_path / "other/metadata.csv")


def test_nothing_that_can_be_cut(tmp_path: Path) -> None:
    (tmp_path / "train/a").mkdir(parents=True)
    (tmp_path / "train/a/text.mp4").write_text("no video")
    with pytest.raises(InputDataError, match="not one of the videos can be read"):
        run("cut", tmp_path, "--clips", 1, "--seconds", 1, "-o", tmp_path / "m.csv", "--workers", 1)
    assert not (tmp_path / "m.csv").exists()
