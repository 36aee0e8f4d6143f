"""How many pictures a packet holds."""

from __future__ import annotations

from types import SimpleNamespace

import av
import pytest

from tubelet.video.packets import PacketCounter

# A real video object layer header (libavcodec, 25 frames/s: 5 bits of vop_time_increment).
VOL = bytes.fromhex("000001b0f1000001b5a9130000010000000120 08d48d0800cd03040814183f".replace(" ", ""))


class FakePacket(bytes):
    is_discard = False


def vop(kind: int, coded: int, body: bytes = b"") -> bytes:
    """A picture header: type, no whole second, marker, 5 bits of time, marker, coded."""
    bits = f"{kind:02b}" + "0" + "1" + f"{3:05b}" + "1" + f"{coded}"
    return b"\0\0\1\xb6" + int(bits.ljust(16, "0"), 2).to_bytes(2, "big") + body


def test_plain_packets_hold_one():
    assert PacketCounter("h264", b"").pictures(FakePacket(b"anything")) == 1


def test_packets_before_an_edit_hold_none():
    assert PacketCounter("h264", b"").pictures(SimpleNamespace(is_discard=True)) == 0


def test_vp8_reference_pictures_are_hidden():
    counter = PacketCounter("vp8", b"")
    assert counter.pictures(FakePacket(b"\x10\0\0")) == 1
    assert counter.pictures(FakePacket(b"\x00\0\0")) == 0


def test_mpeg4_pictures():
    counter = PacketCounter("mpeg4", VOL)
    filler = bytes(range(1, 60))
    assert counter.pictures(FakePacket(vop(1, 1, filler))) == 1
    assert counter.pictures(FakePacket(vop(1, 1, filler) + vop(2, 1, filler))) == 2, "packed"
    assert counter.pictures(FakePacket(vop(1, 0))) == 0, "repeats the picture before"
    assert counter.pictures(FakePacket(b"\x7f")) == 0, "padding"
    assert counter.pictures(FakePacket(bytes(500))) == 1, "wiped out, so lost"
    assert counter.pictures(FakePacket(vop(1, 0, filler))) == 1, "too large for nothing"
    assert PacketCounter("mpeg4", b"").pictures(FakePacket(vop(1, 1, filler))) == 1


@pytest.mark.parametrize("rate", [1, 5, 24, 25, 30, 50, 60])
def test_mpeg4_clock_bits_of_real_headers(tmp_path, rate):
    """The counter reads libavcodec's own headers at every resolution of the clock."""
    path = tmp_path / "x.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate, options={"bf": "2"})
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for k in range(12):
            frame = av.VideoFrame(32, 32, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([20 * k]) * plane.buffer_size)
            frame.pts = k
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        counter = PacketCounter("mpeg4", stream.codec_context.extradata or b"")
        assert sum(counter.pictures(p) for p in container.demux(stream) if p.size) == 12
