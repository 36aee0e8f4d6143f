"""Warped flow: optical flow with the motion of the camera taken out (TSN section 3.2, the third modality).

The second frame of a pair is warped back by the camera's homography, and the flow to the warped frame is
estimated anew: what stands still in the world then stands still in the field.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tubelet.flow.algorithms import DEFAULT, Algorithm, Gray, Solver, find_algorithm
from tubelet.flow.camera import Camera, CameraSettings, Features, estimate_camera, find_features
from tubelet.flow.estimate import check_run, gray
from tubelet.flow.field import DEFAULT_BOUND, Direction, Flow
from tubelet.flow.opencv import opencv


@dataclass(frozen=True, eq=False)
class WarpedField:
    """One field of warped flow.

    Attributes
    ----------
    vectors
        ``(H, W, 2)`` float32 pixels, on the grid of the frame where they start.
    camera
        What was taken out; ``camera.found`` is false where it was taken to stand still.
    """

    vectors: NDArray[np.float32]
    camera: Camera


def warped(
    frames: NDArray[np.uint8],
    algorithm: str | Algorithm = DEFAULT,
    *,
    direction: Direction = "forward",
    bound: float = DEFAULT_BOUND,
    camera: CameraSettings | None = None,
) -> Flow:
    """Optical flow between each frame and the next, with the camera's motion taken out.

    Parameters
    ----------
    frames
        ``(T, H, W, 3)`` uint8 RGB, at least two.
    algorithm, direction, bound
        As for :func:`tubelet.flow.estimate.estimate`.
    camera
        Parameters of the camera's estimate; by default those of :class:`CameraSettings`.

    Returns
    -------
    Flow
        T − 1 fields, ``warped`` true. Beside the algorithm's parameters, ``settings["camera"]`` holds the
        camera's, and ``settings["camera_inliers"]`` for each field the inliers of its homography, 0 where the
        camera was taken to stand still.

    Raises
    ------
    UsageError, NumericalError, MissingExtraError
        As for :func:`tubelet.flow.estimate.estimate`.
    """
    check_run(frames)
    chosen, parameters = find_algorithm(algorithm), CameraSettings() if camera is None else camera
    vectors = np.empty((len(frames) - 1, *frames.shape[1:3], 2), np.float32)
    inliers = []
    for index, field in enumerate(warped_stream(frames, chosen, direction=direction, camera=parameters)):
        vectors[index] = field.vectors
        inliers.append(field.camera.inliers if field.camera.found else 0)
    settings = {**chosen.settings(), "camera": parameters.settings(), "camera_inliers": inliers}
    return Flow(vectors, chosen.name, bound=bound, direction=direction, warped=True, settings=settings)


def warped_stream(
    frames: Iterable[NDArray[np.uint8]],
    algorithm: str | Algorithm = DEFAULT,
    *,
    direction: Direction = "forward",
    camera: CameraSettings | None = None,
) -> Iterator[WarpedField]:
    """Fields of warped flow as frames arrive; parameters and errors are those of :func:`warped`.

    Each pair costs two runs of the algorithm, or one where the camera was taken to stand still: the flow is
    then returned as it is (dense_flow warps by the identity, which only silences a margin of 5 pixels).

    Parameters
    ----------
    frames
        Frames ``(H, W, 3)`` uint8 RGB of one size, in order.

    Yields
    ------
    WarpedField
        One fewer than there are frames.
    """
    solve = find_algorithm(algorithm).checked_solver()
    settings = CameraSettings() if camera is None else camera
    earlier: tuple[Gray, Features] | None = None
    for frame in frames:
        brightness = gray(frame)
        later = (brightness, find_features(brightness, settings))
        if earlier is not None:
            first, second = (earlier, later) if direction == "forward" else (later, earlier)
            yield _warp_pair(first, second, solve, settings)
        earlier = later


def warp_back(first: Gray, second: Gray, homography: NDArray[np.float64], margin: int) -> Gray:
    """The second frame as the camera of the first would have seen it.

    Parameters
    ----------
    first, second
        Gray frames ``(H, W)`` uint8.
    homography
        ``(3, 3)``, from points of the first to points of the second.
    margin
        Pixels. What lies outside the second frame, or so close to its border, is taken from the first, so
        that no motion is seen there.

    Returns
    -------
    ndarray
        ``(H, W)`` uint8, bilinear.
    """
    cv2 = opencv()
    height, width = first.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
    across, down, depth = (row[0] * x + row[1] * y + row[2] for row in homography)
    in_front = depth > 1e-9
    place = np.stack([across, down], axis=-1) / np.where(in_front, depth, 1.0)[..., None]
    lowest, highest = margin, np.array((width, height)) - 1 - margin
    inside = in_front & ((place >= lowest) & (place <= highest)).all(axis=-1)
    place = np.where(inside[..., None], place, 0.0).astype(np.float32)
    moved = cv2.remap(second, place[..., 0], place[..., 1], cv2.INTER_LINEAR)
    return np.where(inside, moved, first)


def _warp_pair(
    first: tuple[Gray, Features], second: tuple[Gray, Features], solve: Solver, settings: CameraSettings
) -> WarpedField:
    (frame, features), (next_frame, next_features) = first, second
    vectors = solve(frame, next_frame)
    camera = estimate_camera(frame, vectors, features, next_features, settings)
    if camera.found:
        vectors = solve(frame, warp_back(frame, next_frame, camera.homography, settings.margin))
    return WarpedField(vectors, camera)
