"""Many videos: what is stored, skipped, done again and failed; and what a worker that is killed leaves."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from made_trajectories import SETTINGS, film, request

from tubelet.artifacts import lock_folder
from tubelet.baselines.idt.runner import IdtSummary, compute_trajectories, plan_trajectories
from tubelet.baselines.idt.store import (
    TRAJECTORIES_SUFFIX,
    TrajectoryFile,
    TrajectoryStore,
    stored_settings,
    trajectories_path,
)
from tubelet.baselines.idt.task import answer
from tubelet.baselines.idt.trajectories import all_trajectories
from tubelet.errors import ExitCode, UsageError
from tubelet.provenance import PROVENANCE_FILE
from tubelet.video.reader import Video

WANTED = stored_settings(SETTINGS)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two videos, one that is too short for a trajectory, and a file that is no video."""
    root = tmp_path_factory.mktemp("videos")
    (root / "bad.avi").write_bytes(b"RIFF\x00\x00\x00\x00AVI " + bytes(500))
    return {
        "a/one.mp4": film(root / "a" / "one.mp4", 20),
        "a/two.mp4": film(root / "a" / "two.mp4", 17, seed=1),
        "bad.avi": root / "bad.avi",
        "short.mp4": film(root / "short.mp4", 9),
    }


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("out") / "idt"


@pytest.fixture(scope="module")
def first(videos: dict[str, Path], out: Path) -> IdtSummary:
    return compute_trajectories(videos, out, SETTINGS, workers=2)


def copied(out: Path, videos: dict[str, Path], folder: Path) -> tuple[Path, dict[str, Path]]:
    """What was stored, and the two good videos, to be changed."""
    shutil.copytree(out, folder / "idt")
    mine = {name: Path(shutil.copy2(path, folder / path.name)) for name, path in videos.items() if name[0] == "a"}
    return folder / "idt", mine


def test_every_video_is_stored_or_listed(first: IdtSummary, videos: dict[str, Path], out: Path) -> None:
    assert (first.videos, first.done, first.skipped, first.failed, first.partial) == (4, 3, 0, 1, 0)
    assert (first.frames, first.empty, first.reasons) == (20 + 17 + 9, ("short.mp4",), {"new": 3})
    assert first.exit_code is ExitCode.SOME_FAILED
    listed = [json.loads(line) for line in (out / "failed.jsonl").read_text().splitlines()]
    assert [(row["video_id"], row["path"]) for row in listed] == [("bad.avi", str(videos["bad.avi"]))]
    assert not list(out.rglob("*.tmp"))
    provenance = json.loads((out / PROVENANCE_FILE).read_text())
    assert (provenance["model"], provenance["settings"]) == ("idt", WANTED)
    store = TrajectoryStore(out)
    assert store.video_ids.tolist() == ["a/one.mp4", "a/two.mp4", "short.mp4"]
    assert set(store.failed) == {"bad.avi"}
    counts = [store.record(name).kept for name in store.video_ids]
    assert counts[2] == 0
    assert min(counts[:2]) > 0
    assert (first.found, first.kept, first.nbytes) == (sum(counts), sum(counts), 985 * sum(counts))
    text = str(first)
    assert "3 stored, 0 already there, 1 failed" in text
    assert f"{sum(counts)} trajectories, " in text
    assert text.endswith("1 video without a trajectory: too short, too small, or nothing moves in them: short.mp4")
    with_camera = str(replace(first, empty=("a", "b"), camera=True))
    assert "2 videos without a trajectory" in with_camera
    assert with_camera.endswith("nothing moves in them but, as it seems, the camera (--no-camera keeps that): a, b")


def test_what_is_stored_is_what_the_library_computes(first: IdtSummary, videos: dict[str, Path], out: Path) -> None:
    source = videos["a/one.mp4"]
    wanted = all_trajectories((frame.image for frame in Video(source).iter_frames()), SETTINGS)
    stored = TrajectoryFile(trajectories_path(out, "a/one.mp4"))
    found = stored.trajectories()
    np.testing.assert_array_equal(found.points, wanted.points)
    np.testing.assert_array_equal(found.first_frame, wanted.first_frame)
    for name, values in found.channels.items():
        np.testing.assert_array_equal(values, wanted.channels[name].astype(np.float16).astype(np.float32))
    record, stat = stored.record, source.stat()
    assert (record.source_size, record.source_mtime_ns) == (stat.st_size, stat.st_mtime_ns)
    assert record.source_sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    assert (record.frames, record.height, record.width, record.fps) == (20, 64, 64, 25.0)
    assert (record.decode_status, record.problems) == ("ok", ())
    # Of 20 frames, one that begins in frame f ends in frame f + 15.
    assert set(np.unique(found.first_frame)) <= set(range(5))


