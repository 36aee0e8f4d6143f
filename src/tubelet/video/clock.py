"""Timestamps that always increase, whatever the container says."""

from __future__ import annotations

from fractions import Fraction

from av.video.frame import VideoFrame

from tubelet.video.container import Header


class Clock:
    """Gives each decoded frame, in the order they come, its place in time.

    Parameters
    ----------
    from_decoding
        Whether to take the decoding time stamp. AVI stores no presentation times: what FFmpeg makes up for its
        B-frames is out of order, while the decoding stamp of the packet that released a frame is right.
    time_base
        Seconds per tick.
    rate
        Frames per second, used where a stamp is missing; None for one tick.
    """

    def __init__(self, from_decoding: bool, time_base: Fraction, rate: Fraction | None) -> None:
        self._from_decoding = from_decoding
        self._step = max(1, round(1 / (rate * time_base))) if rate else 1
        self._last: int | None = None
        self.repaired = 0

    @property
    def step(self) -> int:
        """Nominal ticks from frame to frame, at least 1."""
        return self._step

    def stamp(self, frame: VideoFrame) -> int:
        """Time of ``frame`` in ticks, always later than the one before."""
        first, second = (frame.dts, frame.pts) if self._from_decoding else (frame.pts, frame.dts)
        value = first if first is not None else (second if self._last is None else None)
        if value is None:
            value = 0 if self._last is None else self._last + self._step
        elif self._last is not None and value <= self._last:
            value = self._last + self._step
            self.repaired += 1
        self._last = value
        return value


def clock_for(header: Header) -> Clock:
    """The clock that suits a container."""
    return Clock(header.container == "avi", header.time_base, header.rate)
