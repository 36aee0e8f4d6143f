"""``tubelet flow``: what it prints, writes and draws, and what a wrong command is told."""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tubelet.flow.store import open_flow
from tubelet.video.encode import encode
from tubelet.video.reader import Video

Tubelet = Callable[..., Any]


def moving_square(frames: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A checkered square on checkered ground that moves 3 pixels to the left per frame."""
    rng = np.random.default_rng(0)
    square = np.kron(rng.integers(0, 255, (8, 8), dtype=np.uint8), np.ones((3, 3), np.uint8))
    ground = np.kron(rng.integers(0, 255, (16, 24), dtype=np.uint8), np.ones((4, 4), np.uint8))
    out = np.repeat(ground[None, ..., None], 3, axis=3).repeat(frames, axis=0)
    for index in range(frames):
        left = 60 - 3 * index
        out[index, 20:44, left : left + 24] = square[..., None]
    return out


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("flow") / "videos"
    (root / "left").mkdir(parents=True)
    encode(root / "left" / "a.mp4", moving_square(10), fps=25, codec="libx264rgb", options={"qp": "0"})
    (root / "broken.avi").write_bytes(b"RIFF\x00\x00\x00\x00AVI " + bytes(500))
    return root


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stored") / "flow"


@pytest.fixture(scope="module")
def first(tubelet: Tubelet, folder: Path, out: Path) -> Any:
    return tubelet("flow", folder, "-o", out, "--workers", 1, "--picture", "--json")


def test_flow_is_stored_and_failures_are_listed(first: Any, out: Path) -> None:
    assert first.code == 3
    assert (first.json["videos"], first.json["done"], first.json["failed"]) == (2, 1, 1)
    assert [row["video_id"] for row in first.json["failures"]] == ["broken.avi"]
    assert len(list((out / "left" / "a").glob("flow_x_*.jpg"))) == 9
    assert first.json["pairs"] == 9
    assert "2 videos, dis_medium, forward, jpeg" in first.err
    # Progress by frames, with what is written and how long it takes.
    done = [line for line in first.err.splitlines() if line.startswith("computing flow")][-1]
    assert "0/0" not in first.err, "the broken file is opened first, and says nothing about the other's frames"
    assert re.search(r"10/10 frames · .*video 2 of 2 · failed 1 · \d+ kB · [\d.]+ frames/s · took ", done), done
    record = json.loads((out / "left" / "a" / "flow.json").read_text())
    assert record["settings"]["quality"] == 95


def test_the_square_moves_left(first: Any, out: Path) -> None:
    levels = cv2.imread(str(out / "left" / "a" / "flow_x_00001.jpg"), cv2.IMREAD_GRAYSCALE)
    vectors = levels / 255 * 40 - 20
    assert np.median(vectors[26:38, 66:78]) == pytest.approx(-3, abs=0.6)
    assert np.median(vectors[:10]) == pytest.approx(0, abs=0.1)


def test_the_picture_shows_frames_and_colors(first: Any, out: Path) -> None:
    assert first.json["pictures"] == [str(out / "left" / "a.flow.png")]
    picture = cv2.imread(first.json["pictures"][0])[..., ::-1].astype(int)
    # Motion to the left is blue-green on the wheel: little red, much green and blue.
    saturated = (picture.max(axis=-1) - picture.min(axis=-1)) > 120
    red, green, blue = picture[saturated].mean(axis=0)
    assert saturated.mean() > 0.005
    assert red < green
    assert red < blue


def test_a_second_run_skips(first: Any, tubelet: Tubelet, folder: Path, out: Path) -> None:
    plan = tubelet("flow", folder, "-o", out, "--dry-run", "--json")
    assert (plan.code, plan.json["todo"], plan.json["skipped"]) == (0, 1, 1)
    stale = tubelet("flow", folder, "-o", out, "--dry-run", "--bound", 10, "--json")
    assert stale.json["todo"] == 2


def test_the_compact_store_of_one_video(tubelet: Tubelet, folder: Path, tmp_path: Path) -> None:
    command = "--store compact --algorithm farneback --direction both --resize 64x48 --step 2 --rgb --workers 1"
    found = tubelet("flow", folder / "left" / "a.mp4", "-o", tmp_path, *command.split())
    assert found.code == 0, found.err
    lines = found.out.splitlines()
    assert lines[0] == f"{tmp_path}: 1 stored, 0 already there, 0 failed"
    assert lines[1].startswith("4 pairs of frames at ")
    assert "JPEG quality 95" in lines[2]
    with zipfile.ZipFile(tmp_path / "a.flow.zip") as archive:
        assert len(archive.namelist()) == 4 * 4 + 5 + 1
        assert cv2.imdecode(np.frombuffer(archive.read("back_y_00004.jpg"), np.uint8), -1).shape == (48, 64)
    checked = tubelet("flow", tmp_path, "--verify", "--workers", 1)
    assert (checked.code, checked.out.strip()) == (0, f"{tmp_path}: flow of 1 videos, 0 damaged")
    place = tmp_path / "a.flow.zip"
    data = bytearray(place.read_bytes())
    data[100] ^= 1
    place.write_bytes(data)
    checked = tubelet("flow", tmp_path, "--verify", "--workers", 1, "--json")
    assert checked.code == 3
    assert list(checked.json["damaged"]) == ["a.flow.zip"]


def test_tvl1_of_a_real_clip(tubelet: Tubelet, shared_data: Path, tmp_path: Path) -> None:
    """A runner who crosses the picture from right to left in front of a wall, in both directions."""
    with Video(shared_data / "weizmann" / "run" / "daria_run.avi") as clip:
        frames = clip.frames(range(19, 22))[:, 40:136, 60:156]
    encode(tmp_path / "run.mp4", frames, fps=25, codec="libx264rgb", options={"qp": "0"})
    command = "--algorithm tvl1 --direction both --store compact --workers 1"
    found = tubelet("flow", tmp_path / "run.mp4", "-o", tmp_path / "flow", *command.split())
    assert found.code == 0, found.err
    with open_flow(tmp_path / "flow" / "run.flow.zip") as stored:
        assert (stored.algorithm, len(stored), stored.size_hw) == ("tvl1", 2, (96, 96))
        forward = stored.flow(range(2)).vectors
    with open_flow(tmp_path / "flow" / "run.flow.zip", direction="backward") as stored:
        backward = stored.flow(range(2)).vectors
    for vectors, sign in ((forward, -1), (backward, 1)):
        runner = np.abs(vectors[..., 0]) > 2
        assert 0.03 < runner.mean() < 0.25, "of the crop"
        assert 3 < sign * np.median(vectors[..., 0][runner]) < 6
        assert np.abs(np.median(vectors[~runner], axis=0)).max() < 0.1, "the wall stands still"


def test_wrong_commands(tubelet: Tubelet, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for options, said in (
        (["--algorithm", "brox"], "brox"),
        (["--resize", "340"], "give width x height in pixels, such as 340x256"),
        (["--direction", "up"], "--direction cannot be 'up'; use one of forward, backward, both"),
        (["--store", "tar"], "--store cannot be 'tar'"),
        (["--bound", "0"], "bound of flow is 0"),
    ):
        found = tubelet("flow", folder, "-o", tmp_path / "x", *options)
        assert (found.code, said in found.complaint) == (2, True), found.err
    missing = tubelet("flow", tmp_path / "gone", "-o", tmp_path / "x")
    assert missing.code == 4
    nothing = tubelet("flow", folder, "--verify")
    assert (nothing.code, "no flow is stored here" in nothing.complaint) == (4, True)
    assert not (tmp_path / "x").exists()


def test_without_opencv_the_extra_is_named(python: Any, folder: Path, tmp_path: Path) -> None:
    code = "import sys\nsys.modules['cv2'] = None\nfrom tubelet.cli.main import main\nsys.exit(main(sys.argv[1:]))"
    found = python(code, "flow", folder, "-o", tmp_path / "x", env=os.environ)
    assert found.returncode == 5, found.stderr
    assert "pip install 'tubelet[flow]'" in found.stderr
