"""A picture of stored flow: frames of the video, and below each its motion by the color wheel."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from tubelet.clips.decode import ClipDecoder
from tubelet.flow.store import StoredFlow
from tubelet.reporting.flow_wheel import flow_film
from tubelet.video.frame_folder import ASSUMED_FPS

_SHOWN = 5


def save_film(stored: StoredFlow, video: str | os.PathLike[str], target: Path, decoder: ClipDecoder) -> Path:
    """Write a PNG of five frames, evenly spread over the video, and their flow.

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
    pairs = np.unique(np.linspace(0, len(stored) - 1, _SHOWN).round().astype(int))
    # Backward flow leads from the second frame of a pair to the first.
    used = pairs + (stored.direction == "backward")
    rate = ASSUMED_FPS if fps is None else fps
    frames = decoder.clip(video, used * step, None, ASSUMED_FPS if fps is None else None)
    film = flow_film(
        frames,
        stored.flow(pairs).vectors,
        times_s=[float(number / rate) for number in used],
        frames_shown=_SHOWN,
        title=f"{stored.record.video_id}: {stored.algorithm}, {stored.direction}",
    )
    return film.save(target)
