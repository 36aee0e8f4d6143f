"""Frames are chosen, scaled and packed."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from matplotlib.image import imread

from tubelet.errors import UsageError
from tubelet.reporting import Strip
from tubelet.reporting.strips import chosen, encoded_jpeg, resized, sprite


def test_frames_are_spread_over_the_clip() -> None:
    assert chosen(16, 4).tolist() == [0, 5, 10, 15]
    assert chosen(3, 8).tolist() == [0, 1, 2]
    assert chosen(5, 1).tolist() == [2]


@pytest.mark.parametrize("size", [(240, 320), (61, 97), (1080, 1920)])
def test_scaling_agrees_with_opencv_area(size: tuple[int, int]) -> None:
    height, width = size
    frames = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), dtype=np.uint8)
    small = resized(frames, max_width=48)
    expected = cv2.resize(frames[0], small.shape[2:0:-1], interpolation=cv2.INTER_AREA)
    assert np.abs(small[0].astype(int) - expected).max() <= 1


def test_scaling_keeps_aspect_and_never_enlarges() -> None:
    frames = np.zeros((2, 240, 320, 3), dtype=np.uint8)
    assert resized(frames, max_width=80).shape == (2, 60, 80, 3)
    assert resized(frames, max_width=80, max_height=30).shape == (2, 30, 40, 3)
    assert resized(frames, max_width=500).shape == frames.shape
    assert resized(np.zeros((1, 1, 4000, 3), dtype=np.uint8), max_width=40).shape == (1, 1, 40, 3)


def test_sprite_frames_do_not_bleed() -> None:
    # Black and white frames, of a width that is no whole number of JPEG blocks.
    frames = np.zeros((4, 30, 30, 3), dtype=np.uint8)
    frames[1::2] = 255
    packed = sprite(frames, count=4, max_side=112)
    assert packed.size == (30, 30)
    assert packed.pitch == 32
    image = imread(io.BytesIO(packed.jpeg), format="jpeg")
    assert image.shape == (30, 128, 3)
    for index in range(4):
        part = image[:, index * 32 : index * 32 + 30].astype(int)
        assert np.abs(part - frames[index].astype(int)).max() <= 2


def test_jpeg_is_close_and_repeatable() -> None:
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    image = np.stack([np.tile(ramp, (48, 1)), np.tile(ramp[::-1], (48, 1)), np.full((48, 64), 128, np.uint8)], -1)
    jpeg = encoded_jpeg(image)
    assert jpeg == encoded_jpeg(image.copy())
    decoded = imread(io.BytesIO(jpeg), format="jpeg")
    assert np.abs(decoded.astype(int) - image).mean() < 3


@pytest.mark.parametrize(
    "frames",
    [np.zeros((4, 8, 8), np.uint8), np.zeros((4, 8, 8, 3), np.float32), np.zeros((0, 8, 8, 3), np.uint8)],
)
def test_other_arrays_are_refused(frames: np.ndarray) -> None:
    with pytest.raises(UsageError, match="strip"):
        Strip(frames)