def test_what_is_right_is_left_and_what_is_stale_is_known(
    first: IdtSummary, videos: dict[str, Path], out: Path, tmp_path: Path
) -> None:
    folder, mine = copied(out, videos, tmp_path)
    assert plan_trajectories(mine, folder, WANTED).skipped == list(mine)
    os.utime(mine["a/one.mp4"])  # touched, the same content
    assert plan_trajectories(mine, folder, WANTED).skipped == list(mine)
    assert plan_trajectories(mine, tmp_path / "other", WANTED).reasons == dict.fromkeys(mine, "new")
    for other in (stored_settings(replace(SETTINGS, quality=0.01)), stored_settings(SETTINGS, 9)):
        assert plan_trajectories(mine, folder, other).reasons == dict.fromkeys(mine, "settings")
    missing = plan_trajectories({"gone.mp4": tmp_path / "gone.mp4", **mine}, folder, WANTED).missing
    assert [name for name, _ in missing] == ["gone.mp4"]


def test_run_again_it_redoes_exactly_what_is_stale(
    first: IdtSummary, videos: dict[str, Path], out: Path, tmp_path: Path
) -> None:
    folder, mine = copied(out, videos, tmp_path)
    damaged = trajectories_path(folder, "a/one.mp4")
    data = damaged.read_bytes()
    damaged.write_bytes(data[:-1])
    mine["a/two.mp4"].write_bytes(b"no longer a video")
    mine["short.mp4"] = videos["short.mp4"]
    untouched = trajectories_path(folder, "short.mp4").stat().st_mtime_ns
    (folder / "a" / f".one.mp4{TRAJECTORIES_SUFFIX}.x.tmp").write_bytes(b"left by a killed worker")
    again = compute_trajectories(mine, folder, SETTINGS)
    assert (again.done, again.skipped, again.failed, again.reasons) == (1, 1, 1, {"damaged": 1})
    assert again.to_dict()["empty"] == ("short.mp4",), "it is told again, though its file was made before"
    assert damaged.read_bytes() == data
    assert trajectories_path(folder, "short.mp4").stat().st_mtime_ns == untouched
    assert not list(folder.rglob("*.tmp"))
    # The old trajectories of what is now another file are no longer there to be taken for its own.
    assert TrajectoryStore(folder).video_ids.tolist() == ["a/one.mp4", "short.mp4"]
    assert set(TrajectoryStore(folder).failed) == {"a/two.mp4"}


def test_a_worker_that_is_killed_costs_its_video(
    videos: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tubelet.baselines.idt.runner.TASK", "made_trajectories:dies")
    both = {"dies.mp4": videos["a/one.mp4"], "a/two.mp4": videos["a/two.mp4"]}
    summary = compute_trajectories(both, tmp_path, SETTINGS)
    assert (summary.done, [failure.video_id for failure in summary.failures]) == (1, ["dies.mp4"])
    assert "SIGKILL" in summary.failures[0].error
    assert not list(tmp_path.rglob("*.tmp"))
    assert TrajectoryStore(tmp_path).video_ids.tolist() == ["a/two.mp4"]
    monkeypatch.undo()
    again = compute_trajectories(both, tmp_path, SETTINGS)
    assert (again.done, again.skipped, again.failed) == (1, 1, 0)
    assert not (tmp_path / "failed.jsonl").exists()


def test_a_draw_keeps_some_of_the_same_trajectories(
    first: IdtSummary, videos: dict[str, Path], out: Path, tmp_path: Path
) -> None:
    source = videos["a/one.mp4"]
    whole = TrajectoryFile(trajectories_path(out, "a/one.mp4")).trajectories()
    drawn = []
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        target = tmp_path / name
        *progress, (last, _) = answer(request(source, target, most_trajectories=10, seed=seed))
        stored = TrajectoryFile(target)
        assert last["record"] == stored.record.to_dict()
        assert (stored.record.found, stored.record.kept) == (len(whole), 10)
        assert all(item["declared"] == 20 for item, _ in progress)
        drawn.append(stored.trajectories())
        places = [np.flatnonzero((whole.points == points).all(axis=(1, 2))).item() for points in drawn[-1].points]
        assert places == sorted(set(places))
        np.testing.assert_array_equal(drawn[-1].channels["hof"], whole.channels["hof"][places])
    np.testing.assert_array_equal(drawn[0].points, drawn[1].points)
    assert not np.array_equal(drawn[0].points, drawn[2].points)


def test_one_run_at_a_time_and_at_least_one_trajectory(tmp_path: Path) -> None:
    held = lock_folder(tmp_path, UsageError("unused"))
    assert held is not None
    try:
        with pytest.raises(UsageError, match="another process is storing trajectories in this folder"):
            compute_trajectories({}, tmp_path, SETTINGS)
    finally:
        os.close(held)
    assert compute_trajectories({}, tmp_path, SETTINGS).videos == 0
    with pytest.raises(UsageError, match="0 trajectories cannot be kept"):
        compute_trajectories({}, tmp_path, SETTINGS, most_trajectories=0)
