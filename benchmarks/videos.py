"""Videos to measure on, made on the spot: a texture that moves, so that the codec has something to do."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def moving_texture(path: Path, *, width: int, height: int, frames: int, fps: int = 25, seed: int = 0) -> Path:
    """H.264 with B-frames; kept if it is already there. Frames are made one at a time: memory stays small."""
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (height // 8 + 2, width // 4 + 2, 3)).astype(np.uint8)
    texture = coarse.repeat(8, axis=0).repeat(8, axis=1)
    partial = path.with_suffix(".part.mp4")
    with av.open(str(partial), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast", "crf": "23", "bf": "2"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = Fraction(1, fps)
        for index in range(frames):
            shift = index * 3 % width
            picture = np.ascontiguousarray(texture[:height, shift : shift + width])
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    partial.replace(path)
    return path
