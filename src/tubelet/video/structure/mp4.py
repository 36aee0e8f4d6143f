"""MP4 and QuickTime: the sample tables, the fragments and the boxes around them must agree."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from tubelet.video.structure.bytes_reader import BytesReader, TruncatedStructureError
from tubelet.video.structure.mp4_checks import Movie, Track, check_fragments, check_samples, trimmed_seconds
from tubelet.video.structure.result import Structure

# Children of these fill them exactly; QuickTime closes other boxes with four zero bytes.
_FILLED = (b"file", b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf", b"edts")

# Samples of a track, four times the frames that a video may have by default: damage cannot make us read gigabytes.
_MAX_ROWS = 8_000_000


def inspect_mp4(file: BytesReader) -> Structure:
    """Bookkeeping of an MP4, MOV or 3GP file, fragmented or not."""
    reader = _Mp4Reader(file)
    reader.read_file()
    movie = reader.movie
    track = next((t for t in movie.tracks if t.kind == b"vide"), None)
    if track is None:
        movie.problem("no video track in the header")
        return Structure(problems=tuple(movie.problems))
    check_samples(movie, track)
    check_fragments(movie)
    samples = (track.samples or 0) - track.empty + track.in_fragments
    frame_s = track.media_duration / track.media_scale / track.samples if track.media_scale and track.samples else 0.0
    return Structure(samples, track.empty, tuple(movie.problems), trimmed_seconds(movie, track), frame_s)


class _Mp4Reader:
    def __init__(self, file: BytesReader) -> None:
        self.file = file
        self.movie = Movie(file.size)

    def boxes(self, position: int, end: int, parent: bytes) -> Iterator[tuple[bytes, int, int]]:
        """Kind, start of content and end of each box between two positions."""
        file, movie = self.file, self.movie
        while position + 8 <= end:
            size = file.number(position, 4)
            kind = file.read(position + 4, 4)
            body = position + 8
            if size == 1 and body + 8 <= end:
                size = file.number(body, 8)
                body += 8
            elif size == 0 and parent == b"file":
                size = end - position  # to the end of the file
            if size < body - position or min(kind) < 0x20:
                movie.problem(f"no box at byte {position} of {parent.decode()}")
                return
            if position + size > end:
                movie.problem(f"box {kind!r} at byte {position} ends {position + size - end} bytes too late")
                return
            yield kind, body, position + size
            position += size
        if position != end and parent in _FILLED:
            movie.problem(f"{end - position} bytes at the end of {parent.decode()} belong to no box")

    def read_file(self) -> None:
        """Walk over the outermost boxes."""
        before = b""
        for kind, body, end in self.boxes(0, self.file.size, b"file"):
            announced = self.movie.fragments or (self.movie.extended and not any(t.samples for t in self.movie.tracks))
            if kind == b"mdat" and before not in (b"moof", b"mdat") and announced:
                self.movie.problem(f"the frames at byte {body} have lost their header")
            before = kind
            try:
                if kind == b"moov":
                    self.read_movie(body, end)
                elif kind == b"mdat":
                    self.movie.media_bytes += end - body
                elif kind == b"moof":
                    self.read_fragment(body, end)
            except TruncatedStructureError as error:
                self.movie.problem(f"box {kind!r} breaks off ({error})")

    def read_movie(self, position: int, end: int) -> None:
        """moov: the header of the movie and its tracks."""
        for kind, body, after in self.boxes(position, end, b"moov"):
            if kind == b"mvhd":
                version = self.file.number(body, 1)
                self.movie.scale = self.file.number(body + (20 if version == 1 else 12), 4)
            elif kind == b"mvex":
                self.movie.extended = True
            elif kind == b"trak":
                track = Track()
                self.movie.tracks.append(track)
                self.read_track(track, body, after, b"trak")

    def read_track(self, track: Track, position: int, end: int, parent: bytes) -> None:
        """trak and the boxes within it."""
        file = self.file
        for kind, body, after in self.boxes(position, end, parent):
            if kind in (b"mdia", b"minf", b"stbl", b"edts"):
                self.read_track(track, body, after, kind)
            elif kind == b"tkhd":
                long = file.number(body, 1) == 1
                track.number = file.number(body + (20 if long else 12), 4)
                track.track_duration = file.number(body + (28 if long else 20), 8 if long else 4)
            elif kind == b"mdhd":
                long = file.number(body, 1) == 1
                track.media_scale = file.number(body + (20 if long else 12), 4)
                track.media_duration = file.number(body + (24 if long else 16), 8 if long else 4)
            elif kind == b"hdlr" and parent == b"mdia":
                track.kind = file.read(body + 8, 4)
            elif kind == b"elst":
                self.read_edits(track, body, after)
            elif parent == b"stbl":
                self.read_table(track, kind, body, after)

    def read_edits(self, track: Track, body: int, end: int) -> None:
        """elst: durations and starts of 32 or 64 bits."""
        width = 8 if self.file.number(body, 1) == 1 else 4
        row = 2 * width + 4
        count = min(self.file.number(body + 4, 4), (end - body - 8) // row)
        for at in range(body + 8, body + 8 + count * row, row):
            start = int.from_bytes(self.file.read(at + width, width), "big", signed=True)
            track.edits.append((self.file.number(at, width), start))

    def read_table(self, track: Track, kind: bytes, body: int, end: int) -> None:
        """The tables of stbl that count samples."""
        file = self.file
        if kind == b"stsz":
            fixed, track.samples = file.number(body + 4, 4), file.number(body + 8, 4)
            track.bytes = fixed * track.samples
            if fixed == 0:
                sizes = self.numbers(body + 12, end, track.samples, 1)[:, 0]
                track.empty = int(np.count_nonzero(sizes == 0))
                track.bytes = int(sizes.sum())
        elif kind == b"stts":
            track.timed = int(self.numbers(body + 8, end, file.number(body + 4, 4), 2)[:, 0].sum())
        elif kind == b"ctts" and file.number(body + 4, 4) > 0:
            track.first_offset = int.from_bytes(file.read(body + 12, 4), "big", signed=True)
        elif kind == b"stsc":
            track.chunk_runs = self.numbers(body + 8, end, file.number(body + 4, 4), 3)[:, :2]
        elif kind == b"stco":
            track.chunk_offsets = self.numbers(body + 8, end, file.number(body + 4, 4), 1)[:, 0]
        elif kind == b"co64":
            pairs = self.numbers(body + 8, end, file.number(body + 4, 4), 2)
            track.chunk_offsets = pairs[:, 0] << 32 | pairs[:, 1]

    def numbers(self, start: int, end: int, rows: int, columns: int) -> npt.NDArray[np.int64]:
        """``(rows, columns)`` big-endian 32-bit numbers, fewer rows if the box ends before."""
        if start + rows * columns * 4 > end or rows > _MAX_ROWS:
            self.movie.problem("a table of the header is longer than its box")
            rows = min(_MAX_ROWS, max(0, end - start) // (columns * 4))
        data = self.file.read(start, rows * columns * 4)
        return np.frombuffer(data, ">u4").astype(np.int64).reshape(rows, columns)

    def read_fragment(self, position: int, end: int) -> None:
        """moof: its number and how many samples it adds to each track."""
        parts = 0
        for kind, body, after in self.boxes(position, end, b"moof"):
            if kind == b"mfhd":
                self.movie.fragments.append(self.file.number(body + 4, 4))
            elif kind == b"traf":
                parts += 1
                if not self.read_runs(body, after):
                    self.movie.problem(f"the fragment at byte {position} holds no frames")
        if not parts:
            self.movie.problem(f"the fragment at byte {position} holds no tracks")

    def read_runs(self, position: int, end: int) -> int:
        """traf: the runs of samples (trun) of one track; returns how many samples there are."""
        track: Track | None = None
        total = 0
        for kind, body, after in self.boxes(position, end, b"traf"):
            if kind == b"tfhd":
                number = self.file.number(body + 4, 4)
                track = next((t for t in self.movie.tracks if t.number == number), None)
                if track is None:
                    self.movie.problem(f"a fragment's part at byte {position} belongs to no track")
            elif kind == b"trun":
                flags, count = self.file.number(body + 1, 3), self.file.number(body + 4, 4)
                # The data offset and the first sample's flags, then up to four figures for each sample.
                width = 8 + 4 * (flags & 1) + (flags & 4) + 4 * count * (flags >> 8 & 15).bit_count()
                if body + width != after:
                    self.movie.problem(f"the run of frames at byte {body} has another length than it says")
                total += count
        if track is not None:
            track.in_fragments += total
        return total
