"""The containers' bookkeeping, read by our own walkers and compared with what FFmpeg's demuxers find."""

from __future__ import annotations

import struct
import zlib

import av
import numpy as np
import pytest
from damage import FORMATS
from hypothesis import given, settings
from hypothesis import strategies as st

from tubelet.video.structure import Structure, inspect

COUNTED = sorted(n for n in FORMATS if not n.startswith("mpeg"))


def demuxed(path):
    with av.open(str(path)) as container:
        return container.format.name.split(",")[0], sum(1 for p in container.demux(video=0) if p.size)


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_sound_files_have_no_problems_and_the_right_count(clip, name):
    kind, packets = demuxed(clip(name))
    structure = inspect(clip(name), kind)
    assert structure.problems == ()
    assert structure.packets == (packets if name in COUNTED else None)
    assert structure.empty == (1 if name == "avi-mpeg4-mp3" else 0)


def test_real_files(real_data):
    for path in [*real_data.rglob("*.avi"), *real_data.rglob("*.mp4")]:
        kind, packets = demuxed(path)
        structure = inspect(path, kind)
        assert (structure.problems, structure.packets) == ((), packets), path


def test_other_containers_and_lost_files(tmp_path):
    assert inspect(tmp_path / "x", "flv") == Structure()
    assert "cannot be read" in inspect(tmp_path / "none.avi", "avi").problems[0]


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_any_cut_is_noticed(clip, tmp_path, name):
    kind, _ = demuxed(clip(name))
    data = clip(name).read_bytes()
    path = tmp_path / "cut"
    for length in np.linspace(20, len(data) - 3, 23).astype(int):
        if kind == "mpegts" and length % 188 == 0:
            continue  # the one clean cut
        path.write_bytes(data[:length])
        structure = inspect(path, kind)
        assert structure.problems, length


@pytest.mark.parametrize("kind", ["avi", "asf", "gif", "matroska", "mov", "mpeg", "mpegts"])
def test_nothing_crashes_on_noise(tmp_path_factory, clip, kind):
    sources = {
        "avi": "avi-mpeg4", "asf": "wmv-wmv2", "gif": "gif", "matroska": "mkv-vp9",
        "mov": "mp4-h264-b", "mpeg": "mpegps-mpeg2", "mpegts": "mpegts-mpeg2",
    }  # fmt: skip
    data = clip(sources[kind]).read_bytes()
    path = tmp_path_factory.mktemp("noise") / "x"

    @settings(max_examples=40)
    @given(
        st.lists(st.tuples(st.integers(0, len(data) - 1), st.integers(0, 255)), max_size=40), st.integers(0, len(data))
    )
    def check(changes, length):
        changed = bytearray(data)
        for position, value in changes:
            changed[position] = value
        path.write_bytes(changed[:length])
        structure = inspect(path, kind)
        assert all(isinstance(text, str) and text for text in structure.problems)
        assert len(structure.problems) <= 12

    check()


def replaced(data: bytes, old: bytes, new: bytes, which: int = 0) -> bytes:
    assert len(old) == len(new)
    position = -1
    for _ in range(which + 1):
        position = data.index(old, position + 1)
    return data[:position] + new + data[position + len(old) :]


def problems_of(tmp_path, kind, data):
    path = tmp_path / "changed"
    path.write_bytes(data)
    return inspect(path, kind)


def test_avi_chunks_that_lost_their_name(clip, tmp_path):
    data = clip("avi-mpeg4").read_bytes()
    structure = problems_of(tmp_path, "avi", replaced(data, b"00dc", b"\x8100d", 4))
    assert structure.packets == 50, "the index still knows it"
    assert any("unknown chunk" in text for text in structure.problems)
    assert any("49 of the 50 frames in the header" in text for text in structure.problems)
    structure = problems_of(tmp_path, "avi", replaced(data, b"00dc", b"77dc", 4))
    assert any("belongs to no stream" in text for text in structure.problems)
    assert any("index that the header announces is missing" in text
               for text in problems_of(tmp_path, "avi", replaced(data, b"idx1", b"idx2")).problems)  # fmt: skip
    assert "no video stream in the header" in problems_of(tmp_path, "avi", replaced(data, b"vids", b"vidz")).problems


