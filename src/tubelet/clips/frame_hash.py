"""What a video looks like over time, as hashes of 64 bits for every sixteenth of a second.

Frames become 64 x 64 mean brightnesses, averaged over eighths of a second, so that neither the size of the frames nor
their rate nor the codec matters much. The signs of 63 frequencies of the discrete cosine transform (as in pHash,
C. Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010) are one hash of the picture, and
one of its change from one eighth to the next. The second is what tells two clips apart that a camera on a tripod took
of one scene: their pictures are nearly the same, their motions are not. Signs of small coefficients are noise, so two
more numbers say which bits are certain.

pHash takes the lowest 8 x 8 frequencies. Those say where somebody moves, not who: two actors who ran past a wall at one
speed had the same hashes. A quarter of the lowest 16 x 16 parts them, and survives compression as well
(docs/measured.md).

A hash of a picture that shows nothing, or of a change that is none, is 0: it says nothing.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tubelet.reporting.strips import area_weights

Hashes = npt.NDArray[np.uint64]
Blocks = npt.NDArray[np.uint8]

STEP_S = 0.0625
"""Seconds from one row of hashes to the next."""

PICTURE, CHANGE, CLEAR, CERTAIN = 0, 1, 2, 3
"""Columns of the rows: hash of the picture, of its change, and which bits of the one and of the other are certain."""

COLUMNS = 4

BITS = 63
"""Bits of a hash that say something; the highest one is always 0."""

_GRID = 64  # blocks across and down
_SIDE = 32  # points across and down of what is transformed, once bars are cut off
_FREQUENCIES = 16  # across and down, of which every fourth is taken
_LONGER_SIDE = 384  # pixels; of larger frames only every second, third, … pixel is looked at

# In gray levels of an orthonormal transform of 32 x 32 means. Noise of a level in each mean gives coefficients of one.
_STRONG_PICTURE, _STRONG_CHANGE = 8.0, 1.0
_ENOUGH_PICTURE, _ENOUGH_CHANGE = 8, 12  # strong coefficients that make a hash say something
_CLEAR = 2.0  # levels; the sign of a smaller coefficient of a picture is not counted
_CERTAIN = 0.5  # of the median coefficient of a change; the sign of a smaller one is not counted
_CHUNK = 2048  # rows worked on at once

_DARK = 26  # levels: what is never brighter belongs to a bar
_MOST_BAR = 0.4  # of the frame; more black than that is no letterbox but a night


def _order() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Row and column of each bit's frequency: a lattice of 64, every row and column alike, less the highest.

    Low frequencies are the reliable ones. They are dealt to the four 16-bit words in turns, because candidates are
    found by words that agree exactly.
    """
    lattice = [(i, j) for j in range(_FREQUENCIES) for i in range(_FREQUENCIES) if (i - j) % 4 == 2]
    pairs = sorted(lattice, key=lambda ij: (sum(ij), ij))[:BITS]
    rows, columns = zip(*(pairs[rank] for rank in sorted(range(BITS), key=lambda rank: (rank % 4, rank))), strict=True)
    return np.array(rows), np.array(columns)


_ROWS, _COLUMNS = _order()
_WEIGHTS = np.uint64(1) << np.arange(BITS, dtype=np.uint64)

MIRROR = np.uint64(_WEIGHTS[_COLUMNS % 2 == 1].sum())
"""Bits that turn around when the picture is mirrored left to right: the odd horizontal frequencies."""


