"""A few frames of a video for a report's film strip."""

from __future__ import annotations

import logging
import os

import numpy as np
from numpy.typing import NDArray

from tubelet.clips.decode import ClipDecoder
from tubelet.errors import TubeletError
from tubelet.video.report import DecodeReport

_log = logging.getLogger(__name__)

_FRAMES, _HEIGHT = 8, 90


def middle_frames(path: str | os.PathLike[str], report: DecodeReport, decoder: ClipDecoder) -> NDArray[np.uint8] | None:
    """(n, h, w, 3) uint8: the middle frame of each of eight equal parts; None where the video is not there any more.

    Parameters
    ----------
    path
        The video.
    report
        What its decoding said: frames, size and rate.
    decoder
        Reads the frames, in a child process.
    """
    parts = min(_FRAMES, report.frames_decoded)
    indices = ((np.arange(parts) + 0.5) * report.frames_decoded / parts).astype(np.int64)
    height = min(_HEIGHT, report.height)
    size = (height, max(1, round(height * report.width / report.height)))
    try:
        return decoder.clip(path, indices, size, fps=report.fps)
    except TubeletError as error:
        _log.warning("no pictures of %s: %s", path, error)
        return None