def mp4_number(data: bytes, box: bytes, offset: int, value: int) -> bytes:
    position = data.index(box) + 4 + offset
    return data[:position] + struct.pack(">I", value) + data[position + 4 :]


def test_mp4_tables_that_disagree(clip, tmp_path):
    data = clip("mp4-h264-b").read_bytes()
    for change, expected in (
        (mp4_number(data, b"stsz", 8, 49), "sizes of 49 frames and times of 50"),
        (mp4_number(data, b"stsz", 8, 4000), "longer than its box"),
        (mp4_number(data, b"stsc", 12, 9), "places of"),
        (mp4_number(data, b"stco", 8, 10**6), "beyond the end"),
        (replaced(data, b"stsz", b"\0tsz"), "no box at byte"),
        (replaced(data, b"vide\0", b"soun\0"), "no video track"),
        (replaced(data, b"trak", b"trax"), "no video track"),
        (mp4_number(data, b"trak", -8, 2**31), "bytes too late"),
    ):
        found = problems_of(tmp_path, "mov", change).problems
        assert any(expected in text for text in found), (expected, found)


def test_mp4_frames_that_lost_their_size(clip, tmp_path):
    data = clip("mp4-h264-b").read_bytes()
    position = data.index(b"stsz") + 16 + 4 * 30
    structure = problems_of(tmp_path, "mov", data[:position] + bytes(20) + data[position + 20 :])
    assert (structure.packets, structure.empty) == (45, 5)
    assert any("5 frames have lost their place" in text for text in structure.problems)


def test_mp4_edit_lists(clip, tmp_path):
    data = clip("mp4-h264-b").read_bytes()
    assert problems_of(tmp_path, "mov", data).trimmed_s == pytest.approx(0, abs=1e-6)
    # One entry: duration in milliseconds, start in 1/12800 s; tkhd repeats the duration.
    assert problems_of(tmp_path, "mov", mp4_number(data, b"elst", 8, 1500)).trimmed_s is None
    assert problems_of(tmp_path, "mov", mp4_number(data, b"elst", 12, 12800)).trimmed_s is None
    both = mp4_number(mp4_number(data, b"elst", 8, 1500), b"tkhd", 20, 1500)
    assert problems_of(tmp_path, "mov", both).trimmed_s == pytest.approx(0.5)
    assert problems_of(tmp_path, "mov", mp4_number(data, b"elst", 12, 2**32 - 5)).trimmed_s is None


def test_mp4_fragments(clip, tmp_path):
    data = clip("mp4-h264-fragments").read_bytes()
    second = data.index(b"moof", data.index(b"moof") + 1)
    for change, expected in (
        (replaced(data, b"moof", b"free", 1), "1 fragments between"),
        (replaced(data, b"moof", b"free", 0), "have lost their header"),
        (replaced(data, b"traf", b"free", 1), "holds no tracks"),
        (replaced(data, b"trun", b"free", 1), "holds no frames"),
        (data[: second + 4] + replaced(data[second + 4 :], b"tfhd", b"free"), "holds no frames"),
        (mp4_number(data, b"trun", 4, 3), "another length than it says"),
        (mp4_number(data, b"tfhd", 4, 99), "belongs to no track"),
    ):
        found = problems_of(tmp_path, "mov", change).problems
        if expected != "holds no frames":
            assert any(expected in text for text in found), (expected, found)


def test_mp4_boxes_of_64_bits_and_to_the_end(tmp_path):
    ftyp = struct.pack(">I4s4sI", 16, b"ftyp", b"isom", 0)
    wide = struct.pack(">I4sQ", 1, b"free", 24) + bytes(8)
    last = struct.pack(">I4s", 0, b"mdat") + bytes(100)
    assert problems_of(tmp_path, "mov", ftyp + wide + last).problems == ("no video track in the header",)


def vint(value: int, width: int) -> bytes:
    return (value | 1 << 7 * width).to_bytes(width, "big")


def element(identity: str, body: bytes) -> bytes:
    return bytes.fromhex(identity) + vint(len(body), 4) + body


