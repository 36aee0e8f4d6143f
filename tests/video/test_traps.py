"""The synthetic traps: files that are odd but sound, and files that are sound only in part."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from damage import FORMATS, HEIGHT, WIDTH, encode, number_shown

from tubelet.errors import VideoError
from tubelet.video.reader import Video


@pytest.mark.parametrize("name", ["mp4-h264-b", "avi-mpeg4", "webm-vp9", "gif"])
def test_constant_picture(tmp_path, name):
    """Encoders drop or skip nothing that the reader would miss: forty equal frames are forty frames."""
    form = FORMATS[name]
    path = encode(tmp_path / f"x{form.suffix}", form, 40, images=iter([np.full((64, 96, 3), 120, np.uint8)] * 40))
    video = Video(path)
    assert len(video) == 40
    assert video.check().status == "ok"
    # The GIF encoder has 256 colors and dithers between them.
    assert np.abs(video.frames(range(40)).astype(int) - 120).max() <= (60 if name == "gif" else 6)


def test_moving_square(tmp_path):
    def square(k):
        image = np.zeros((64, 96, 3), np.uint8)
        image[20:36, 2 * k : 2 * k + 16] = 255
        return image

    path = encode(tmp_path / "square.mp4", FORMATS["mp4-h264-b"], 40, images=(square(k) for k in range(40)))
    images = Video(path).frames(range(40)).mean(-1)
    centers = (images * np.arange(96)).sum((1, 2)) / images.sum((1, 2))
    np.testing.assert_allclose(centers, 2 * np.arange(40) + 7.5, atol=0.5)


VARIABLE = {
    "jitter": np.cumsum(np.r_[0, np.random.default_rng(1).choice([33, 34], 49)]),
    "anything": np.cumsum(np.r_[0, np.random.default_rng(2).integers(10, 120, 49)]),
    "dropped": np.cumsum(np.r_[0, np.where(np.random.default_rng(3).random(49) < 0.1, 80, 40)]),
    "pause": np.cumsum(np.r_[0, [40] * 20, [1500], [40] * 28]),
    "held-last": np.cumsum(np.r_[0, [40] * 48, [3000]]),
    "two-rates": np.cumsum(np.r_[0, [40] * 25, [20] * 24]),
}


@pytest.mark.parametrize("pattern", sorted(VARIABLE))
@pytest.mark.parametrize("name", ["mp4-h264-b", "mkv-h264-b", "webm-vp9", "webm-vp8", "mkv-mpeg4", "mp4-hevc", "gif"])
def test_variable_frame_rate_is_no_damage(tmp_path, name, pattern):
    ticks = VARIABLE[pattern]
    form = FORMATS[name]
    path = encode(tmp_path / f"vfr{form.suffix}", form, 50, ticks=ticks.tolist())
    video = Video(path)
    report = video.check()
    assert report.problems == ()
    assert report.status == "ok"
    # GIF counts hundredths of a second.
    np.testing.assert_allclose(video.times, (ticks - ticks[0]) / 1000, atol=0.0101 if name == "gif" else 0.0011)
    assert video.fps == pytest.approx(50 / video.ends[-1])
    assert [number_shown(image) for image in video.frames([3, 25, 49])] == [3, 25, 49]


def test_avi_with_pauses_fills_them_with_empty_frames(tmp_path):
    path = encode(tmp_path / "vfr.avi", FORMATS["avi-mpeg4"], 50, ticks=VARIABLE["pause"].tolist())
    video = Video(path)
    report = video.check()
    assert report.status == "ok"
    assert report.frames_decoded == 50
    assert report.frames_declared is not None
    assert report.frames_declared > 1000, "one a millisecond, nearly all of them empty"
    np.testing.assert_allclose(video.times, VARIABLE["pause"] / 1000, atol=0.0011)


@pytest.mark.parametrize("name", ["mp4-h264-b", "mkv-h264-b", "webm-vp9"])
def test_a_late_first_frame_is_at_zero(tmp_path, name):
    form = FORMATS[name]
    path = encode(tmp_path / f"late{form.suffix}", form, 50, ticks=(500 + 40 * np.arange(50)).tolist())
    video = Video(path)
    assert video.check().status == "ok"
    np.testing.assert_allclose(video.times, 0.04 * np.arange(50), atol=1e-9)


@pytest.mark.parametrize("name", ["mp4-h264-b", "mp4-hevc", "mp4-av1", "mp4-mpeg4"])
def test_an_edit_list_that_cuts_the_start(tmp_path, name):
    """Five frames before time zero: MP4 stores them and tells the player to leave them out."""
    form = FORMATS[name]
    path = encode(tmp_path / "cut.mp4", form, 50, ticks=(-200 + 40 * np.arange(50)).tolist())
    video = Video(path)
    report = video.check()
    assert report.problems == ()
    assert (report.frames_declared, report.frames_decoded) == (50, 45)
    assert [number_shown(frame.image) for frame in video.iter_frames()] == list(range(5, 50))
    assert [number_shown(image) for image in video.frames([0, 44, 20])] == [5, 49, 25]
    assert video.times[0] == 0


def test_an_edit_list_by_remuxing(tmp_path, clip):
    """A copy cut in the middle of a group of pictures, as ``ffmpeg -ss … -c copy`` makes it."""
    path = tmp_path / "copied.mp4"
    with av.open(str(clip("mp4-h264-b"))) as source, av.open(str(path), "w") as target:
        old = source.streams.video[0]
        new = target.add_stream_from_template(old)
        shift = round(Fraction(16, 25) / old.time_base)  # the key frame is number 12
        for packet in source.demux(old):
            if packet.dts is None or packet.pts < round(Fraction(12, 25) / old.time_base):
                continue
            packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, new
            target.mux(packet)
    video = Video(path)
    assert video.check().problems == ()
    assert [number_shown(frame.image) for frame in video.iter_frames()] == list(range(16, 50))
    assert [number_shown(image) for image in video.frames([33, 0])] == [49, 16]


def test_seven_frames(tmp_path):
    for name in ("mp4-h264-b", "avi-mpeg4-b", "webm-vp9", "gif"):
        form = FORMATS[name]
        video = Video(encode(tmp_path / f"seven{form.suffix}", form, 7))
        assert len(video) == 7
        assert video.check().status == "ok"
        assert [number_shown(image) for image in video.frames([6, 0])] == [6, 0]


def test_one_frame(tmp_path):
    for name in ("mp4-h264-b", "avi-mpeg4", "mkv-vp9", "gif"):
        form = FORMATS[name]
        video = Video(encode(tmp_path / f"one{form.suffix}", form, 1))
        report = video.check()
        assert (report.status, report.frames_decoded) == ("ok", 1)
        assert video.times.tolist() == [0]
        assert video.ends[0] > 0


@pytest.mark.parametrize(
    ("name", "least"),
    [("avi-mjpeg", 12), ("mp4-h264-faststart", 12), ("mkv-h264-b", 20), ("webm-vp9", 20), ("gif", 20)],
)
def test_truncated_files_are_partial(clip, tmp_path, name, least):
    data = clip(name).read_bytes()
    path = tmp_path / f"cut{FORMATS[name].suffix}"
    path.write_bytes(data[: len(data) * 6 // 10])
    video = Video(path)
    report = video.check()
    assert report.status == "partial"
    assert least <= report.frames_decoded < 50
    assert report.problems
    assert len(video) == report.frames_decoded
    assert [number_shown(frame.image) for frame in video.iter_frames(0, 12)] == list(range(12))


def test_a_truncated_mp4_without_its_header_is_one_clear_error(clip, tmp_path):
    data = clip("mp4-h264-b").read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(VideoError, match=r"cannot open as a video: .*cut\.mp4.*; the header is damaged"):
        Video(path)


def test_interlaced_video(tmp_path):
    path = tmp_path / "fields.ts"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg2video", rate=25, options={"flags": "+ildct+ilme", "g": "10"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        from damage import numbered_frame

        for k in range(30):
            frame = av.VideoFrame.from_ndarray(numbered_frame(k), format="rgb24").reformat(format="yuv420p")
            frame.pts = k
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    report = Video(path).check()
    assert (report.status, report.frames_decoded) == ("ok", 30)


def test_repeated_pictures_in_avi(tmp_path):
    """Empty chunks mean `as before`: a hand-made AVI of five Motion JPEG pictures over nine places."""
    import struct

    from damage import numbered_frame

    pictures = []
    codec = av.codec.context.CodecContext.create("mjpeg", "w")
    codec.width, codec.height, codec.pix_fmt, codec.time_base = WIDTH, HEIGHT, "yuvj420p", Fraction(1, 25)
    for k in range(5):
        frame = av.VideoFrame.from_ndarray(numbered_frame(k), format="rgb24").reformat(format="yuvj420p")
        frame.pts = k
        pictures += [bytes(packet) for packet in codec.encode(frame)]
    slots = [0, None, 1, 2, None, None, 3, 4, None]

    def chunk(kind, body):
        return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)

    def group(kind, body):
        return chunk(b"LIST", kind + body)

    strh = struct.pack(
        "<4s4sIHHIIIIIIIIHHHH", b"vids", b"MJPG", 0, 0, 0, 0, 1, 25, 0, len(slots), 0, 0, 0, 0, 0, WIDTH, HEIGHT
    )
    strf = struct.pack("<IiiHH4sIiiII", 40, WIDTH, HEIGHT, 1, 24, b"MJPG", 0, 0, 0, 0, 0)
    avih = struct.pack("<14I", 40000, 0, 0, 0x10, len(slots), 0, 1, 0, WIDTH, HEIGHT, 0, 0, 0, 0)
    movi, index = b"", b""
    for slot in slots:
        body = b"" if slot is None else pictures[slot]
        index += b"00dc" + struct.pack("<III", 0x10, 4 + len(movi), len(body))
        movi += chunk(b"00dc", body)
    header = group(b"hdrl", chunk(b"avih", avih) + group(b"strl", chunk(b"strh", strh) + chunk(b"strf", strf)))
    path = tmp_path / "repeats.avi"
    path.write_bytes(chunk(b"RIFF", b"AVI " + header + group(b"movi", movi) + chunk(b"idx1", index)))
    video = Video(path)
    report = video.check()
    assert (report.status, report.frames_declared, report.frames_decoded) == ("ok", 9, 5)
    np.testing.assert_allclose(video.times, np.array([0, 2, 3, 6, 7]) / 25)
    assert [number_shown(image) for image in video.frames(range(5))] == [0, 1, 2, 3, 4]
