"""Many videos: what is stored, skipped, done again and failed; and what survives kill -9."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from made_flow import stored, texture, video

from tubelet.errors import ExitCode, InputDataError, UsageError
from tubelet.flow.check import read_record
from tubelet.flow.plan import plan_flow
from tubelet.flow.record import FlowSettings
from tubelet.flow.runner import compute_flow
from tubelet.flow.store import open_flow
from tubelet.flow.summary import FlowSummary
from tubelet.flow.workers import check_stored


def frame_folder(path: Path, frames: int) -> Path:
    path.mkdir(parents=True)
    for number, frame in enumerate(texture(frames, seed=5), 1):
        cv2.imwrite(str(path / f"{number:06d}.jpg"), frame)
    return path


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two files, a folder of frames, a file that is no video and one with a single frame."""
    root = tmp_path_factory.mktemp("videos")
    (root / "bad.avi").write_bytes(b"RIFF\x00\x00\x00\x00AVI " + bytes(500))
    return {
        "a/one.mp4": video(root / "a" / "one.mp4", 12),
        "a/two.mp4": video(root / "a" / "two.mp4", 9, seed=1),
        "b/frames": frame_folder(root / "b" / "frames", 7),
        "bad.avi": root / "bad.avi",
        "short.mp4": video(root / "short.mp4", 1),
    }


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("out") / "flow"


@pytest.fixture(scope="module")
def first(videos: dict[str, Path], out: Path) -> FlowSummary:
    return compute_flow(videos, out, FlowSettings(), workers=2)


def files_of(folder: Path) -> dict[str, int]:
    """What lies there, with the time of its last change; the lock's and the run's own files left out."""
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.parent != folder
    }


def test_every_video_is_stored_or_listed(first: FlowSummary, videos: dict[str, Path], out: Path) -> None:
    assert (first.videos, first.done, first.skipped, first.failed, first.partial) == (5, 3, 0, 2, 0)
    assert first.exit_code is ExitCode.SOME_FAILED
    assert first.pairs == 11 + 8 + 6
    assert first.reasons == {"new": 3}
    listed = {row["video_id"]: row for row in map(json.loads, (out / "failed.jsonl").read_text().splitlines())}
    assert set(listed) == {"bad.avi", "short.mp4"}
    assert "cannot open as a video" in listed["bad.avi"]["error"]
    assert "too few frames" in listed["short.mp4"]["error"]
    assert listed["bad.avi"]["path"] == str(videos["bad.avi"])
    found = sorted(path.parent.relative_to(out).as_posix() for path in out.rglob("flow.json"))
    assert found == ["a/one", "a/two", "b/frames"]
    assert not list(out.rglob("*.tmp"))
    assert json.loads((out / "provenance.json").read_text())["settings"] == FlowSettings().to_dict()


def test_a_worker_stores_what_one_process_stores(
    first: FlowSummary, videos: dict[str, Path], out: Path, tmp_path: Path
) -> None:
    stored(videos["a/two.mp4"], tmp_path / "two", FlowSettings())
    names = sorted(path.name for path in (tmp_path / "two").glob("*.jpg"))
    assert len(names) == 16
    for name in names:
        assert (tmp_path / "two" / name).read_bytes() == (out / "a" / "two" / name).read_bytes()


def test_the_summary_tells_counts_bytes_and_errors(first: FlowSummary, out: Path) -> None:
    pictures = list(out.rglob("*.jpg"))
    assert len(pictures) == 2 * first.pairs
    assert first.nbytes == sum(path.stat().st_size for path in pictures)
    records = [read_record(out / name) for name in ("a/one", "a/two", "b/frames")]
    # One pair of each was read back, all of one size, so that the mean is the plain one.
    assert first.stored_px == pytest.approx(sum(r.error.stored_px for r in records if r) / 3)
    assert first.stored_max_px == max(r.error.stored_max_px for r in records if r)
    text = str(first)
    assert "3 stored, 0 already there, 2 failed" in text
    assert f"storing changed vectors by {first.stored_px:.3f} px on average" in text
    assert "JPEG quality 95; quantization alone" in text
    assert "0.00% of components were beyond the bound of 20 px" in text