def matroska(cluster: bytes, *, live: bool = False) -> bytes:
    info = element("1549a966", element("2ad7b1", b"\x0f\x42\x40"))
    tracks = element("1654ae6b", element("ae", element("d7", b"\x01") + element("83", b"\x01")))
    segment = info + tracks + cluster
    head = bytes.fromhex("1a45dfa3") + b"\x80"
    if live:
        return head + bytes.fromhex("18538067") + b"\x01" + b"\xff" * 7 + segment
    return head + element("18538067", segment)


def block(track: int = 1, flags: int = 0x80, body: bytes = b"picture") -> bytes:
    return element("a3", vint(track, 1) + b"\0\0" + bytes([flags]) + body)


def test_matroska_by_hand(tmp_path):
    time = element("e7", b"\0")
    group = element("a0", element("a1", vint(1, 1) + b"\0\0\0" + b"picture") + element("9b", b"\x28"))
    sound = problems_of(tmp_path, "matroska", matroska(element("1f43b675", time + block() + group + block())))
    assert (sound.packets, sound.problems) == (3, ())
    laced = problems_of(
        tmp_path, "matroska", matroska(element("1f43b675", time + block(flags=0x82, body=b"\x02abcdef")))
    )
    assert laced.packets == 3
    open_ended = bytes.fromhex("1f43b675") + b"\x01" + b"\xff" * 7 + time + block() + block()
    live = problems_of(tmp_path, "matroska", matroska(open_ended + open_ended, live=True))
    assert (live.packets, live.problems) == (4, ())
    for cluster, expected in (
        (element("1f43b675", time + block(track=9)), "track 9 that the header does not know"),
        (element("1f43b675", block()), "has no time"),
        (element("1f43b675", time + time), "number at byte"),
        (element("1f43b675", time + element("ab", bytes(40))), "number at byte"),
        (element("1f43b675", time + element("a0", b"")), "holds 0 blocks"),
        (element("1f43b675", time + element("a3", b"\x81")), "too short"),
        (element("1f43b675", time + element("d7", b"\x01")), "unknown element D7"),
        (element("1f43b675", time) + element("ae", b""), "unknown element AE"),
        (b"", "no cluster"),
        (element("1f43b675", element("bf", b"wild") + time), "checksum of Cluster"),
        (element("1c53bb6b", element("bb", element("b7", element("f1", b"\x09")))), "point to no cluster"),
    ):
        if "checksum" in expected:
            cluster = element("1f43b675", bytes.fromhex("bf84") + b"wild" + time + block())
        found = problems_of(tmp_path, "matroska", matroska(cluster)).problems
        assert any(expected in text for text in found), (expected, found)
    checked = time + block()
    crc = bytes.fromhex("bf84") + zlib.crc32(checked).to_bytes(4, "little")
    assert problems_of(tmp_path, "matroska", matroska(element("1f43b675", crc + checked))).problems == ()


def test_mpegts_packets_out_of_place(clip, tmp_path):
    data = clip("mpegts-h264").read_bytes()
    changed = bytearray(data)
    changed[188 * 20] = 0
    assert problems_of(tmp_path, "mpegts", bytes(changed)).problems == ("1 transport packets are damaged",)
    stamped = b"".join(b"\0\0\0\0" + data[at : at + 188] for at in range(0, len(data), 188))
    assert problems_of(tmp_path, "mpegts", stamped).problems == ()


def test_gif_blocks(clip, tmp_path):
    data = clip("gif").read_bytes()
    assert problems_of(tmp_path, "gif", data[:-1]).problems == ("the trailer is missing: the file is cut off",)
    assert problems_of(tmp_path, "gif", data + bytes(4)).problems == ()
    assert problems_of(tmp_path, "gif", data + bytes(40)).problems == ("40 bytes follow the trailer",)
    assert problems_of(tmp_path, "gif", b"GIF89b" + data[6:]).problems == ("no GIF header",)


def test_asf_running_numbers(clip, tmp_path):
    data = bytearray(clip("wmv-wmv2").read_bytes())
    start = data.index(bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")) + 50
    data[start : start + 3] = b"\0\0\0"
    structure = problems_of(tmp_path, "asf", bytes(data))
    assert any("data packets are damaged" in text for text in structure.problems)
