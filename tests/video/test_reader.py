"""``Video``: counts, times, frames and errors on sound files."""

from __future__ import annotations

import numpy as np
import pytest
from damage import FORMATS, number_shown

import tubelet.video.measure as measure
from tubelet.errors import RefusedVideoError, UsageError, VideoError
from tubelet.video.limits import Limits
from tubelet.video.reader import Video
from tubelet.video.report import DecodeReport

SOUND = sorted(FORMATS)


@pytest.mark.parametrize("name", SOUND)
def test_every_format_gives_every_frame_once_and_in_order(clip, name):
    with Video(clip(name)) as video:
        shown = [(frame.index, number_shown(frame.image)) for frame in video.iter_frames()]
        assert shown == [(k, k) for k in range(50)]
        assert video.report is not None
        assert video.report.status == "ok"
        assert len(video) == 50


@pytest.mark.parametrize("name", SOUND)
def test_times_follow_from_the_frame_rate(clip, name):
    video = Video(clip(name))
    rate = FORMATS[name].fps
    # Matroska rounds to milliseconds. With sound, AVI delays all but the first frame by the encoder's priming, and
    # fills the gap with an empty frame.
    tolerance = 1.0 / rate + 1e-9 if name == "avi-mpeg4-mp3" else 1e-3
    assert video.times.dtype == np.float64
    assert video.times[0] == 0
    np.testing.assert_allclose(video.times, np.arange(50) / rate, atol=tolerance)
    np.testing.assert_array_equal(video.ends[:-1], video.times[1:])
    assert video.ends[-1] == pytest.approx(50 / rate, abs=tolerance)
    assert np.all(np.diff(video.pts) > 0)
    assert video.pts.dtype == np.int64
    np.testing.assert_allclose((video.pts - video.pts[0]) * float(video.time_base), video.times, atol=1e-9)
    assert video.fps == pytest.approx(rate)
    assert video.fps_source == "container"


@pytest.mark.parametrize("name", ["mp4-h264-b", "avi-mpeg4-b", "webm-vp9", "gif"])
def test_streaming_tells_the_same_times_as_the_table(clip, name):
    video = Video(clip(name))
    frames = list(video.iter_frames())
    np.testing.assert_array_equal([f.time_s for f in frames], video.times)
    np.testing.assert_array_equal([f.end_s for f in frames], video.ends)


def test_what_a_container_declares(clip):
    assert Video(clip("mp4-h264-b")).frames_declared == 50
    assert Video(clip("avi-mpeg4")).frames_declared == 50
    assert Video(clip("webm-vp9")).frames_declared is None


def test_frames_in_any_order_with_repeats(clip):
    video = Video(clip("mp4-h264-b"))
    wanted = [49, 0, 7, 7, 13, 0]
    images = video.frames(wanted)
    assert images.shape == (6, 64, 96, 3)
    assert images.dtype == np.uint8
    assert [number_shown(image) for image in images] == wanted
    assert [number_shown(image) for image in video.frames(range(3))] == [0, 1, 2]
    assert [number_shown(image) for image in video.frames(np.array([4], np.int32))] == [4]


def test_no_indices_give_no_frames(clip):
    assert Video(clip("mp4-h264-b")).frames([]).shape == (0, 64, 96, 3)


@pytest.mark.parametrize("bad", [[-1], [50], [0, 10**9], [0.5], [True], 3, [[1, 2]], ["a"]])
def test_indices_that_do_not_exist_are_usage_errors(clip, bad):
    with pytest.raises(UsageError):
        Video(clip("mp4-h264-b")).frames(bad)


def test_ranges_of_a_stream(clip):
    video = Video(clip("mp4-h264-b"))
    part = list(video.iter_frames(5, 9))
    assert [f.index for f in part] == [5, 6, 7, 8]
    assert [number_shown(f.image) for f in part] == [5, 6, 7, 8]
    assert part[0].time_s == pytest.approx(0.2)
    assert part[-1].end_s == pytest.approx(0.36)
    assert video.report is None, "a part says nothing about the whole"
    assert list(video.iter_frames(3, 3)) == []
    assert [f.index for f in video.iter_frames(48)] == [48, 49]
    assert list(video.iter_frames(70)) == []
    assert video.report is None
    with pytest.raises(UsageError):
        video.iter_frames(-1)
    with pytest.raises(UsageError):
        video.iter_frames(5, 4)


def test_images_belong_to_the_caller(clip):
    frames = list(Video(clip("mp4-h264-b")).iter_frames(0, 3))
    frames[0].image[:] = 0
    assert [number_shown(f.image) for f in frames] == [0, 1, 2]
    assert all(f.image.flags.c_contiguous and f.image.flags.writeable for f in frames)


