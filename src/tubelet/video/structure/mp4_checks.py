"""What an MP4 file's boxes say, and whether it fits together."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

_MAX_PROBLEMS = 5


@dataclass
class Track:
    """The figures of one track; None or 0 where a box is missing.

    Attributes
    ----------
    number, kind
        Track id and handler (``b"vide"``).
    samples, empty, bytes
        Entries of the sample size table (stsz), how many of them are empty, and their sum.
    timed
        Samples that the time table (stts) covers.
    chunk_offsets, chunk_runs
        ``(chunks,)`` byte positions (stco, co64) and ``(runs, 2)`` first chunk and samples per chunk (stsc).
    track_duration, media_duration, media_scale
        Durations of tkhd (movie ticks) and mdhd (media ticks), media ticks per second.
    first_offset
        Presentation minus decoding time of the first sample (ctts), media ticks.
    edits
        Duration (movie ticks) and start (media ticks, -1 for a pause) of each edit (elst).
    in_fragments
        Samples of the track in movie fragments (trun).
    """

    number: int = 0
    kind: bytes = b""
    samples: int | None = None
    empty: int = 0
    bytes: int = 0
    timed: int | None = None
    chunk_offsets: npt.NDArray[np.int64] | None = None
    chunk_runs: npt.NDArray[np.int64] | None = None
    track_duration: int = 0
    media_duration: int = 0
    media_scale: int = 0
    first_offset: int = 0
    edits: list[tuple[int, int]] = field(default_factory=list)
    in_fragments: int = 0


@dataclass
class Movie:
    """The figures of the whole file and what was found wrong with them.

    Attributes
    ----------
    size
        Length of the file in bytes.
    tracks
        In the order of the file.
    scale
        Ticks per second of the movie's own clock (mvhd).
    media_bytes
        Content of all mdat boxes.
    extended
        Whether the header announces fragments (mvex).
    fragments
        Their sequence numbers, in the order of the file.
    problems
        What was found wrong.
    """

    size: int
    tracks: list[Track] = field(default_factory=list)
    scale: int = 0
    media_bytes: int = 0
    extended: bool = False
    fragments: list[int] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def problem(self, text: str) -> None:
        """Remember a problem, unless there are enough to make the point."""
        if len(self.problems) < _MAX_PROBLEMS:
            self.problems.append(text)


def check_samples(movie: Movie, track: Track) -> None:
    """The size table, the time table and the chunk table count the same samples, all of them inside the file."""
    if track.samples is None:
        movie.problem("the table of sample sizes is missing")
        return
    if track.timed is not None and track.timed != track.samples:
        movie.problem(f"the header has sizes of {track.samples} frames and times of {track.timed}")
    if track.empty and sum(t.bytes for t in movie.tracks) < movie.media_bytes:
        # Empty samples repeat the frame before; but here there are bytes that no sample claims.
        movie.problem(f"{track.empty} frames have lost their place in the file")
    offsets, runs = track.chunk_offsets, track.chunk_runs
    if offsets is not None and runs is not None and len(runs) and len(offsets):
        first = np.append(runs[:, 0], len(offsets) + 1)
        placed = int(((first[1:] - first[:-1]) * runs[:, 1]).sum())
        if placed != track.samples:
            movie.problem(f"the header has sizes of {track.samples} frames and places of {placed}")
    if offsets is not None and len(offsets) and int(offsets.max()) >= movie.size:
        movie.problem("frames lie beyond the end of the file")


def check_fragments(movie: Movie) -> None:
    """Fragments are numbered one after the other."""
    steps = np.diff(movie.fragments)
    if len(steps) and np.count_nonzero(steps == 1) * 2 >= len(steps):
        missing = int((steps[steps > 1] - 1).sum())
        if missing:
            movie.problem(f"{missing} fragments between the first and the last are missing")


def trimmed_seconds(movie: Movie, track: Track) -> float | None:
    """Seconds of the medium that the edit list leaves out; None if there is no list, or one that cannot be right.

    The header also states the length of the edited track and of the whole medium; a list damaged in the file agrees
    with neither.
    """
    if not track.edits or not movie.scale or not track.media_scale or not track.samples:
        return None
    total = sum(duration for duration, _ in track.edits)
    if abs(total - track.track_duration) > max(2, track.track_duration // 100):
        return None
    length = track.media_duration / track.media_scale
    latest = length + (track.first_offset + track.media_duration / track.samples) / track.media_scale
    shown = 0.0
    for duration, start in track.edits:
        if start == -1:
            continue  # a pause before the first frame
        if start < 0 or start / track.media_scale + duration / movie.scale > latest:
            return None
        shown += duration / movie.scale
    return max(0.0, length - shown)
