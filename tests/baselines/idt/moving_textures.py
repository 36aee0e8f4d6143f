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


def world(side: int = 640, seed: int = 0) -> NDArray[np.float32]:
    """A picture ``(side, side)``, 0 to 255, much as filmed ones: edges of shapes, each with a texture of its own scale,
    some of them nearly plain."""
    rng = np.random.default_rng(seed)
    shown = (96 + 60 * (noise(side, side, seed) - 0.5)).astype(np.float32)
    for sigma in np.geomspace(1.5, 12.0, 80):
        center, radius = rng.integers(0, side, 2), rng.integers(20, 70)
        corners = np.sort(rng.random(rng.integers(3, 8))) * 2 * np.pi
        shape = np.stack([np.cos(corners), np.sin(corners)], axis=1) * radius + center
        inside = np.zeros((side, side), np.uint8)
        cv2.fillPoly(inside, [shape.round().astype(np.int32)], 255)
        texture = cv2.GaussianBlur(rng.normal(size=(side, side)).astype(np.float32), (0, 0), sigma)
        texture *= rng.choice([2.0, 12.0, 25.0]) / texture.std()
        shown = np.where(inside > 0, rng.integers(30, 220) + texture, shown)
    return cv2.GaussianBlur(shown, (0, 0), 1.0).clip(0, 255).astype(np.float32)


def filmed(
    frames: int,
    picture: NDArray[np.float32],
    *,
    step: tuple[float, float] = (0.0, 0.0),
    zoom: float = 1.0,
    turn: float = 0.0,
    size: tuple[int, int] = (120, 160),
) -> list:
    """A camera over a `world`, of which two pixels are one of the frames: it goes ``step`` = (x, y) pixels a frame,
    enlarges by ``zoom`` and turns by ``turn`` degrees a frame, both about the frame's middle. Every frame has its own
    grain of three gray levels, as a sensor's."""
    height, width = size
    grain = np.random.default_rng(1)
    shown = []
    for t in range(frames):
        angle, scale = np.deg2rad(turn * t), 2.0 / zoom**t
        away = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        middle = np.array([width - 1, height - 1]) / 2
        start = (np.array(picture.shape[::-1]) - 1) / 2 + 2 * t * np.array(step)
        back = np.column_stack([away, start - away @ middle])
        view = cv2.warpAffine(picture, back, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        view = view + 3 * grain.normal(size=size)
        shown.append(colored(view.clip(0, 255) / 255))
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
