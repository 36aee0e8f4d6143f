"""Rows made up from a seed, for the tests of the table; without torch, so that child processes start quickly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tubelet.descriptors.pooling import FloatArray
from tubelet.descriptors.schema import ClipSpan, VideoRecord
from tubelet.descriptors.spool import RowSpool
from tubelet.descriptors.writer import FinishedVideo

DIMENSIONS = {"fc6": 8}
SAMPLING = '{"policy":"dense","clip_length":16,"stride_frames":8,"step_frames":1,"short":"loop"}'


def spans(n: int) -> list[ClipSpan]:
    """Clips of 16 frames, 8 apart, at 25 frames/s."""
    return [ClipSpan(i, 8 * i, 8 * i + 16, 8 * i / 25, (8 * i + 16) / 25, False) for i in range(n)]


def made_vectors(
    video_id: str, n: int, weights: str, dimensions: Mapping[str, int] = DIMENSIONS
) -> dict[str, FloatArray]:
    """``(n, D)`` float32 by layer, a function of the arguments alone; row i does not depend on n."""
    vectors = {}
    for layer, dimension in dimensions.items():
        seeds = [[*video_id.encode(), *weights.encode(), *layer.encode(), i] for i in range(n)]
        rows = [np.random.default_rng(seed).standard_normal(dimension) for seed in seeds]
        vectors[layer] = np.array(rows, dtype=np.float32).reshape(n, dimension)
    return vectors


def record(video_id: str, n: int, weights: str = "w1", **changes: Any) -> VideoRecord:
    values: dict[str, Any] = {
        "video_id": video_id,
        "path": f"/data/{video_id}",
        "label": video_id.split("/")[0],
        "fps": 25.0,
        "fps_source": "container",
        "model": "c3d_small",
        "weights_sha256": weights,
        "recipe_hash": "r1",
        "sampling": SAMPLING,
        "precision": "float32",
        "decode_status": "ok",
        "frames_declared": None,
        "frames_decoded": 8 * n + 8,
        "file_size": 1000,
        "file_mtime_ns": 2000,
        "content_sha256": "c1",
        "tool_version": "0",
    }
    return VideoRecord(**{**values, **changes})


def finished(
    video_id: str,
    n: int,
    weights: str = "w1",
    dimensions: Mapping[str, int] = DIMENSIONS,
    **changes: Any,
) -> FinishedVideo:
    """A video with ``n`` clips, ready to be committed."""
    spool = RowSpool(dimensions)
    spool.append(spans(n), made_vectors(video_id, n, weights, dimensions))
    return FinishedVideo(record(video_id, n, weights, **changes), spool)
