"""The verdict: each kind of loss is noticed by the check that is meant for it."""

from __future__ import annotations

from array import array
from fractions import Fraction

import av
import numpy as np
import pytest
from damage import FORMATS

from tubelet.video.container import Header, open_container
from tubelet.video.decoder import Tally, decode_frames, read_packets
from tubelet.video.limits import Limits
from tubelet.video.reader import Video
from tubelet.video.verdict import judge


def packets_of(path):
    """Position, size and time of each video packet, in the order of the file."""
    with av.open(str(path)) as container:
        return [(p.pos, p.size, p.pts) for p in container.demux(video=0) if p.size]


def header_of(codec: str, container: str = "flv", declared: int | None = None, reordered: bool = False) -> Header:
    return Header(container, codec, 96, 64, Fraction(1, 1000), Fraction(25), declared, 2.0, reordered, b"")


def verdict(tally: Tally, header: Header, pts=None):
    stamps = np.arange(0, 40 * tally.frames, 40) if pts is None else np.array(pts)
    return judge(None, Limits(), header, tally, stamps)  # type: ignore[arg-type]


def test_counts():
    assert verdict(Tally(packets=50, pictures=50, frames=50), header_of("h264")) == ()
    assert verdict(Tally(packets=50, pictures=50, frames=47), header_of("h264")) == (
        "3 of 50 frames could not be decoded",
    )
    assert verdict(Tally(packets=50, pictures=51, frames=50), header_of("mpeg4")) == (), "the last of a packed stream"
    assert verdict(Tally(packets=40, pictures=40, frames=40), header_of("flv1", declared=50)) == (
        "40 of 50 declared frames could be decoded",
    )


def test_fields():
    assert verdict(Tally(packets=100, pictures=100, frames=50, interlaced=True), header_of("h264")) == ()
    assert verdict(Tally(packets=100, pictures=100, frames=45, interlaced=True), header_of("h264")) == (
        "45 frames came out of 100 fields",
    )


def test_marks_of_the_decoder():
    tally = Tally(
        packets=9, pictures=9, frames=9, corrupt_frames=2, read_errors=1, decode_errors=3, first_error="bad", resized=4
    )
    assert verdict(tally, header_of("h264")) == (
        "0 packets and 2 frames are damaged",
        "reading failed 1 times (bad)",
        "decoding failed 3 times (bad)",
        "4 frames have another size than the first and are scaled to it",
    )


def test_hidden_pictures_of_vp8():
    """Real ones are stamped right after the frame before or like the frame after; a hidden frame leaves a hole."""
    shown = [0, 40, 80, 160, 200]
    for stamp, expected in (
        (41, ()),
        (160, ()),
        (120, ("1 frames are marked as never shown",)),
        (240, ("1 frames are marked as never shown",)),
    ):
        tally = Tally(packets=6, pictures=5, frames=5, hidden=array("q", [stamp]))
        assert verdict(tally, header_of("vp8"), shown) == expected
    assert verdict(Tally(packets=6, pictures=5, frames=5, hidden=array("q", [120])), header_of("mpeg4"), shown) == ()


@pytest.mark.parametrize("index", [7, 49])
def test_a_vp8_frame_that_a_flipped_bit_hides(clip, tmp_path, index):
    path = clip("webm-vp8")
    with av.open(str(path)) as container:
        contents = [bytes(p) for p in container.demux(video=0) if p.size]
    data = bytearray(path.read_bytes())
    data[data.index(contents[index])] &= ~0x10
    changed = tmp_path / "hidden.webm"
    changed.write_bytes(data)
    report = Video(changed).check()
    assert report.frames_decoded == 49
    assert report.problems == ("1 frames are marked as never shown",)


@pytest.mark.parametrize("name", ["avi-mpeg4", "mp4-h264-faststart", "mkv-mpeg4", "webm-vp9"])
def test_a_wiped_out_packet(clip, tmp_path, name):
    path = clip(name)
    with av.open(str(path)) as container:
        contents = [bytes(p) for p in container.demux(video=0) if p.size]
    data = bytearray(path.read_bytes())
    place = data.index(contents[20])
    data[place : place + len(contents[20])] = bytes(len(contents[20]))
    changed = tmp_path / f"hole{FORMATS[name].suffix}"
    changed.write_bytes(data)
    report = Video(changed).check()
    assert report.status == "partial"
    assert report.frames_declared in (50, None)


def test_an_edit_list_damaged_in_the_file(clip, tmp_path):
    """FFmpeg leaves frames out as told, without a word; the durations beside the list contradict it."""
    data = bytearray(clip("mp4-h264-b").read_bytes())
    position = data.index(b"elst") + 4 + 12
    data[position : position + 4] = (1024 + 5 * 512).to_bytes(4, "big")
    path = tmp_path / "edited.mp4"
    path.write_bytes(data)
    report = Video(path).check()
    assert report.frames_decoded < 50
    assert report.status == "partial"
    assert any("left out by an edit list" in text or "cannot be read" in text for text in report.problems)


class Stumbling:
    """A container whose demuxer fails at some packets, or for ever."""

    def __init__(self, container, failures):
        self.container, self.failures, self.source = container, failures, None

    def demux(self, stream):
        self.source = self.source or self.container.demux(stream)
        while True:
            if self.failures:
                self.failures -= 1
                raise IndexError("late stream")
            packet = next(self.source, None)
            if packet is None:
                return
            yield packet


@pytest.mark.parametrize(("failures", "packets"), [(3, 50), (10**9, 0)])
def test_reading_goes_on_after_errors_but_not_for_ever(clip, failures, packets):
    with open_container(clip("mp4-h264-b"), Limits()) as (container, stream, _):
        tally = Tally()
        found = sum(1 for _ in read_packets(Stumbling(container, failures), stream, tally))
    assert found == packets
    assert tally.read_errors == min(failures, 1000)
    assert tally.first_error == "late stream"


def test_decoding_goes_on_after_errors(clip):
    class Fails:
        def __init__(self, stream):
            self.stream, self.count = stream, 0

        def decode(self, packet):
            self.count += 1
            if packet is None or self.count == 5:
                raise ValueError("cannot")
            return self.stream.decode(packet)

    with open_container(clip("mkv-mjpeg"), Limits()) as (container, stream, _):
        tally = Tally()

        class Source:
            def demux(self, _):
                return container.demux(stream)

        frames = list(decode_frames(Source(), Fails(stream), tally))
    assert len(frames) == 49
    assert (tally.decode_errors, tally.first_error) == (2, "cannot")
