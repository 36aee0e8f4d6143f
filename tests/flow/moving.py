"""Textures whose motion is known exactly: sums of plane waves, evaluated where each pixel came from.

An affine motion turns plane waves into plane waves, so no frame is interpolated and no border is invented.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["shift", "turn", "scale"]


@dataclass(frozen=True, eq=False)
class Texture:
    """Waves ``cos(k . p + phase)`` with weights: ``k`` (n, 2) radians per pixel, the others (n,)."""

    k: NDArray[np.float64]
    phase: NDArray[np.float64]
    weight: NDArray[np.float64]

    def moved(self, matrix: NDArray[np.float64], shift: NDArray[np.float64]) -> Texture:
        """The texture after its points went from p to ``matrix p + shift``."""
        k = self.k @ np.linalg.inv(matrix)
        return Texture(k, self.phase - k @ shift, self.weight)

    def frame(self, hw: tuple[int, int]) -> NDArray[np.uint8]:
        """Brightness ``(H, W)`` uint8, of mean 128 and deviation 45, on the pixel grid."""
        rows, columns = (np.arange(n) for n in hw)
        across = np.exp(1j * np.outer(self.k[:, 0], columns))
        down = np.exp(1j * (np.outer(rows, self.k[:, 1]) + self.phase)) * self.weight
        values = (down @ across).real * 45 / np.sqrt((self.weight**2).sum() / 2)
        return np.clip(np.rint(128 + values), 0, 255).astype(np.uint8)


def fine_texture(seed: int, blur_px: float = 1.0, waves: int = 500) -> Texture:
    """What white noise blurred by a Gaussian of this deviation looks like: details at every place, none large."""
    rng = np.random.default_rng(seed)
    k = rng.normal(0, 1 / (blur_px * 2**0.5), (waves, 2))
    return Texture(k, rng.uniform(0, 2 * np.pi, waves), np.ones(waves))


def natural_texture(seed: int, waves: int = 500) -> Texture:
    """Periods of 4 to 128 pixels, the larger the stronger, as in photographs."""
    rng = np.random.default_rng(seed)
    period = np.exp(rng.uniform(np.log(4), np.log(128), waves))
    angle = rng.uniform(0, np.pi, waves)
    k = 2 * np.pi / period * np.stack([np.cos(angle), np.sin(angle)])
    return Texture(k.T, rng.uniform(0, 2 * np.pi, waves), period**0.5)


@dataclass(frozen=True, eq=False)
class Pair:
    """Two gray frames ``(H, W)`` uint8 and the vectors ``(H, W, 2)`` from the first to the second."""

    first: NDArray[np.uint8]
    second: NDArray[np.uint8]
    vectors: NDArray[np.float64]

    def error(self, estimated: NDArray[np.floating], border: int = 16) -> float:
        """Mean end-point error in pixels, away from the borders."""
        distance = np.hypot(*np.moveaxis(estimated - self.vectors, -1, 0))
        return float(distance[border:-border, border:-border].mean())


def moving_pair(texture: Texture, kind: Kind, motion_px: float, hw: tuple[int, int]) -> Pair:
    """A texture that shifts, turns or grows so that no corner of the frame moves farther than ``motion_px``."""
    middle = np.array([hw[1] - 1, hw[0] - 1]) / 2
    radius = float(np.hypot(*middle))
    angle = 2 * np.arcsin(motion_px / radius / 2) if kind == "turn" else 0.0
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if kind == "scale":
        matrix = matrix * (1 + motion_px / radius)
    shift = middle - matrix @ middle
    if kind == "shift":
        shift = shift + motion_px * np.array([0.8, 0.6])
    points = np.stack(np.meshgrid(np.arange(hw[1]), np.arange(hw[0])), axis=-1).astype(float)
    return Pair(texture.frame(hw), texture.moved(matrix, shift).frame(hw), points @ matrix.T + shift - points)


def as_rgb(*frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Gray frames ``(H, W)`` as frames ``(T, H, W, 3)``."""
    return np.repeat(np.stack(frames)[..., None], 3, axis=-1)