class BlockMeans:
    """Mean brightness in 64 x 64 blocks of a video, by sixteenths of a second; frames are pushed one by one.

    A frame counts for as long as it is shown, so that a video and its copy at another frame rate have nearly the same
    means. Memory: 64 KB for a second.
    """

    def __init__(self) -> None:
        self._done: list[Blocks] = []
        self._sum = np.zeros((_GRID, _GRID), np.float64)
        self._filled_s = 0.0
        self._grids: tuple[tuple[int, int], npt.NDArray[np.float32], npt.NDArray[np.float32]] | None = None

    def add(self, image: npt.NDArray[np.uint8], seconds: float) -> None:
        """Push a frame ``(H, W, 3)`` uint8 RGB that is shown for so long."""
        means = self._means(image)
        while seconds > 0:
            part = min(seconds, STEP_S - self._filled_s)
            self._sum += part * means
            self._filled_s += part
            seconds -= part
            if self._filled_s >= STEP_S - 1e-9:
                self._close()

    def finish(self) -> Blocks:
        """``(n, 64, 64)`` uint8, and nothing of a last sixteenth that is less than half there (unless it is all)."""
        if self._filled_s >= STEP_S / 2 or (not self._done and self._filled_s > 0):
            self._close()
        return np.stack(self._done) if self._done else np.zeros((0, _GRID, _GRID), np.uint8)

    def _close(self) -> None:
        self._done.append(np.rint(self._sum / self._filled_s).astype(np.uint8))
        self._sum[:] = 0.0
        self._filled_s = 0.0

    def _means(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        step = max(1, max(image.shape[:2]) // _LONGER_SIDE)
        seen = image[::step, ::step]
        height, width = seen.shape[:2]
        if self._grids is None or self._grids[0] != (height, width):
            self._grids = (height, width), area_weights(height, _GRID), area_weights(width, _GRID)
        _, down, across = self._grids
        # Green is most of what brightness is made of, and a third of the work.
        means: npt.NDArray[np.float32] = down @ seen[:, :, 1].astype(np.float32) @ across.T
        return means


def _inside(brightest: npt.NDArray[np.uint8]) -> tuple[int, int]:
    """From where to where a frame's rows (or columns) are no bars: bars lie on both sides, equally wide or nearly."""
    lit = np.flatnonzero(brightest > _DARK)
    if not len(lit):
        return 0, len(brightest)
    first, behind = int(lit[0]), len(brightest) - 1 - int(lit[-1])
    # A row of blocks on the edge of a bar is half of each, and was found to be lit: it goes with the bar.
    if min(first, behind) < 2 or abs(first - behind) > 2 or first + behind > _MOST_BAR * len(brightest):
        return 0, len(brightest)
    return first + 1, len(brightest) - behind - 1


def hashes(blocks: Blocks) -> Hashes:
    """The hashes of a video's means.

    Parameters
    ----------
    blocks
        What `BlockMeans` gave: ``(n, 64, 64)`` uint8. Black bars, found over the whole video, are cut off.

    Returns
    -------
    ndarray
        ``(n, 4)`` uint64: hash of the picture, of its change, and the certain bits of both; row k belongs to
        ``(k + 1) * STEP_S`` seconds. A hash of 0 says nothing.
    """
    found = np.zeros((len(blocks), COLUMNS), np.uint64)
    if not len(blocks):
        return found
    brightest = blocks.max(axis=0)
    top, bottom = _inside(brightest.max(axis=1))
    left, right = _inside(brightest.max(axis=0))
    basis = _cosines()
    down, across = basis @ area_weights(bottom - top, _SIDE), basis @ area_weights(right - left, _SIDE)
    for first in range(0, len(blocks), _CHUNK):
        # Rows k - 1 to k + 2 make row k.
        begin, end = max(0, first - 1), min(first + _CHUNK + 2, len(blocks))
        spectra = down @ blocks[begin:end, top:bottom, left:right].astype(np.float32) @ across.T
        spectra = spectra[:, _ROWS, _COLUMNS]
        rows = _rows_of(spectra)
        inner = slice(first - begin, min(first + _CHUNK, len(blocks)) - begin)
        found[first : first + _CHUNK] = rows[inner]
    return found


def _rows_of(spectra: npt.NDArray[np.float32]) -> Hashes:
    """(n, 63) coefficients of every sixteenth → (n, 4), where two rows on either side are there to look at."""
    rows = np.zeros((len(spectra), COLUMNS), np.uint64)
    # The mean over two sixteenths: a copy's frames fall otherwise, and so that matters less.
    smooth = (spectra + np.concatenate([spectra[1:], spectra[-1:]])) / 2
    rows[:, PICTURE] = _signs(smooth, _STRONG_PICTURE, _ENOUGH_PICTURE)
    rows[:, CLEAR] = _packed(np.abs(smooth) >= _CLEAR)
    rows[rows[:, PICTURE] == 0, CLEAR] = 0
    if len(spectra) >= 4:
        change = smooth[2:-1] - smooth[:-3]
        size = np.abs(change)
        rows[1:-2, CHANGE] = _signs(change, _STRONG_CHANGE, _ENOUGH_CHANGE)
        rows[1:-2, CERTAIN] = _packed(size >= _CERTAIN * np.median(size, axis=1, keepdims=True))
        rows[rows[:, CHANGE] == 0, CERTAIN] = 0
    return rows


def _cosines() -> npt.NDArray[np.float32]:
    """(16, 32): the lowest rows of the orthonormal discrete cosine transform (type II)."""
    k, x = np.arange(_FREQUENCIES)[:, None], np.arange(_SIDE)[None]
    rows = np.cos(np.pi * k * (2 * x + 1) / (2 * _SIDE)) * np.sqrt(2.0 / _SIDE)
    rows[0] /= np.sqrt(2.0)
    return np.asarray(rows, np.float32)


def _signs(coefficients: npt.NDArray[np.float32], strong: float, enough: int) -> Hashes:
    """(n, 63) → (n,) uint64, 0 where too few are strong."""
    hashed = _packed(coefficients > 0)
    hashed[(np.abs(coefficients) >= strong).sum(axis=1) < enough] = 0
    return hashed


def _packed(bits: npt.NDArray[np.bool_]) -> Hashes:
    packed: Hashes = (bits.astype(np.uint64) * _WEIGHTS).sum(axis=1, dtype=np.uint64)
    return packed
