"""Frames of one clip as a small picture: chosen in time order, scaled down, packed side by side."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tubelet.errors import UsageError

Pixels = NDArray[np.uint8]

_BLOCK = 8  # JPEG's block: a frame that starts on one shares no block with its neighbor, so nothing bleeds


@dataclass(frozen=True, eq=False)
class Strip:
    """A clip to show.

    Attributes
    ----------
    frames
        (T, H, W, 3) uint8 RGB in time order, T ≥ 1.
    label
        What it is, such as its class.
    detail
        Small print, such as a file name.
    start_s, end_s
        Where in its video, in seconds.
    score
        A similarity or probability, written with two digits.
    correct
        Marks the clip as right (green) or wrong (red); None leaves it unmarked.
    """

    frames: Pixels
    label: str = ""
    detail: str = ""
    start_s: float | None = None
    end_s: float | None = None
    score: float | None = None
    correct: bool | None = None

    def __post_init__(self) -> None:
        frames = self.frames
        if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or 0 in frames.shape:
            raise UsageError("a strip needs (T, H, W, 3) uint8 frames", why=f"shape {frames.shape}, {frames.dtype}")


@dataclass(frozen=True, eq=False)
class Sprite:
    """Frames side by side in one JPEG.

    Attributes
    ----------
    jpeg
        The picture's bytes.
    frames
        (n, h, w, 3) uint8: what was packed.
    pitch
        Pixels from one frame's left edge to the next one's: w rounded up to whole JPEG blocks.
    """

    jpeg: bytes
    frames: Pixels
    pitch: int

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of one frame in pixels."""
        return int(self.frames.shape[2]), int(self.frames.shape[1])


def chosen(total: int, count: int) -> NDArray[np.int64]:
    """At most ``count`` indices spread evenly over ``range(total)``, the first and the last included."""
    if count >= total:
        return np.arange(total, dtype=np.int64)
    if count == 1:
        return np.array([total // 2], dtype=np.int64)
    return np.linspace(0, total - 1, count).round().astype(np.int64)


def resized(frames: Pixels, *, max_width: int, max_height: int | None = None) -> Pixels:
    """Scale frames down to fit, each output pixel the mean of the area it covers; never scale up.

    Parameters
    ----------
    frames
        (T, H, W, 3) uint8.
    max_width, max_height
        Pixels; the aspect ratio is kept.

    Returns
    -------
    ndarray
        (T, h, w, 3) uint8. The area mean neither flickers nor aliases, which matters more for a thumbnail
        than agreeing with the bilinear resize that networks see (``clips.transforms``).
    """
    _, height, width, _ = frames.shape
    scale = min(1.0, max_width / width, (max_height or max_width) / height)
    if scale >= 1.0:
        return np.ascontiguousarray(frames)
    out_h, out_w = max(1, round(height * scale)), max(1, round(width * scale))
    rows, columns = area_weights(height, out_h), area_weights(width, out_w)
    out = np.empty((len(frames), out_h, out_w, 3), dtype=np.uint8)
    for index, frame in enumerate(frames):  # one at a time: a float copy of a whole 1080p clip is large
        lines = np.tensordot(rows, frame.astype(np.float32), axes=(1, 0))
        area = np.einsum("xw,hwc->hxc", columns, lines, optimize=True)
        out[index] = np.clip(np.rint(area), 0, 255).astype(np.uint8)
    return out


def area_weights(size: int, out: int) -> NDArray[np.float32]:
    """(out, size) matrix: how much of each input pixel falls into each output pixel; rows sum to one."""
    edges = np.linspace(0, size, out + 1)
    pixel = np.arange(size)
    covered = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    weights = np.clip(covered, 0.0, None)
    return np.asarray(weights / weights.sum(1, keepdims=True), dtype=np.float32)


def sprite(frames: Pixels, *, count: int, max_side: int) -> Sprite:
    """Choose ``count`` frames evenly, scale them to ``max_side`` pixels and pack them into one JPEG."""
    small = resized(frames[chosen(len(frames), count)], max_width=max_side)
    width = small.shape[2]
    pitch = -(-width // _BLOCK) * _BLOCK
    # The rest of a block repeats the edge, so that its ringing stays outside the frame.
    padded = np.pad(small, ((0, 0), (0, 0), (0, pitch - width), (0, 0)), mode="edge")
    return Sprite(encoded_jpeg(np.concatenate(list(padded), axis=1)), small, pitch)


def encoded_jpeg(image: Pixels, quality: int = 84) -> bytes:
    """(H, W, 3) uint8 RGB as JPEG: frames of lossy video are a tenth of their PNG size that way."""
    from matplotlib.image import imsave

    buffer = io.BytesIO()
    options = {"quality": quality, "optimize": True, "subsampling": 0}
    imsave(buffer, image, format="jpeg", origin="upper", dpi=72, pil_kwargs=options)
    return buffer.getvalue()
