"""Whether a decoded file is sound: what came out against everything that says what should have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from tubelet.errors import VideoError
from tubelet.video.container import Header, open_container
from tubelet.video.decoder import Tally, read_packets
from tubelet.video.limits import Limits
from tubelet.video.structure import Structure, inspect


def judge(path: Path, limits: Limits, header: Header, tally: Tally, pts: npt.NDArray[np.int64]) -> tuple[str, ...]:
    """Everything that is wrong with a file that has been decoded to its end.

    Parameters
    ----------
    path, limits, header
        The file, as opened.
    tally
        What the decode met.
    pts
        ``(T,)`` time stamps of the decoded frames.

    Returns
    -------
    tuple of str
        One sentence for each problem; empty for a sound file, whether its frame rate is constant or not.
    """
    structure = inspect(path, header.container)
    problems: list[str] = []
    problems += _missing_packets(path, limits, header, tally, structure)
    problems += _missing_frames(header, tally, structure)
    problems += _hidden_by_damage(header, tally, pts)
    if tally.corrupt_packets or tally.corrupt_frames:
        problems.append(f"{tally.corrupt_packets} packets and {tally.corrupt_frames} frames are damaged")
    if tally.read_errors:
        problems.append(f"reading failed {tally.read_errors} times ({tally.first_error})")
    if tally.decode_errors:
        problems.append(f"decoding failed {tally.decode_errors} times ({tally.first_error})")
    if tally.resized:
        problems.append(f"{tally.resized} frames have another size than the first and are scaled to it")
    problems += structure.problems
    return tuple(problems)


def _missing_packets(path: Path, limits: Limits, header: Header, tally: Tally, structure: Structure) -> list[str]:
    """Packets that the container's bookkeeping knows and the demuxer did not find or was told to leave out."""
    stored = structure.packets
    if stored is None:
        return []
    unread = max(0, stored - tally.packets)
    if unread and structure.trimmed_s is not None:
        # An edit list makes the demuxer skip packets on purpose: count again without it.
        unread = max(0, stored - _count_packets(path, limits, {"ignore_editlist": "1"}))
    if unread:
        return [f"{unread} of {stored} stored frames cannot be read"]
    skipped = max(0, stored - tally.packets) + tally.left_out
    if skipped:
        length = float(tally.left_out_ticks * header.time_base) + (skipped - tally.left_out) * structure.frame_s
        if structure.trimmed_s is None or length > structure.trimmed_s + 0.75 * structure.frame_s:
            return [f"{skipped} of {stored} stored frames are left out by an edit list that does not fit the header"]
    declared = header.frames_declared
    if declared is not None and declared > stored + structure.empty and header.container != "gif":
        return [f"{stored + structure.empty} of {declared} declared frames are stored"]
    return []


def _count_packets(path: Path, limits: Limits, options: dict[str, str]) -> int:
    try:
        with open_container(path, limits, options) as (container, stream, _):
            return sum(1 for _ in read_packets(container, stream, Tally()))
    except VideoError:
        return 0


def _missing_frames(header: Header, tally: Tally, structure: Structure) -> list[str]:
    """Pictures that the packets hold and the decoder did not give."""
    if tally.interlaced and header.codec in ("h264", "mpeg2video", "vc1"):
        # The two fields of a frame may come in packets of their own, in some frames and not in others.
        if 2 * tally.frames < tally.pictures - 1:
            return [f"{tally.frames} frames came out of {tally.pictures} fields"]
        return []
    # A packed MPEG-4 stream (DivX) cut after a packet of two pictures holds one that no packet releases any more.
    pictures = min(tally.pictures, tally.packets)
    if tally.frames < pictures:
        return [f"{pictures - tally.frames} of {pictures} frames could not be decoded"]
    if structure.packets is None and header.frames_declared is not None and tally.frames < header.frames_declared:
        return [f"{tally.frames} of {header.frames_declared} declared frames could be decoded"]
    return []


def _hidden_by_damage(header: Header, tally: Tally, pts: npt.NDArray[np.int64]) -> list[str]:
    """Packets marked as never shown, at times when a frame should appear.

    VP8 stores reference pictures that are never shown in packets of their own, stamped one tick after the frame
    before or like the frame after. Damage can set the same mark in the packet of a frame; then no frame is near.
    """
    if header.codec != "vp8" or not tally.hidden or len(pts) < 2:
        return []
    stamps = np.frombuffer(tally.hidden, np.int64)
    after = np.searchsorted(pts, stamps).clip(1, len(pts) - 1)
    distance = np.minimum(np.abs(stamps - pts[after - 1]), np.abs(stamps - pts[after]))
    lonely = int(np.count_nonzero(distance > max(2.0, 0.5 * float(np.median(np.diff(pts))))))
    return [f"{lonely} frames are marked as never shown"] if lonely else []
