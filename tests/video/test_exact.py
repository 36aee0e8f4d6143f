"""``frames(indices)`` gives exactly those frames, on every codec and whatever the container's index says."""

from __future__ import annotations

import av
import numpy as np
import pytest
from damage import FORMATS, number_shown
from hypothesis import given, settings
from hypothesis import strategies as st

import tubelet.video.packet_table as packet_table
from tubelet.errors import VideoError
from tubelet.video.exact import _Cursor
from tubelet.video.frame_table import FrameTable
from tubelet.video.limits import Limits
from tubelet.video.measure import table_by_decoding
from tubelet.video.reader import Video

LENGTH = 120


def sequential(path):
    """All frames by PyAV alone, without any of our code."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_random_indices_show_their_own_numbers(clip, name):
    video = Video(clip(name, LENGTH))
    rng = np.random.default_rng(0)
    for _ in range(3):
        wanted = rng.integers(0, LENGTH, 6)
        assert [number_shown(image) for image in video.frames(wanted)] == wanted.tolist()


@pytest.mark.parametrize(
    "name",
    ["mp4-h264-b", "mp4-h264-open", "avi-mpeg4-b", "mkv-hevc", "webm-vp9-alt", "mp4-av1", "avi-mjpeg", "gif"],
)
def test_equal_to_a_sequential_decode(clip, name):
    path = clip(name, LENGTH)
    reference = sequential(path)
    assert len(reference) == LENGTH
    video = Video(path)

    @settings(max_examples=12)
    @given(st.lists(st.integers(0, LENGTH - 1), max_size=5))
    def check(indices):
        np.testing.assert_array_equal(video.frames(indices), reference[indices])

    check()


@pytest.fixture
def seeks(monkeypatch):
    """Counts the seeks of a cursor."""
    made = []
    real = _Cursor._seek

    def seek(self, index):
        made.append(index)
        real(self, index)

    monkeypatch.setattr(_Cursor, "_seek", seek)
    return made


def test_seeks_where_that_is_shorter(clip, seeks):
    path = clip("mp4-h264-b", LENGTH)
    video = Video(path)
    assert number_shown(video.frames([100])[0]) == 100
    assert seeks == [100]
    video.frames(range(100, 104))
    assert seeks == [100, 100], "neighbors are decoded on"
    video.frames([5])
    assert len(seeks) == 2


def test_never_seeks_in_avi_with_b_frames_and_gif(clip, seeks):
    for name in ("avi-mpeg4-b", "avi-h264-b", "gif"):
        assert number_shown(Video(clip(name, LENGTH)).frames([110])[0]) == 110
    assert seeks == []


def with_keyframes(table: FrameTable, keyframes, fingerprints=None) -> FrameTable:
    return FrameTable(
        **{
            **{name: getattr(table, name) for name in table.__dataclass_fields__},
            "keyframes": keyframes,
            "fingerprints": table.fingerprints if fingerprints is None else fingerprints,
        }
    )


def test_a_table_with_false_key_frames_cannot_lead_to_wrong_frames(clip):
    path = clip("mp4-h264-b", LENGTH)
    video = Video(path)
    table = table_by_decoding(path, Limits())
    video._source._table = with_keyframes(table, np.ones(LENGTH, bool))
    wanted = [17, 40, 77, 119]
    assert [number_shown(image) for image in video.frames(wanted)] == wanted


def test_other_pixels_after_a_seek_send_it_back_to_the_start(clip, seeks):
    path = clip("mp4-h264-b", LENGTH)
    video = Video(path)
    table = table_by_decoding(path, Limits())
    video._source._table = with_keyframes(table, table.keyframes, table.fingerprints ^ 1)
    assert [number_shown(image) for image in video.frames([60, 100])] == [60, 100]
    assert len(seeks) == 1, "after the first mismatch all is decoded from the start"


def test_a_container_that_cannot_seek(clip, monkeypatch):
    def broken(self, index):
        from tubelet.video.exact import _SeekError

        raise _SeekError

    monkeypatch.setattr(_Cursor, "_seek", broken)
    assert number_shown(Video(clip("mp4-h264-b", LENGTH)).frames([90])[0]) == 90


def test_a_frame_that_the_packets_promise_and_the_decoder_does_not_give(clip, tmp_path, monkeypatch):
    """A long file is measured by its packets; damage in the pictures is found when the frame is asked for."""
    monkeypatch.setattr(packet_table, "CHEAP_PIXELS", 0)
    source = clip("mp4-h264-b")
    with av.open(str(source)) as container:
        packets = [(p.pos, p.size, p.pts) for p in container.demux(video=0) if p.size]
    position, size, _ = sorted(packets, key=lambda row: row[2])[20]
    data = bytearray(source.read_bytes())
    data[position : position + size] = bytes(size)
    path = tmp_path / "hole.mp4"
    path.write_bytes(data)
    video = Video(path)
    assert len(video) == 50
    with pytest.raises(VideoError, match="cannot be decoded"):
        video.frames([20])
    assert len(video) == video.check().frames_decoded < 50
    shown = [number_shown(frame.image) for frame in video.iter_frames()]
    assert [number_shown(image) for image in video.frames(range(len(video)))] == shown


def test_damaged_files_are_read_as_they_stream(clip, tmp_path):
    """A seek into a damaged file may conceal other blocks than the stream did; the fingerprints notice."""
    data = bytearray(clip("mp4-h264-faststart", LENGTH).read_bytes())
    rng = np.random.default_rng(3)
    for position in rng.integers(len(data) // 2, len(data), 6):
        data[position] ^= 0x55
    path = tmp_path / "flips.mp4"
    path.write_bytes(data)
    video = Video(path)
    streamed = np.stack([frame.image for frame in video.iter_frames()])
    assert len(video) == len(streamed)
    for index in range(0, len(video), 7):
        np.testing.assert_array_equal(video.frames([index])[0], streamed[index])
