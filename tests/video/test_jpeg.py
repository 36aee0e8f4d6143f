"""JPEG pictures as brightness: gray ones exactly, damaged ones refused."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tubelet.video.jpeg import JpegDecoder, JpegError


def encoded(picture: NDArray[np.uint8]) -> bytes:
    data: bytes = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    return data


@pytest.mark.parametrize("shape", [(40, 56), (33, 47)])
def test_gray_pixels_are_those_of_opencv(shape: tuple[int, int]) -> None:
    picture = np.add.outer(np.arange(shape[0]) * 3, np.arange(shape[1]) * 2).astype(np.uint8)
    data = encoded(picture)
    exact = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    read = JpegDecoder(1 << 20).decode_gray(data)
    assert read.shape == shape
    assert np.abs(read.astype(int) - exact).max() <= 1


def test_of_a_colored_picture_it_is_the_brightness() -> None:
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[..., 1] = 200  # green in BGR: 0.587 of it
    assert np.abs(JpegDecoder(1 << 20).decode_gray(encoded(picture)).astype(int) - round(0.587 * 200)).max() <= 2


def test_damaged_and_foreign_bytes_are_refused() -> None:
    data = encoded(np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8))
    decoder = JpegDecoder(1 << 20)
    with pytest.raises(JpegError, match="damaged"):
        decoder.decode_gray(data[: len(data) // 2])
    with pytest.raises(JpegError, match="does not start like a JPEG"):
        decoder.decode_gray(b"GIF89a")
    assert decoder.decode_gray(data).shape == (64, 64), "the next one is read"
