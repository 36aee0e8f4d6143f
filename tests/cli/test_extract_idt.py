"""``tubelet extract --model idt``: what it prints and stores, and what a wrong command is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tubelet.baselines.idt.store import TrajectoryStore
from tubelet.video.encode import encode

Tubelet = Callable[..., Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A texture that moves 2 pixels a frame to the left, and a file that is no video."""
    root = tmp_path_factory.mktemp("videos") / "v"
    (root / "left").mkdir(parents=True)
    grain = np.kron(np.random.default_rng(0).integers(0, 255, (22, 34), dtype=np.uint8), np.ones((3, 3), np.uint8))
    shown = np.stack([grain[:64, 2 * t : 2 * t + 64] for t in range(18)])
    encode(
        root / "left" / "a.mp4", np.repeat(shown[..., None], 3, axis=3), fps=25, codec="libx264rgb", options={"qp": "0"}
    )
    (root / "broken.avi").write_bytes(b"RIFF\x00\x00\x00\x00AVI " + bytes(500))
    return root


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stored") / "idt"


@pytest.fixture(scope="module")
def first(tubelet: Tubelet, folder: Path, out: Path) -> Any:
    """Without the camera's part, which would take all motion out of these pictures."""
    command = ("extract", folder, "--model", "idt", "-o", out, "--workers", 1, "--json")
    return tubelet(*command, "--no-camera", "--most-trajectories", 7)


def test_trajectories_are_stored_and_failures_listed(first: Any, out: Path) -> None:
    assert first.code == 3
    assert (first.json["videos"], first.json["done"], first.json["failed"]) == (2, 1, 1)
    assert (first.json["kept"], first.json["nbytes"], first.json["most_trajectories"]) == (7, 7 * 985, 7)
    assert first.json["found"] > 7
    assert [row["video_id"] for row in first.json["failures"]] == ["broken.avi"]
    assert "2 videos, dense trajectories, 7 trajectories a video, 14 kB at most (985 bytes each)" in first.err
    assert "computing trajectories 18/18 frames" in first.err
    store = TrajectoryStore(out)
    assert store.video_ids.tolist() == ["left/a.mp4"]
    assert store.facts["settings"]["camera"] is None
    # Steps of 2 pixels to the left, of 15, divided by their whole length.
    steps = store.channels("left/a.mp4")["shape"].reshape(7, 15, 2)
    np.testing.assert_allclose(np.median(steps[..., 0]), -1 / 15, atol=0.005)
    assert abs(np.median(steps[..., 1])) < 0.005


def test_a_second_run_skips_and_other_settings_make_stale(
    first: Any, tubelet: Tubelet, folder: Path, out: Path
) -> None:
    command = ("extract", folder, "--model", "idt", "-o", out, "--dry-run", "--json")
    plan = tubelet(*command, "--no-camera", "--most-trajectories", 7)
    assert (plan.code, plan.json["todo"], plan.json["skipped"]) == (0, 1, 1)
    other = tubelet(*command, "--no-camera", "--most-trajectories", 7, "--seed", 1, "--limit", 1)
    assert (other.json["videos"], other.json["skipped"]) == (1, 0)
    assert "1 video, dense trajectories, 7 trajectories a video, 7 kB at most" in other.err
    assert tubelet(*command, "--most-trajectories", 7).json["skipped"] == 0


def test_options_of_the_other_kind_are_named(tubelet: Tubelet, folder: Path, out: Path) -> None:
    wrong = tubelet(
        "extract", folder, "--model", "idt", "-o", out, "--layers", "fc6", "--clip-length", 16, "--views", "dense",
        "--precision", "float32", "--format", "npz", "--any-flow", "--fps", 25, "--dry-run",
    )  # fmt: skip
    assert wrong.code == 2
    assert (
        "--layers, --clip-length, --views, --format, --any-flow, --precision, --fps: options of networks" in wrong.err
    )
    wrong = tubelet("extract", folder, "--model", "untrained:c3d_small", "--no-camera", "--most-trajectories", 3)
    assert wrong.code == 2
    assert "--most-trajectories, --no-camera: options of --model idt" in wrong.err
    assert "--model idt" in tubelet("extract", folder).err


def test_networks_and_trajectories_have_folders_of_their_own(
    first: Any, tubelet: Tubelet, folder: Path, out: Path, tmp_path: Path
) -> None:
    refused = tubelet("extract", folder, "--model", "untrained:c3d_small", "-o", out)
    assert refused.code == 2
    assert "trajectories of --model idt lie in this folder" in refused.err
    (tmp_path / "descriptors.lance").mkdir()
    refused = tubelet("extract", folder, "--model", "idt", "-o", tmp_path)
    assert refused.code == 2
    assert "a table of descriptors lies in this folder" in refused.err
    assert json.loads((out / "provenance.json").read_text())["model"] == "idt"
