"""Textures whose motion is known."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.float64]:
    """``(H, W)`` blurred noise between 0 and 1, with detail at several scales."""
    rng = np.random.default_rng(seed)
    found = sum(cv2.GaussianBlur(rng.random((height, width)), (0, 0), sigma) * sigma for sigma in (1.5, 3.0, 6.0))
    return (found - found.min()) / (found.max() - found.min())


def colored(view: NDArray[np.float64]) -> NDArray[np.uint8]:
    """A gray picture as RGB."""
    return np.repeat((view * 255).round().astype(np.uint8)[..., None], 3, axis=2)


def panning(frames: int, step: tuple[int, int], height: int = 96, width: int = 112, seed: int = 0) -> list:
    """A texture that moves ``step`` = (x, y) whole pixels a frame over the whole picture."""
    far = frames * max(map(abs, step))
    world = noise(height + 2 * far, width + 2 * far, seed)
    shown = []
    for t in range(frames):
        x, y = far - step[0] * t, far - step[1] * t
        shown.append(colored(world[y : y + height, x : x + width]))
    return shown


def object_in_front(frames: int, camera: tuple[int, int], moves: tuple[int, int]) -> tuple[list, list]:
    """A square of 48 pixels that moves over a background which the camera pans over; and the square's corners."""
    height, width, side = 120, 160, 48
    background = panning(frames, camera, height, width, seed=1)
    square = colored(noise(side, side, seed=2))
    corners = []
    for t, frame in enumerate(background):
        x, y = 30 + moves[0] * t, 30 + moves[1] * t
        frame[y : y + side, x : x + side] = square
        corners.append((x, y))
    return background, corners