def test_check_reports_the_whole(clip):
    video = Video(clip("mp4-h264-aac"))
    report = video.check()
    assert report == video.report
    assert report == DecodeReport("ok", 50, 50, 25.0, "container", 2.0, 96, 64, "h264", "mov", ())


def test_a_given_rate_overrides_the_times(clip):
    video = Video(clip("mp4-h264-b"), fps=10)
    assert (video.fps, video.fps_source) == (10, "given")
    np.testing.assert_allclose(video.times, np.arange(50) / 10)
    assert video.ends[-1] == 5.0
    frame = next(video.iter_frames(1, 2))
    assert (frame.time_s, frame.end_s) == (0.1, 0.2)
    assert video.check().duration_s == 5.0
    for nonsense in (0, -1, 1e9, float("nan")):
        with pytest.raises(UsageError):
            Video(clip("mp4-h264-b"), fps=nonsense)


def test_closing_is_optional_and_not_final(clip):
    video = Video(str(clip("mp4-h264-b")), cache=False)
    assert len(video) == 50
    video.close()
    assert number_shown(video.frames([9])[0]) == 9
    assert "mp4-h264-b" in repr(video)


def test_a_file_that_changes_after_opening_is_noticed(clip, tmp_path):
    path = tmp_path / "moving.mp4"
    path.write_bytes(clip("mp4-h264-b").read_bytes())
    video = Video(path)
    path.write_bytes(clip("mp4-h264-b", 20).read_bytes())
    for read in (lambda: len(video), lambda: list(video.iter_frames()), video.check):
        with pytest.raises(VideoError, match="changed"):
            read()
    path.unlink()
    with pytest.raises(VideoError, match="gone"):
        len(video)


def test_limits_hold_before_and_while_decoding(clip, monkeypatch):
    path = clip("mp4-h264-b")
    for limits, what in (
        (Limits(max_pixels=96 * 63), "pixels"),
        (Limits(max_frames=49), "frames"),
        (Limits(max_duration_s=1.9), "seconds"),
        (Limits(max_fps=24), "frames/s"),
    ):
        with pytest.raises(VideoError, match=what):
            Video(path, limits=limits)
    # WebM counts nothing in its header, and a transport stream does not even know how long it is.
    for name, limits, what in (
        ("webm-vp9", Limits(max_frames=49), "more than 49 frames"),
        ("webm-vp9", Limits(max_pixels=96 * 63), "limit of 6048 pixels"),
        ("mpegts-h264", Limits(max_duration_s=1.5), "longer than 2 s"),
    ):
        with pytest.raises(RefusedVideoError, match=what):
            Video(clip(name), limits=limits).check()
    monkeypatch.setattr(measure, "_RATE_EVERY", 20)
    with pytest.raises(RefusedVideoError, match="more than 24 frames/s"):
        Video(clip("webm-vp9"), limits=Limits(max_fps=24)).check()


def test_real_videos_are_sound(real_data):
    """Every clip of five data sets: XviD and DivX with packed B-frames, H.264 with sound, MPEG-4."""
    paths = sorted([*real_data.rglob("*.avi"), *real_data.rglob("*.mp4")])
    assert len(paths) >= 70
    for path in paths:
        report = Video(path).check()
        assert report.problems == (), path
        assert report.status == "ok"
        # DivX clips of HMDB51 begin with a packet that holds no picture.
        assert report.frames_declared in (report.frames_decoded, report.frames_decoded + 1)


def test_a_clip_and_its_frames_are_the_same_video(real_data):
    name = "v_ApplyEyeMakeup_g01_c01"
    film = Video(real_data / "ucf101" / "clips" / f"{name}.avi")
    stills = Video(real_data / "ucf101" / "frames_full_rate" / name, fps=25)
    assert (len(film), len(stills)) == (164, 165)  # the first frame is stored twice
    picks = [0, 1, 50, 111, 163]
    a, b = film.frames(picks).astype(float), stills.frames([k + 1 for k in picks]).astype(float)
    for one, same in zip(a, b, strict=True):
        assert np.abs(one - same).mean() < 4, "JPEG's loss, not another frame"


@pytest.mark.parametrize("name", ["kinetics/mmaction2_demo.mp4", "kth/person01_handclapping_d1_uncomp.avi"])
def test_pixels_are_opencvs(real_data, name):
    cv2 = pytest.importorskip("cv2")
    capture = cv2.VideoCapture(str(real_data / name))
    for frame in Video(real_data / name).iter_frames(0, 40):
        found, image = capture.read()
        assert found
        np.testing.assert_array_equal(frame.image, image[:, :, ::-1])
