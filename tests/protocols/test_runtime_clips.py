"""The clips of the runtime table: the first frames as they are stored, of sound videos, spread over a folder."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import av
import numpy as np
import pytest

from tubelet import Video
from tubelet.errors import InputDataError, VideoError
from tubelet.protocols.runtime_clips import LEAST_FRAMES, Clips, cut, spread_order
from tubelet.video.encode import encode
from tubelet.video.limits import Limits


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 frames of noise that moves, as MPEG-4 with B-frames; 10 frames; and a text."""
    folder = tmp_path_factory.mktemp("clips")
    noise = np.random.default_rng(0).integers(0, 255, (48, 88, 3), dtype=np.uint8)
    frames = np.stack([noise[:, shift : shift + 48] for shift in range(40)])
    encode(folder / "long.avi", frames, codec="mpeg4", options={"bf": "2"})
    encode(folder / "long.mp4", frames, options={"bf": "3", "g": "12"})
    encode(folder / "short.avi", frames[:10], codec="mpeg4")
    (folder / "text.avi").write_text("no video", encoding="utf-8")
    return folder


def frames_of(path: Path) -> np.ndarray:
    return np.stack(
        [frame.image for frame in Video(path, cache=False, fps=25 if path.is_dir() else None).iter_frames()]
    )


def request(path: Path, target: Path, frames: int) -> dict[str, object]:
    return {"path": str(path), "target": str(target), "frames": frames, "limits": asdict(Limits())}


def test_the_front_of_the_order_is_spread_over_all() -> None:
    assert spread_order(8) == [0, 4, 2, 6, 1, 5, 3, 7]
    for count in (1, 2, 7, 11, 100):
        assert sorted(spread_order(count)) == list(range(count))
    first = sorted(spread_order(100)[:7])  # seven rounds reach every quarter of a folder of 100
    assert {number // 25 for number in first} == {0, 1, 2, 3}


@pytest.mark.parametrize("name", ["long.avi", "long.mp4"])
def test_frames_are_copied_and_not_encoded_again(videos: Path, tmp_path: Path, name: str) -> None:
    list(cut(request(videos / name, tmp_path / name, 20)))
    whole, part = frames_of(videos / name), frames_of(tmp_path / name)
    assert len(part) == 20
    # The last ones in the order of decoding may be further on in the order of time: three B-frames at most.
    np.testing.assert_array_equal(part[:16], whole[:16])


def test_folders_of_frames_are_cut_too(videos: Path, tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    for number, frame in enumerate(frames_of(videos / "long.avi")[:24], start=1):
        encode(tmp_path / "one.avi", frame[None], codec="mjpeg")
        with av.open(str(tmp_path / "one.avi")) as one:
            (tmp_path / "frames" / f"{number:06d}.jpg").write_bytes(bytes(next(one.demux(video=0))))
    list(cut(request(tmp_path / "frames", tmp_path / "cut", 20)))
    np.testing.assert_array_equal(frames_of(tmp_path / "cut"), frames_of(tmp_path / "frames")[:20])


def test_what_is_no_video_is_refused(videos: Path, tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"text\.avi"):
        list(cut(request(videos / "text.avi", tmp_path / "x.avi", 20)))
    assert not list(tmp_path.iterdir())


def test_unsound_videos_are_left_out_by_name_and_rounds_go_around(videos: Path, tmp_path: Path) -> None:
    named = [(path.name, path) for path in sorted(videos.iterdir())]
    assert [name for name, _ in named] == ["long.avi", "long.mp4", "short.avi", "text.avi"]
    with Clips(named, tmp_path / "cut", 20) as clips:
        found = [clips[number] for number in range(4)]
        assert [clip.video_id for clip in found] == ["long.avi", "long.mp4", "long.avi", "long.mp4"]
        assert {(clip.frames, clip.size_wh) for clip in found} == {(20, (48, 48))}
        assert clips.warm_up().frames == LEAST_FRAMES
        failed = dict(clips.failed)
        assert set(failed) == {"short.avi", "text.avi"}
        assert f"10 frames, and {LEAST_FRAMES} are needed" in failed["short.avi"]
        clips.drop(found[0], "a method died of it")
        assert clips[0].video_id == "long.mp4"
        assert clips.failed[-1] == ("long.avi", "a method died of it")
    assert not (tmp_path / "cut").exists()


def test_whole_videos_are_read_where_they_lie(videos: Path, tmp_path: Path) -> None:
    named = [("a", videos / "text.avi"), ("b", videos / "long.avi")]
    with Clips(named, tmp_path / "cut", 0, without={"a"}) as clips:
        assert (clips[0].path, clips[0].frames) == (videos / "long.avi", 40)
        assert clips.failed == []


def test_without_a_sound_video_nothing_can_be_measured(videos: Path, tmp_path: Path) -> None:
    named = [("a", videos / "text.avi"), ("b", videos / "long.avi")]
    with (
        Clips(named, tmp_path / "cut", 20, limit=1) as clips,
        pytest.raises(InputDataError, match="not one of the videos"),
    ):
        clips[0]
