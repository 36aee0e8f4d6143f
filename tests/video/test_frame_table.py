"""Arithmetic of times and rates."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from tubelet.video.frame_table import FrameTable, average_rate
from tubelet.video.pixels import Orientation


def table(pts, last, base=Fraction(1, 1000), rate=None, keys=None):
    pts = np.array(pts, np.int64)
    keys = np.zeros(len(pts), bool) if keys is None else np.array(keys, bool)
    return FrameTable(pts, last, keys, np.empty(0, np.uint32), base, rate, 96, 64, Orientation(), True)


def test_times_start_at_zero_and_end_after_the_last_duration():
    rows = table([-100, 0, 50, 500], 250)
    np.testing.assert_allclose(rows.times, [0, 0.1, 0.15, 0.6])
    np.testing.assert_allclose(rows.ends, [0.1, 0.15, 0.6, 0.85])
    assert len(rows) == 4


def test_seconds_are_rounded_once():
    base = Fraction(1001, 30000)
    rows = table(range(5, 305), 1, base)
    assert rows.times.tolist() == [float(k * base) for k in range(300)]


def test_constant_rate_is_the_containers():
    rate = Fraction(30000, 1001)
    pts = [round(k * 1001 / 30) for k in range(100)]  # milliseconds: 33 or 34 apart
    assert table(pts, 33, rate=rate).fps == float(rate)


def test_variable_rate_is_measured():
    rows = table([0, 100, 110, 400], 100, rate=Fraction(25))
    assert rows.fps == pytest.approx(4 / 0.5)


def test_no_rate_in_the_container():
    assert average_rate(np.array([0, 40, 80]), 40, Fraction(1, 1000), None) == 25.0
    assert average_rate(np.array([7]), 500, Fraction(1, 1000), None) == 2.0


def test_key_frame_before():
    rows = table(range(6), 1, keys=[1, 0, 0, 1, 0, 0])
    assert [rows.keyframe_before(k) for k in range(6)] == [0, 0, 0, 3, 3, 3]
    assert table(range(3), 1).keyframe_before(2) == 0
