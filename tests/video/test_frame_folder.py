"""Folders of JPEG frames behind the interface of ``Video``."""

from __future__ import annotations

import shutil
from fractions import Fraction

import av
import numpy as np
import pytest
from damage import number_shown, numbered_frame

from tubelet.errors import RefusedVideoError, VideoError
from tubelet.video.jpeg import JpegDecoder, JpegError
from tubelet.video.limits import Limits
from tubelet.video.reader import Video


def write_jpeg(path, image):
    codec = av.codec.context.CodecContext.create("mjpeg", "w")
    codec.height, codec.width = image.shape[:2]
    codec.pix_fmt = "yuvj420p"
    codec.time_base = Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuvj420p")
    frame.pts = 0
    path.write_bytes(b"".join(bytes(p) for p in [*codec.encode(frame), *codec.encode(None)]))


def make_folder(folder, numbers, pattern="{:05d}.jpg"):
    folder.mkdir(exist_ok=True)
    for number in numbers:
        write_jpeg(folder / pattern.format(number), numbered_frame(number))
    return folder


@pytest.fixture(scope="session")
def frames_folder(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("frames") / "clip", range(1, 13))


@pytest.mark.parametrize(
    "pattern", ["{:06d}.jpg", "{:05d}.jpg", "img_{:05d}.jpg", "image_{}.JPG", "frame{:04d}.jpeg", "{}.jpg"]
)
def test_layouts(tmp_path, pattern):
    folder = make_folder(tmp_path / "clip", range(1, 13), pattern)
    (folder / "labels.txt").write_text("not a frame")
    (folder / "cover.jpg").write_bytes(b"without a number")
    video = Video(folder, fps=5)
    assert len(video) == 12
    assert (video.width, video.height) == (96, 64)
    assert (video.fps, video.fps_source, video.frames_declared) == (5, "given", None)
    np.testing.assert_allclose(video.times, np.arange(12) / 5)
    np.testing.assert_allclose(video.ends, np.arange(1, 13) / 5)
    assert [number_shown(image) for image in video.frames([11, 0, 0, 5])] == [12, 1, 1, 6]
    streamed = list(video.iter_frames())
    assert [(f.index, number_shown(f.image)) for f in streamed] == [(k, k + 1) for k in range(12)]
    np.testing.assert_allclose([(f.time_s, f.end_s) for f in streamed], np.stack([video.times, video.ends], 1))
    report = video.report
    assert report is not None
    assert (report.status, report.frames_decoded, report.frames_declared) == ("ok", 12, None)
    assert (report.container, report.codec, report.duration_s) == ("folder", "mjpeg", 2.4)


def test_flow_beside_frames_is_not_a_frame(tmp_path):
    folder = make_folder(tmp_path / "dense", range(1, 5), "img_{:05d}.jpg")
    make_folder(folder, range(1, 5), "flow_x_{:05d}.jpg")
    make_folder(folder, range(1, 5), "flow_y_{:05d}.jpg")
    assert len(Video(folder, fps=25)) == 4
    for path in folder.glob("img_*"):
        path.unlink()
    with pytest.raises(VideoError, match=r"several series.*flow_x_\*.jpg, flow_y_\*.jpg"):
        Video(folder, fps=25)


def test_real_dense_flow_folder(real_data):
    video = Video(real_data / "ucf101" / "rgb_flow_sample", fps=25)
    assert len(video) == len(list((real_data / "ucf101" / "rgb_flow_sample").glob("img_*.jpg")))


def test_no_rate_is_assumed_aloud(frames_folder):
    with pytest.warns(UserWarning, match="25 frames/s is assumed") as caught:
        video = Video(frames_folder)
    assert caught[0].filename == __file__, "the warning points at the caller"
    assert (video.fps, video.fps_source) == (25.0, "assumed")


def test_parts_of_a_stream(frames_folder):
    video = Video(frames_folder, fps=10)
    part = list(video.iter_frames(3, 6))
    assert [(f.index, number_shown(f.image)) for f in part] == [(3, 4), (4, 5), (5, 6)]
    assert [(f.time_s, f.end_s) for f in part] == [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6)]
    assert [f.index for f in video.iter_frames(10)] == [10, 11]
    assert list(video.iter_frames(4, 4)) == []
    assert list(video.iter_frames(40)) == []
    assert video.report is None
    assert [f.index for f in video.iter_frames(0, 12)] == list(range(12))


