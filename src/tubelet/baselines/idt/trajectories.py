"""Frames become improved dense trajectories: a pyramid, flow with and without the camera, points on their way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tubelet.baselines.idt.settings import IdtSettings
from tubelet.baselines.idt.tracks import ScaleTracks, Trajectories, joined
from tubelet.flow.algorithms import Gray, find_algorithm
from tubelet.flow.camera import Features, estimate_camera, find_features
from tubelet.flow.estimate import gray
from tubelet.flow.opencv import opencv
from tubelet.flow.warp import warp_back


def level_sizes(height: int, width: int, settings: IdtSettings) -> list[tuple[int, int]]:
    """Height and width of each level of the pyramid, the frame itself first; none where it is smaller than a patch."""
    sizes = []
    for level in range(settings.scales):
        share = settings.scale_step**level
        size = round(height * share), round(width * share)
        if min(size) < settings.patch:
            break
        sizes.append(size)
    return sizes


def trajectories(frames: Iterable[NDArray[np.uint8]], settings: IdtSettings | None = None) -> Iterator[Trajectories]:
    """The trajectories of a video as they end, in the memory of two frames and what is being followed.

    Parameters
    ----------
    frames
        ``(H, W, 3)`` uint8 RGB of one size, in order. A video shorter than ``length + 1`` frames, or with sides
        shorter than ``patch``, has none.
    settings
        Parameters; by default the papers'.

    Yields
    ------
    Trajectories
        Those that end in one frame, on all scales; frames where none ends yield nothing.

    Raises
    ------
    UsageError
        Frames of another shape or type, or of several sizes.
    NumericalError
        The flow algorithm returned vectors that are not finite.
    MissingExtraError
        OpenCV is not installed.
    """
    for ended in trajectory_steps(frames, settings):
        if ended is not None:
            yield ended


def trajectory_steps(
    frames: Iterable[NDArray[np.uint8]], settings: IdtSettings | None = None
) -> Iterator[Trajectories | None]:
    """As `trajectories`, which has the parameters and errors, with a sign of life for every pair of frames.

    Yields
    ------
    Trajectories or None
        Those that end in the second frame of the pair, on all scales; None where none does.
    """
    settings = IdtSettings() if settings is None else settings
    solve = find_algorithm(settings.flow).checked_solver()
    camera = settings.camera
    levels: list[ScaleTracks] | None = None
    for index, (first, second) in enumerate(pairwise(_prepared(frames, settings))):
        if levels is None:
            levels = _begin(first.pyramid, settings)
        homography = None
        found = []
        for level, tracks in enumerate(levels):
            frame, following = first.pyramid[level], second.pyramid[level]
            vectors = still = solve(frame, following)
            if level == 0 and camera is not None and first.features is not None and second.features is not None:
                estimated = estimate_camera(frame, vectors, first.features, second.features, camera)
                homography = estimated.homography if estimated.found else None
            if camera is not None and homography is not None:
                moved = _at_level(homography, first.pyramid[0], frame)
                still = solve(frame, warp_back(frame, following, moved, camera.margin))
            ended = tracks.follow(frame, vectors, still, index)
            tracks.sample(following)
            if ended is not None:
                found.append(ended)
        yield joined(found, settings) if found else None


def all_trajectories(frames: Iterable[NDArray[np.uint8]], settings: IdtSettings | None = None) -> Trajectories:
    """All trajectories of a video at once; parameters and errors are those of `trajectories`."""
    settings = IdtSettings() if settings is None else settings
    return joined(list(trajectories(frames, settings)), settings)


class _Prepared:
    """One frame: its pyramid, and the features that the camera's motion is found by."""

    def __init__(self, frame: NDArray[np.uint8], settings: IdtSettings) -> None:
        brightness = gray(frame)
        self.pyramid = [brightness] if min(brightness.shape) >= settings.patch else []
        cv2 = opencv()
        for height, width in level_sizes(brightness.shape[0], brightness.shape[1], settings)[1:]:
            # From the level above, by 0.7 each: bilinear over two pixels then leaves nothing out.
            self.pyramid.append(cv2.resize(self.pyramid[-1], (width, height), interpolation=cv2.INTER_LINEAR))
        self.features: Features | None = None
        if settings.camera is not None and self.pyramid:
            self.features = find_features(brightness, settings.camera)


def _prepared(frames: Iterable[NDArray[np.uint8]], settings: IdtSettings) -> Iterator[_Prepared]:
    for frame in frames:
        yield _Prepared(frame, settings)


def _begin(pyramid: list[Gray], settings: IdtSettings) -> list[ScaleTracks]:
    levels = []
    for level, frame in enumerate(pyramid):
        factor = pyramid[0].shape[1] / frame.shape[1], pyramid[0].shape[0] / frame.shape[0]
        levels.append(ScaleTracks(level, factor, settings))
        levels[-1].sample(frame)
    return levels


def _at_level(homography: NDArray[np.float64], whole: Gray, frame: Gray) -> NDArray[np.float64]:
    """A homography of the frame in the pixels of a level, whose middles lie half a pixel off."""
    across, down = frame.shape[1] / whole.shape[1], frame.shape[0] / whole.shape[0]
    smaller = np.array([[across, 0, 0.5 * across - 0.5], [0, down, 0.5 * down - 0.5], [0, 0, 1]])
    scaled: NDArray[np.float64] = smaller @ homography @ np.linalg.inv(smaller)
    return scaled
