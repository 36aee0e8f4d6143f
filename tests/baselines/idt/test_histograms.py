"""Sums of votes where no pixel votes: nothing is left, however much was added and taken away before."""

from __future__ import annotations

import cv2
import numpy as np

from tubelet.baselines.idt.histograms import box_sums, root_normalized


def test_where_no_pixel_votes_the_sums_are_exactly_nothing() -> None:
    rng = np.random.default_rng(0)
    votes = np.zeros((64, 200, 9), np.float32)
    votes[:, :90] = np.exp(5 * rng.normal(size=(64, 90, 9))).astype(np.float32).clip(max=500)
    plain = cv2.boxFilter(votes, cv2.CV_32F, (16, 16), anchor=(0, 0), normalize=False, borderType=cv2.BORDER_CONSTANT)
    assert (plain[:, 90:] != 0).any()  # the reason for the test: OpenCV leaves a little
    found = box_sums(votes, 16)
    assert (found[:, 90:] == 0).all()
    assert (found >= 0).all()
    exact = votes[10:26, 20:36].sum(axis=(0, 1), dtype=np.float64)
    np.testing.assert_allclose(found[10, 20], exact, rtol=1e-6)
    assert np.isfinite(root_normalized(found.reshape(-1, 9))).all()