def test_missing_numbers_are_reported_and_keep_their_time(tmp_path):
    folder = make_folder(tmp_path / "clip", [1, 2, 3, 6, 7])
    video = Video(folder, fps=10)
    assert len(video) == 5
    np.testing.assert_allclose(video.times, [0, 0.1, 0.2, 0.5, 0.6])
    np.testing.assert_allclose(video.ends, [0.1, 0.2, 0.5, 0.6, 0.7])
    report = video.check()
    assert report.status == "partial"
    assert report.problems == ("2 numbers are missing (first after 00003.jpg)",)


def test_a_series_may_start_anywhere(tmp_path):
    report = Video(make_folder(tmp_path / "zero", range(4)), fps=1).check()
    assert (report.status, report.duration_s) == ("ok", 4.0)
    assert Video(make_folder(tmp_path / "late", range(100, 104)), fps=1).times.tolist() == [0, 1, 2, 3]


def test_damaged_files(frames_folder, tmp_path):
    folder = tmp_path / "clip"
    shutil.copytree(frames_folder, folder)
    whole = (folder / "00004.jpg").read_bytes()
    (folder / "00004.jpg").write_bytes(whole[:-60])  # FFmpeg gives a picture, gray below, and no error
    (folder / "00007.jpg").write_bytes(b"")
    (folder / "00008.jpg").write_bytes(whole[:100])
    video = Video(folder, fps=10)
    assert len(video) == 12
    with pytest.raises(VideoError, match=r"frame 6 cannot be decoded.*00007\.jpg"):
        video.frames([6])
    report = video.check()
    assert report.status == "partial"
    assert report.frames_decoded == 10
    assert report.problems == (
        "2 frames cannot be decoded and are left out (first: 00007.jpg)",
        "1 frames are damaged (first: 00004.jpg)",
    )
    assert len(video) == 10, "what cannot be decoded is no frame"
    assert number_shown(video.frames([6])[0]) == 9
    np.testing.assert_allclose(video.times, [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.8, 0.9, 1.0, 1.1])


def test_frames_of_another_size(frames_folder, tmp_path):
    folder = tmp_path / "clip"
    shutil.copytree(frames_folder, folder)
    write_jpeg(folder / "00005.jpg", numbered_frame(5).repeat(2, 0).repeat(2, 1))
    video = Video(folder, fps=10)
    assert number_shown(video.frames([4])[0]) == 5
    assert video.check().problems == (
        "1 frames have another size than the first and are scaled to it (first: 00005.jpg)",
    )


def test_folders_without_frames(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(VideoError, match="no numbered JPEG frames"):
        Video(tmp_path / "empty", fps=5)
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "00001.jpg").write_bytes(b"not a picture")
    with pytest.raises(VideoError, match="no frame of the folder can be decoded"):
        Video(folder, fps=5).check()
    twice = make_folder(tmp_path / "twice", [1, 2])
    (twice / "1.jpg").write_bytes((twice / "00001.jpg").read_bytes())
    with pytest.raises(VideoError, match="two frames have the same number"):
        Video(twice, fps=5)


def test_limits(frames_folder):
    with pytest.raises(RefusedVideoError, match="12 frames, the limit is 11"):
        Video(frames_folder, fps=5, limits=Limits(max_frames=11))
    with pytest.raises(VideoError, match="no frame of the folder"):
        Video(frames_folder, fps=5, limits=Limits(max_pixels=1000)).check()


def test_jpeg_decoder_recovers_after_damage(frames_folder, tmp_path):
    decoder = JpegDecoder(10**6)
    good = frames_folder / "00003.jpg"
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(good.read_bytes()[:-60])
    assert [decoder.decode(path)[1] for path in (good, bad, good, bad, good)] == [True, False, True, False, True]
    with pytest.raises(JpegError, match="No such file"):
        decoder.decode(tmp_path / "none.jpg")


def test_real_frames_are_sound(real_data):
    folders = sorted((real_data / "ucf101" / "frames_5fps").glob("*/*"))[:12]
    for folder in folders:
        report = Video(folder, fps=5).check()
        assert (report.status, report.width, report.height) == ("ok", 320, 240)
        assert report.frames_decoded == len(list(folder.glob("*.jpg")))
