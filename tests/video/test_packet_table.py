"""Tables read from packets equal tables made by decoding, or are not made."""

from __future__ import annotations

import numpy as np
import pytest
from damage import FORMATS

import tubelet.video.packet_table as packet_table
from tubelet.video.limits import Limits
from tubelet.video.measure import measure_table, table_by_decoding
from tubelet.video.packet_table import table_from_packets

PROMISED = sorted(
    name
    for name in FORMATS
    if name.startswith(("mp4-", "mkv-", "webm-"))
    and any(codec in name for codec in ("h264", "hevc", "av1", "vp9", "mjpeg"))
)


@pytest.fixture(autouse=True)
def every_video_is_long(monkeypatch):
    monkeypatch.setattr(packet_table, "CHEAP_PIXELS", 0)


@pytest.mark.parametrize("name", PROMISED)
def test_equal_to_decoding(clip, name):
    path = clip(name, 120)
    quick, whole = table_from_packets(path, Limits()), table_by_decoding(path, Limits())
    assert quick is not None
    np.testing.assert_array_equal(quick.pts, whole.pts)
    assert np.all(whole.keyframes[quick.keyframes]), "no key frame that the decoder does not call one"
    for field in ("last_duration", "time_base", "rate", "width", "height", "orientation", "seekable"):
        assert getattr(quick, field) == getattr(whole, field)


def test_open_groups_of_pictures_are_no_place_to_start(clip):
    table = table_from_packets(clip("mp4-h264-open", 120), Limits())
    assert table is not None
    assert np.flatnonzero(table.keyframes).tolist() == [0]


@pytest.mark.parametrize("name", sorted(set(FORMATS) - set(PROMISED)))
def test_other_formats_are_decoded(clip, name):
    assert table_from_packets(clip(name), Limits()) is None
    assert len(measure_table(clip(name), Limits())) == 50


def test_short_videos_are_decoded(clip, monkeypatch):
    monkeypatch.setattr(packet_table, "CHEAP_PIXELS", 96 * 64 * 50)
    assert table_from_packets(clip("mp4-h264-b", 50), Limits()) is None
    assert table_from_packets(clip("mp4-h264-b", 120), Limits()) is not None


def test_damage_in_the_bookkeeping_means_decoding(clip, tmp_path):
    data = clip("mkv-h264-b").read_bytes()
    path = tmp_path / "cut.mkv"
    path.write_bytes(data[: len(data) * 2 // 3])
    assert table_from_packets(path, Limits()) is None


def test_more_frames_than_allowed(clip):
    assert table_from_packets(clip("webm-vp9"), Limits(max_frames=10)) is None
