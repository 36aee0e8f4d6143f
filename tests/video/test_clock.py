"""Time stamps that always increase."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from tubelet.video.clock import Clock


def frames(*stamps):
    return [SimpleNamespace(pts=pts, dts=dts) for pts, dts in stamps]


def test_good_stamps_pass_unchanged():
    clock = Clock(False, Fraction(1, 1000), Fraction(25))
    assert [clock.stamp(f) for f in frames((-40, 0), (0, 1), (7, None), (1000, 2))] == [-40, 0, 7, 1000]
    assert clock.repaired == 0
    assert clock.step == 40


def test_missing_and_disordered_stamps_are_repaired():
    clock = Clock(False, Fraction(1, 1000), Fraction(25))
    assert [clock.stamp(f) for f in frames((None, 5), (None, None), (45, 1), (200, 1))] == [5, 45, 85, 200]
    assert clock.repaired == 1  # the second 45; a stamp that is merely missing is no contradiction


def test_avi_goes_by_decoding_stamps():
    clock = Clock(True, Fraction(1, 25), Fraction(25))
    assert [clock.stamp(f) for f in frames((1, 1), (4, 2), (3, 3), (2, None))] == [1, 2, 3, 4]


def test_nothing_known_at_all():
    clock = Clock(False, Fraction(1, 1000), None)
    assert [clock.stamp(f) for f in frames((None, None), (None, None))] == [0, 1]


@given(st.lists(st.tuples(st.none() | st.integers(-99, 99), st.none() | st.integers(-99, 99))), st.booleans())
def test_always_increases(stamps, from_decoding):
    clock = Clock(from_decoding, Fraction(1, 10), Fraction(5))
    given_out = [clock.stamp(f) for f in frames(*stamps)]
    assert all(a < b for a, b in pairwise(given_out))
