"""What is opened, what is refused, and how it is said."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import av
import numpy as np
import pytest
from damage import Format, encode

from tubelet.errors import RefusedVideoError, VideoError
from tubelet.video.reader import Video


@pytest.fixture
def listener():
    """A local server that must never be called."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(0.2)
        yield server
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize("suffix", [".m3u8", ".mp4"])
def test_playlists_are_refused_and_nothing_they_name_is_touched(tmp_path, listener, suffix):
    port = listener.getsockname()[1]
    for number, address in enumerate((f"http://127.0.0.1:{port}/a.ts", "file:///etc/passwd")):
        path = tmp_path / f"{number}{suffix}"
        path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{address}\n#EXT-X-ENDLIST\n")
        with pytest.raises(RefusedVideoError, match="HLS playlist is not read"):
            Video(path)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"ffconcat version 1.0\nfile '/etc/passwd'\n", "concatenation script"),
        (b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nt=0 0\nm=video 5004 RTP/AVP 96\n", "SDP"),
        (b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"/>', "XML"),
        (b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data" + bytes(600), "not read"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0" + bytes(300), "not read"),
    ],
)
def test_other_kinds_of_file_are_refused_by_content(tmp_path, content, what):
    path = tmp_path / "innocent.mp4"
    path.write_bytes(content)
    with pytest.raises(RefusedVideoError, match=what):
        Video(path)


@pytest.mark.parametrize(
    ("encoder", "suffix", "pixels"),
    [
        ("magicyuv", ".avi", "yuv420p"),
        ("ffv1", ".mkv", "yuv420p"),
        ("huffyuv", ".avi", "yuv422p"),
        ("png", ".mov", "rgb24"),
    ],
)
def test_codecs_off_the_list_are_refused(tmp_path, encoder, suffix, pixels):
    path = encode(tmp_path / f"x{suffix}", Format("x", suffix, encoder, pixel_format=pixels), 3)
    with pytest.raises(RefusedVideoError, match=f"codec {encoder}"):
        Video(path)


@pytest.mark.parametrize(
    "name", ["http://127.0.0.1:9/x.mp4", "concat:a|b", "subfile,,start,0,end,9,,:x", "nope.mp4", "a\0b"]
)
def test_names_are_names_of_files_only(name):
    with pytest.raises(VideoError, match="no such video"):
        Video(name)


def test_a_file_named_like_an_address_is_a_file(clip, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("concat:a|b.mp4", "http:x", "pipe:0", "clip%03d.mp4"):
        (tmp_path / name).write_bytes(clip("mp4-h264-b").read_bytes())
        assert Video(name).check().status == "ok"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_pipes_and_devices_do_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    for path in (tmp_path / "pipe.mp4", "/dev/null", "/dev/zero"):
        with pytest.raises(RefusedVideoError, match="not a regular file"):
            Video(path)


def test_empty_and_random_files(tmp_path):
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(VideoError, match="the file is empty"):
        Video(tmp_path / "empty.mp4")
    (tmp_path / "zeros.avi").write_bytes(bytes(4000))
    (tmp_path / "noise.mkv").write_bytes(np.random.default_rng(0).bytes(4000))
    (tmp_path / "words.mp4").write_bytes(b"just some text, not a video at all\n" * 40)
    for name in ("zeros.avi", "noise.mkv", "words.mp4"):
        with pytest.raises(VideoError, match=name):
            Video(tmp_path / name)


def test_sound_alone(tmp_path):
    path = tmp_path / "song.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=48000)
        for k in range(10):
            frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
            frame.rate, frame.pts = 48000, k * 1024
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(VideoError, match=r"no video stream in the file.*it holds audio only"):
        Video(path)


def test_a_stream_without_a_frame(tmp_path):
    for suffix in (".avi", ".mkv", ".mp4"):
        path = tmp_path / f"nothing{suffix}"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
            container.start_encoding()
        with pytest.raises(VideoError, match=r"no frame can be decoded|no video stream|cannot open"):
            len(Video(path))
        with pytest.raises(VideoError):
            Video(path).check()


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv", ".mov"])
def test_broken_metadata_text_does_not_matter(tmp_path, suffix):
    path = tmp_path / f"titled{suffix}"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "TITLETITLE"
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for k in range(5):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 40 * k, np.uint8), format="rgb24")
            frame.pts = k
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    data = path.read_bytes()
    assert b"TITLETITLE" in data
    path.write_bytes(data.replace(b"TITLETITLE", b"\xff\xfe\xc3\x28\xa0\xa1\xe2\x28\xa1\x80"))
    if suffix != ".mkv":  # whose checksum now rightly says that the file was changed
        assert Video(path).check().status == "ok"
    assert len(Video(path)) == 5


@pytest.mark.parametrize(("encoder", "suffix"), [("libx264", ".mkv"), ("mjpeg", ".avi")])
def test_absurd_dimensions_are_refused_in_little_memory(tmp_path, encoder, suffix):
    """A few kilobytes that unpack to 4,000 × 2,600 pixels a frame; the limit here is a quarter of that."""
    path = tmp_path / f"bomb{suffix}"
    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast", "threads": "1"} if encoder == "libx264" else {}
        stream = container.add_stream(encoder, rate=25, options=options)
        stream.width, stream.height = 4000, 2600
        stream.pix_fmt = "yuvj420p" if encoder == "mjpeg" else "yuv420p"
        frame = av.VideoFrame(4000, 2600, stream.pix_fmt)
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    program = """
import resource, sys
from tubelet.errors import RefusedVideoError
from tubelet.video.limits import Limits
from tubelet.video.reader import Video

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

before = peak()
try:
    Video(sys.argv[1], limits=Limits(max_pixels=2_600_000)).check()
except RefusedVideoError:
    print((peak() - before) >> 10)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, env=environment, check=True
    )
    assert int(result.stdout) < 15, "megabytes more than before; one frame takes 15"
