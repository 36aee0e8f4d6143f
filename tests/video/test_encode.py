"""The encoder writes what it was given: checked by decoding with PyAV directly, not with our reader."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.frame import PictureType

from tubelet.errors import UsageError
from tubelet.video.encode import encode


def ramp(count: int = 12, height: int = 48, width: int = 64) -> np.ndarray:
    """Smooth frames that differ from each other, so that a lossy codec keeps them apart."""
    rows, columns = np.mgrid[:height, :width]
    frames = [
        np.stack([rows * 2 + 9 * t, columns * 2 + 3 * t, np.full_like(rows, 20 * t)], axis=-1) for t in range(count)
    ]
    return np.clip(np.stack(frames), 0, 255).astype(np.uint8)


def decode(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames, their times and their durations in seconds."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        unit = stream.time_base
    return (
        np.stack([frame.to_ndarray(format="rgb24") for frame in frames]),
        np.array([float(frame.pts * unit) for frame in frames]),
        np.array([float(frame.duration * unit) for frame in frames]),
    )


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("a.mkv", {"codec": "ffv1"}),
        ("a.mov", {"codec": "png"}),
        ("a.avi", {"codec": "huffyuv"}),
    ],
)
def test_lossless_codecs_return_the_very_pixels(tmp_path: Path, name: str, settings: dict[str, Any]) -> None:
    frames = ramp()
    decoded, times, _ = decode(encode(tmp_path / name, frames, fps=10, **settings))
    np.testing.assert_array_equal(decoded, frames)
    np.testing.assert_allclose(times, np.arange(12) / 10, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {"crf": "10", "bf": "3"}),
        ("a.avi", "mpeg4", {"qmin": "2", "qmax": "2"}),
        ("a.avi", "mjpeg", {"qmin": "2", "qmax": "2"}),
        ("a.mp4", "libx265", {"preset": "ultrafast", "crf": "10"}),
        ("a.webm", "libvpx-vp9", {"cpu-used": "8", "crf": "10"}),
        ("a.ts", "libx264", {"crf": "10"}),
        ("a.mpg", "mpeg2video", {"qmin": "2", "qmax": "2"}),
    ],
)
def test_lossy_codecs_keep_order_and_colors(tmp_path: Path, name: str, codec: str, options: dict[str, str]) -> None:
    frames = ramp()
    decoded, times, _ = decode(encode(tmp_path / name, frames, codec=codec, options=options))
    assert decoded.shape == frames.shape
    error = np.abs(decoded.astype(int) - frames).mean(axis=(1, 2, 3))
    # Neighbors differ by about 11 gray levels on average: frames and channels cannot be mixed up.
    assert error.max() < 5
    np.testing.assert_allclose(np.diff(times), 0.04, atol=1.1e-3)


def test_gif(tmp_path: Path) -> None:
    decoded, times, _ = decode(encode(tmp_path / "a.gif", ramp(), fps=10, codec="gif"))
    assert decoded.shape == (12, 48, 64, 3)
    np.testing.assert_allclose(times, np.arange(12) / 10, atol=1e-9)


def test_b_frames_are_written_when_asked_for(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", ramp(), options={"bf": "3", "b-adapt": "0"})
    with av.open(str(path)) as container:
        kinds = [int(frame.pict_type) for frame in container.decode(video=0)]
    assert int(PictureType.B) in kinds


@pytest.mark.parametrize(
    ("name", "codec", "clock_s"),
    [
        ("a.mp4", "libx264", 1e-4),
        ("a.mp4", "mpeg4", 1e-4),
        ("a.mkv", "libx264", 1e-3),
        ("a.gif", "gif", 1e-2),
    ],
)
def test_a_variable_frame_rate_is_kept(tmp_path: Path, name: str, codec: str, clock_s: float) -> None:
    times_s = np.cumsum([0, 0.04, 0.2, 0.05, 0.5, 0.04, 0.04, 0.3, 0.1, 0.1, 0.04, 0.25])
    decoded, times, durations = decode(encode(tmp_path / name, ramp(), codec=codec, times_s=times_s))
    assert len(decoded) == 12
    np.testing.assert_allclose(times, times_s, atol=clock_s)
    if name.endswith("mp4"):  # Matroska states no duration of the last frame
        assert durations[-1] == pytest.approx(0.25, abs=1e-4)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotation_is_a_mark_on_upright_pixels(tmp_path: Path, rotation: int) -> None:
    frames = ramp()
    path = encode(tmp_path / "a.mp4", frames, options={"crf": "10"}, rotation=rotation)
    with av.open(str(path)) as container:
        first = next(container.decode(video=0))
    assert (first.height, first.width) == (48, 64)
    assert (-first.rotation) % 360 == rotation  # FFmpeg counts counter-clockwise


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.avi", "mpeg4"), ("a.webm", "libvpx-vp9")],
)
def test_audio_lasts_as_long_as_the_pictures(tmp_path: Path, name: str, codec: str) -> None:
    path = encode(tmp_path / name, ramp(25), codec=codec, audio=True)
    with av.open(str(path)) as container:
        heard = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
    assert heard == pytest.approx(1.0, abs=0.1)
    assert len(decode(path)[0]) == 25


def test_no_frames_and_audio_only(tmp_path: Path) -> None:
    nothing = np.zeros((0, 48, 64, 3), np.uint8)
    with av.open(str(encode(tmp_path / "none.avi", nothing, codec="mjpeg"))) as container:
        assert list(container.decode(video=0)) == []
    with av.open(str(encode(tmp_path / "tone.mp4", nothing, audio=True))) as container:
        assert not container.streams.video
        assert len(list(container.decode(audio=0))) > 0


def test_an_iterable_gives_the_same_bytes_as_the_array(tmp_path: Path) -> None:
    frames = ramp()
    whole = encode(tmp_path / "a.mp4", frames)
    streamed = encode(tmp_path / "b.mp4", (frame for frame in frames))
    assert whole.read_bytes() == streamed.read_bytes()


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("a.xyz", {}, "suffix"),
        ("a.mp4", {"codec": "no_such_codec"}, "no_such_codec"),
        ("a.mp4", {"codec": "aac"}, "aac"),
        ("a.mp4", {"fps": 0}, "fps"),
        ("a.mp4", {"fps": float("nan")}, "fps"),
        ("a.mp4", {"rotation": 45}, "rotation"),
        ("a.gif", {"codec": "gif", "audio": True}, "audio"),
        ("a.avi", {"codec": "mpeg4", "times_s": np.arange(12.0)}, "variable"),
        ("a.mp4", {"times_s": np.arange(12.0)[::-1]}, "increasing"),
        ("a.gif", {"codec": "gif", "times_s": np.arange(12) * 0.001}, "clock"),
        ("a.mp4", {"times_s": [0.0, 1.0]}, "2 times"),
        ("a.webm", {"codec": "libx264"}, "libx264"),
    ],
)
def test_settings_that_do_not_fit_leave_no_file(
    tmp_path: Path, name: str, settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        encode(tmp_path / name, ramp(), **settings)
    assert list(tmp_path.iterdir()) == []


def test_frames_of_a_wrong_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="float32"):
        encode(tmp_path / "a.mp4", np.zeros((3, 8, 8, 3), np.float32))
    with pytest.raises(UsageError, match="No frame"):
        encode(tmp_path / "a.mp4", iter([]))
    uneven = [np.zeros((16, 16, 3), np.uint8), np.zeros((16, 18, 3), np.uint8)]
    with pytest.raises(UsageError, match="frame 1"):
        encode(tmp_path / "a.mp4", uneven)


def test_an_encoder_that_takes_the_processor_for_itself_gives_it_back(tmp_path: Path) -> None:
    # SVT-AV1 as root leaves the calling thread at the highest real-time priority; its children would inherit it.
    if not hasattr(os, "sched_getscheduler"):
        pytest.skip("this system has no scheduling policies")
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    encode(tmp_path / "a.mp4", ramp(height=64), codec="libsvtav1", options={"preset": "12"})
    assert (os.sched_getscheduler(0), os.sched_getparam(0)) == before
