"""Points of one scale, followed from frame to frame and described on their way."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tubelet.baselines.idt.histograms import CHANNELS, DIRECTIONS, box_sums, root_normalized, votes
from tubelet.baselines.idt.settings import IdtSettings
from tubelet.flow.algorithms import Gray
from tubelet.flow.opencv import opencv

Floats = NDArray[np.float32]

_BINS = {"hog": DIRECTIONS, "hof": DIRECTIONS + 1, "mbhx": DIRECTIONS, "mbhy": DIRECTIONS}
_MEDIAN = 3  # pixels: side of the filter that flow is read through


@dataclass(frozen=True, eq=False)
class Trajectories:
    """Trajectories that have ended, one row each.

    Attributes
    ----------
    points
        ``(n, L + 1, 2)`` float32: x, y in pixels of the video, frame after frame.
    first_frame
        ``(n,)`` int64: the frame where each begins.
    scale
        ``(n,)`` int64: level of the pyramid, 0 is the frame itself.
    channels
        float32 ``(n, D)`` by name: ``shape`` (steps without the camera's motion, dx dy dx dy ..., divided by their
        whole length), ``hog``, ``hof``, ``mbhx``, ``mbhy`` (RootSIFT: square roots of shares).
    """

    points: Floats
    first_frame: NDArray[np.int64]
    scale: NDArray[np.int64]
    channels: dict[str, Floats]

    def __len__(self) -> int:
        return len(self.points)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Trajectories:
        """Only these rows."""
        return replace(
            self,
            points=self.points[rows],
            first_frame=self.first_frame[rows],
            scale=self.scale[rows],
            channels={name: values[rows] for name, values in self.channels.items()},
        )


def joined(parts: list[Trajectories], settings: IdtSettings) -> Trajectories:
    """All of them, one behind the other; none give a value without rows."""
    none = Trajectories(
        np.zeros((0, settings.length + 1, 2), np.float32),
        np.zeros(0, np.int64),
        np.zeros(0, np.int64),
        {name: np.zeros((0, size), np.float32) for name, size in settings.dims().items()},
    )
    parts = [none, *parts]
    return Trajectories(
        np.concatenate([part.points for part in parts]),
        np.concatenate([part.first_frame for part in parts]),
        np.concatenate([part.scale for part in parts]),
        {name: np.concatenate([part.channels[name] for part in parts]) for name in none.channels},
    )


def drawn(values: NDArray[np.floating], most: int, seed: int) -> NDArray[np.floating]:
    """At most so many rows, in random order: what codebooks and mixtures are learned from."""
    return values[np.random.default_rng(seed).permutation(len(values))[:most]]


def new_points(frame: Gray, tracked: Floats, settings: IdtSettings) -> Floats:
    """Middles of the grid's squares ``(n, 2)`` that have texture and no point yet.

    Parameters
    ----------
    frame
        Gray ``(H, W)`` uint8.
    tracked
        ``(m, 2)`` float32 x, y of the points that are there.
    settings
        ``spacing`` and ``quality``.
    """
    height, width = frame.shape
    rows, columns = height // settings.spacing, width // settings.spacing
    free = np.ones((rows, columns), np.bool_)
    square = (tracked / settings.spacing).astype(np.intp)
    inside = (square[:, 1] < rows) & (square[:, 0] < columns)
    free[square[inside, 1], square[inside, 0]] = False
    texture = opencv().cornerMinEigenVal(frame, 3, ksize=3)
    middle = settings.spacing // 2
    seen = texture[middle :: settings.spacing, middle :: settings.spacing][:rows, :columns]
    strongest = float(texture.max())
    down, across = np.nonzero(free & (seen > 0) & (seen >= settings.quality * strongest))
    return (np.stack([across, down], axis=1) * settings.spacing + middle).astype(np.float32)


class ScaleTracks:
    """The trajectories of one level of the pyramid that have not ended yet.

    Parameters
    ----------
    level
        0 is the frame itself.
    factor
        Pixels of the video in one pixel of the level.
    settings
        See `IdtSettings`.
    """

    def __init__(self, level: int, factor: tuple[float, float], settings: IdtSettings) -> None:
        self.level = level
        self.settings = settings
        self._factor = np.array(factor, np.float32)
        length, boxes = settings.length, settings.cells**2
        self._points = np.zeros((0, length + 1, 2), np.float32)
        self._steps = np.zeros((0, length, 2), np.float32)
        self._sums = np.zeros((0, settings.segments, boxes, sum(_BINS.values())), np.float32)
        self._age = np.zeros(0, np.intp)

    def sample(self, frame: Gray) -> None:
        """Begin trajectories where this frame has texture and nothing is followed."""
        here = self._points[np.arange(len(self._age)), self._age]
        begun = new_points(frame, here, self.settings)
        count = len(begun)
        points = np.zeros((count, *self._points.shape[1:]), np.float32)
        points[:, 0] = begun
        self._points = np.concatenate([self._points, points])
        self._steps = np.concatenate([self._steps, np.zeros((count, *self._steps.shape[1:]), np.float32)])
        self._sums = np.concatenate([self._sums, np.zeros((count, *self._sums.shape[1:]), np.float32)])
        self._age = np.concatenate([self._age, np.zeros(count, np.intp)])

    def follow(self, frame: Gray, vectors: Floats, still: Floats, frame_index: int) -> Trajectories | None:
        """Describe the points in ``frame`` and move them to the next frame.

        Parameters
        ----------
        frame
            Gray ``(H, W)`` uint8 of this level.
        vectors
            ``(H, W, 2)`` float32: flow to the next frame.
        still
            The same without the camera's motion.
        frame_index
            Of ``frame``.

        Returns
        -------
        Trajectories or None
            Those that end with this step and are kept.
        """
        if not len(self._age):
            return None
        rows = np.arange(len(self._age))
        here = self._points[rows, self._age]
        self._describe(here, box_sums(votes(frame, still, self.settings), self.settings.patch // self.settings.cells))
        height, width = frame.shape
        column, row = np.rint(here).astype(np.intp).T
        column, row = column.clip(0, width - 1), row.clip(0, height - 1)
        there = here + _median(vectors)[row, column]
        self._steps[rows, self._age] = _median(still)[row, column]
        self._age += 1
        self._points[rows, self._age] = there
        inside = ((there >= 0) & (there <= np.array([width - 1, height - 1]))).all(axis=1)
        ended = inside & (self._age == self.settings.length)
        found = self._ended(ended, frame_index + 1) if ended.any() else None
        self._keep(inside & ~ended)
        return found

    def _describe(self, here: Floats, sums: Floats) -> None:
        """Add this frame's histograms to each trajectory's segment; a patch over the border is moved inside."""
        settings = self.settings
        side, height, width = settings.patch // settings.cells, *sums.shape[:2]
        corner = np.rint(here).astype(np.intp) - settings.patch // 2
        corner = corner.clip(0, np.array([width - settings.patch, height - settings.patch]))
        segment = self._age * settings.segments // settings.length
        rows = np.arange(len(here))
        for cell in range(settings.cells**2):
            down, across = divmod(cell, settings.cells)
            found = sums[corner[:, 1] + down * side, corner[:, 0] + across * side]
            self._sums[rows, segment, cell] += found

    def _ended(self, ended: NDArray[np.bool_], last_frame: int) -> Trajectories | None:
        """The ended trajectories that moved in the world and did not jump."""
        settings = self.settings
        ways = np.linalg.norm(np.diff(self._points[ended], axis=1), axis=2)
        steps = self._steps[ended]
        moved = np.linalg.norm(steps, axis=2)
        good = (moved.max(axis=1) > settings.least_motion) & (ways.max(axis=1) <= settings.sudden * ways.sum(axis=1))
        if not good.any():
            return None
        steps, whole = steps[good], moved[good].sum(axis=1)
        channels: dict[str, Floats] = {"shape": (steps / whole[:, None, None]).reshape(len(steps), -1)}
        sums, start = self._sums[ended][good], 0
        for name in CHANNELS:
            part = sums[..., start : start + _BINS[name]].reshape(len(sums), -1)
            channels[name] = root_normalized(part)
            start += _BINS[name]
        # Pixel centers: the middle of the first pixel of a level is not that of the frame's.
        points = (self._points[ended][good] + 0.5) * self._factor - 0.5
        count = len(points)
        first = np.full(count, last_frame - settings.length, np.int64)
        return Trajectories(points, first, np.full(count, self.level, np.int64), channels)

    def _keep(self, rows: NDArray[np.bool_]) -> None:
        self._points, self._steps = self._points[rows], self._steps[rows]
        self._sums, self._age = self._sums[rows], self._age[rows]


def _median(vectors: Floats) -> Floats:
    """Flow through a median filter, each part for itself: a point follows most of its neighbors."""
    cv2 = opencv()
    filtered: Floats = cv2.merge([cv2.medianBlur(part, _MEDIAN) for part in cv2.split(vectors)])
    return filtered
