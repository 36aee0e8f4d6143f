"""What a container's bookkeeping says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Structure:
    """What a container's bookkeeping says.

    Attributes
    ----------
    packets
        Packets of the video stream that are stored, those without content left out; None if it is not told.
    empty
        Stored video packets without content: they repeat the frame before.
    problems
        One sentence for each contradiction or unreadable place; empty for a file as its muxer left it.
    trimmed_s
        Seconds of the stored frames that a sound edit list leaves out, None if there is no such list.
    frame_s
        Average duration of a stored frame in seconds, 0 if unknown.
    """

    packets: int | None = None
    empty: int = 0
    problems: tuple[str, ...] = ()
    trimmed_s: float | None = None
    frame_s: float = 0.0
