"""A picture of stored flow: frames of the video, and below each its motion by the color wheel."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tubelet.clips.decode import ClipDecoder
from tubelet.flow.store import StoredFlow
from tubelet.reporting.flow_wheel import flow_film
from tubelet.reporting.text import seconds
from tubelet.video.frame_folder import ASSUMED_FPS

_SHOWN = 5


def save_film(stored: StoredFlow, video: str | os.PathLike[str], target: Path, decoder: ClipDecoder) -> Path:
    """Write a PNG of five frames, spread over the video, and their flow.

    Parameters
    ----------
    stored
        The video's flow, stored by this package.
    video
        The video that it was computed from.
    target
        The PNG file.
    decoder
        Decodes the frames.

    Returns
    -------
    Path
        ``target``.

    Raises
    ------
    VideoError
        The video cannot be decoded.
    InputDataError
        The flow is damaged.
    """
    assert stored.record is not None
    step, fps = stored.record.settings.step, stored.record.fps
    pairs, vectors = _moving_pairs(stored)
    # Backward flow leads from the second frame of a pair to the first.
    used = [pair + (stored.direction == "backward") for pair in pairs]
    film = flow_film(
        decoder.clip(video, [number * step for number in used], None, ASSUMED_FPS if fps is None else None),
        vectors,
        labels=[f"frame {number * step}" if fps is None else seconds(number / fps) for number in used],
        frames_shown=_SHOWN,
        title=f"{stored.record.video_id}: {stored.algorithm}, {stored.direction}",
    )
    return film.save(target)


def _moving_pairs(stored: StoredFlow) -> tuple[list[int], NDArray[np.float32]]:
    """Five pairs spread over the video; of three neighbors the one that moves most, as many files repeat frames."""
    pairs: list[int] = []
    fields: list[NDArray[np.float32]] = []
    last = len(stored) - 1
    for middle in np.unique(np.linspace(0, last, _SHOWN).round().astype(int)).tolist():
        near = range(max(middle - 1, pairs[-1] + 1 if pairs else 0), min(middle + 1, last) + 1)
        if near:
            vectors = stored.flow(near).vectors
            best = int(np.abs(vectors).mean(axis=(1, 2, 3)).argmax())
            pairs.append(near[best])
            fields.append(vectors[best])
    return pairs, np.stack(fields)