def test_run_again_it_skips_and_redoes_exactly_what_is_stale(
    first: FlowSummary, videos: dict[str, Path], out: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "flow"
    shutil.copytree(out, copy)
    mine = {name: shutil.copy2(path, tmp_path / path.name) for name, path in videos.items() if name.startswith("a/")}
    mine = {name: Path(path) for name, path in mine.items()}
    before = files_of(copy)
    assert plan_flow(mine, copy, FlowSettings()).skipped == list(mine)
    os.utime(mine["a/one.mp4"])  # touched, the same content
    assert plan_flow(mine, copy, FlowSettings()).skipped == list(mine)
    assert files_of(copy) == before

    shutil.copy(videos["a/one.mp4"], mine["a/two.mp4"])
    picture = copy / "a" / "one" / "flow_x_00003.jpg"
    picture.write_bytes(picture.read_bytes()[:-1])
    plan = plan_flow(mine, copy, FlowSettings())
    assert plan.reasons == {"a/one.mp4": "damaged", "a/two.mp4": "file"}
    (copy / "a" / ".one.x.tmp").mkdir()  # left by a killed worker
    again = compute_flow(mine, copy, FlowSettings(), workers=1)
    assert (again.done, again.skipped, again.reasons) == (2, 0, {"damaged": 1, "file": 1})
    assert not (copy / "a" / ".one.x.tmp").exists()
    assert not (copy / "failed.jsonl").exists(), "the list of an earlier run goes"
    for name in ("flow_x_00003.jpg", "flow_y_00011.jpg"):
        assert (copy / "a" / "two" / name).read_bytes() == (out / "a" / "one" / name).read_bytes()
    assert plan_flow(mine, copy, FlowSettings(bound=15)).reasons == dict.fromkeys(mine, "settings")
    assert plan_flow(mine, copy, FlowSettings(algorithm="dis")).skipped == list(mine), "its other name"


def test_parameters_that_changed_make_flow_stale(
    first: FlowSummary, videos: dict[str, Path], out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = {"a/one.mp4": videos["a/one.mp4"]}
    assert plan_flow(one, out, FlowSettings()).skipped == ["a/one.mp4"]
    monkeypatch.setattr(FlowSettings, "parameters", lambda self: {"family": "dis", "patch_size": 12})
    assert plan_flow(one, out, FlowSettings()).reasons == {"a/one.mp4": "settings"}


def test_verify_finds_damage_that_sizes_hide(
    first: FlowSummary, videos: dict[str, Path], out: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "flow"
    shutil.copytree(out, copy)
    assert check_stored(copy) == {"a/one": (), "a/two": (), "b/frames": ()}
    picture = copy / "a" / "one" / "flow_y_00002.jpg"
    data = picture.read_bytes()
    picture.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))
    one = {"a/one.mp4": videos["a/one.mp4"], "a/two.mp4": videos["a/two.mp4"]}
    assert plan_flow(one, copy, FlowSettings()).todo == []
    found = check_stored(copy)
    assert [name for name, problems in found.items() if problems] == ["a/one"]
    assert "flow_y_00002.jpg" in found["a/one"][0]
    again = compute_flow(one, copy, FlowSettings(), verify=True)
    assert (again.done, again.skipped, again.reasons) == (1, 1, {"damaged": 1})
    assert picture.read_bytes() == data
    with pytest.raises(InputDataError, match="no flow is stored here"):
        check_stored(tmp_path / "a")


def test_the_other_form_is_superseded(videos: dict[str, Path], tmp_path: Path) -> None:
    one = {"a/one.mp4": videos["a/one.mp4"]}
    stored(videos["a/one.mp4"], tmp_path / "a" / "one", FlowSettings())
    summary = compute_flow(one, tmp_path, FlowSettings(store="compact"))
    assert summary.done == 1
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["one.flow.zip"]
    with open_flow(tmp_path / "a" / "one.flow.zip") as flow:
        assert len(flow) == 11


def test_nothing_of_others_is_overwritten(videos: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "a" / "one").mkdir(parents=True)
    (tmp_path / "a" / "one" / "thesis.txt").write_text("mine")
    folder = videos["b/frames"]
    wanted = {"a/one.mp4": videos["a/one.mp4"], "frames": folder}
    plan = plan_flow(wanted, tmp_path, FlowSettings())
    assert [name for name, _ in plan.missing] == ["a/one.mp4"]
    assert "has not made lies where the flow shall be" in str(plan.missing[0][1])
    beside = plan_flow(wanted, folder.parent, FlowSettings())
    assert [name for name, _ in beside.missing] == ["frames"]
    assert "would replace the video" in str(beside.missing[0][1])


def test_two_videos_cannot_have_one_place(videos: dict[str, Path], tmp_path: Path) -> None:
    source = videos["a/one.mp4"]
    with pytest.raises(UsageError, match=r"flow of one\.avi and of one\.mp4 would be stored in the same place"):
        plan_flow({"one.avi": source, "one.mp4": source}, tmp_path, FlowSettings())
    nested = {"a.mp4": source, "a/b.mp4": source}
    with pytest.raises(UsageError, match=r"a/b\.mp4 would be stored inside that of a\.mp4.*--store compact"):
        plan_flow(nested, tmp_path, FlowSettings())
    assert plan_flow(nested, tmp_path, FlowSettings(store="compact")).todo == list(nested)


def test_the_largest_videos_are_begun_first(
    videos: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []

    def as_completed(threads: object, work: object, names: list[str]) -> list[tuple[str, object]]:
        begun.extend(names)
        return []

    monkeypatch.setattr("tubelet.video.many.as_completed", as_completed)
    compute_flow(videos, tmp_path / "flow", FlowSettings(), workers=2)
    sizes = {
        name: sum(file.stat().st_size for file in (path.iterdir() if path.is_dir() else [path]))
        for name, path in videos.items()
    }
    assert sorted(begun) == sorted(videos)
    assert begun != list(videos)  # or the order would prove nothing
    assert [sizes[name] for name in begun] == sorted(sizes.values(), reverse=True)


def test_one_run_at_a_time(videos: dict[str, Path], tmp_path: Path) -> None:
    from tubelet.artifacts import lock_folder

    held = lock_folder(tmp_path, UsageError("unused"))
    assert held is not None
    try:
        with pytest.raises(UsageError, match="another process is storing flow in this folder"):
            compute_flow({}, tmp_path, FlowSettings())
    finally:
        os.close(held)
    assert compute_flow({}, tmp_path, FlowSettings()).videos == 0


def test_kill_9_loses_at_most_a_video_per_worker(videos: dict[str, Path], tmp_path: Path) -> None:
    root, out = tmp_path / "v", tmp_path / "flow"
    root.mkdir()
    names = [f"{number}.mp4" for number in range(6)]
    long = video(tmp_path / "long.mp4", 60, height=96, width=128)
    for name in names:
        shutil.copyfile(long, root / name)
    command = [sys.executable, "-m", "tubelet.cli.main", "flow", str(root), "-o", str(out), "--workers", "2"]
    process = subprocess.Popen([*command, "--algorithm", "farneback"], stderr=subprocess.PIPE, text=True)
    while not list(out.glob("*/flow.json")):
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()

    settings = FlowSettings(algorithm="farneback")
    done = sorted(path.parent.name for path in out.glob("*/flow.json"))
    assert 1 <= len(done) <= 6
    assert all(read_record(out / name) for name in done)
    # Whatever else lies there is hidden: at most one unfinished video per worker.
    assert len(list(out.glob(".*.tmp"))) <= 2
    assert sorted(path.name for path in out.iterdir() if path.is_dir() and not path.name.startswith(".")) == done
    before = files_of(out)
    summary = compute_flow({name: root / name for name in names}, out, settings, workers=2)
    assert (summary.skipped, summary.done, summary.failed) == (len(done), 6 - len(done), 0)
    after = files_of(out)
    assert all(after[name] == before[name] for name in before if name.split(os.sep)[0] in done)
    assert not list(out.rglob("*.tmp"))
