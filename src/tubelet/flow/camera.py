"""How the camera moved between two frames: a homography from matched features and from flow.

The method is that of improved dense trajectories (Wang and Schmid 2013), which TSN took over for its warped
flow. Two of its parts are others here. Features are SIFT's, not SURF's: SURF is patented code that no wheel
holds, and of the free ones SIFT gave the best homographies by far (docs/measured.md). They are found anew in
every frame, and corners in the frame where the flow starts; dense_flow keeps the features of a video's first
frame throughout, and takes corners of the frame where the flow ends.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tubelet.errors import UsageError
from tubelet.flow.algorithms import Gray
from tubelet.flow.opencv import opencv


@dataclass(frozen=True)
class CameraSettings:
    """Parameters of the estimate; the defaults are those of dense_flow, where it has them.

    Attributes
    ----------
    features
        At most so many SIFT features per frame.
    window
        Pixels: a feature is matched with one less far than this in x and in y.
    corners, corner_quality, corner_distance
        Corners at which the flow is taken: how many at most, their least quality relative to the best, and
        their least distance in pixels.
    tolerance
        Pixels by which RANSAC lets an inlier miss its place.
    pairs_above, inliers_above
        A homography is sought with more pairs than this, and believed with more inliers than this; else the
        camera is taken to stand still.
    margin
        Pixels at the border of a frame that warping does not trust.
    seed
        Of OpenCV's random numbers, set for every pair.
    """

    features: int = 1000
    window: float = 25.0
    corners: int = 1000
    corner_quality: float = 0.001
    corner_distance: float = 3.0
    tolerance: float = 1.0
    pairs_above: int = 50
    inliers_above: int = 25
    margin: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        for parameter in fields(self):
            value, at_least_zero = getattr(self, parameter.name), parameter.name in ("margin", "seed")
            if not (value > 0 or (value == 0 and at_least_zero)):
                raise UsageError(
                    f"camera motion cannot be estimated with {parameter.name} = {value!r}",
                    remedy="give a positive number, or leave it out for the default",
                )
        if self.pairs_above < 4:
            raise UsageError(
                f"camera motion cannot be estimated with pairs_above = {self.pairs_above!r}",
                why="a homography has eight unknowns",
                remedy="give at least 4",
            )

    def settings(self) -> dict[str, Any]:
        """All parameters, JSON-ready."""
        return {"detector": "sift", **asdict(self)}


@dataclass(frozen=True, eq=False)
class Camera:
    """How the camera moved over one pair of frames.

    Attributes
    ----------
    homography
        ``(3, 3)`` float64: takes a point (x, y, 1) of the first frame to its place in the second. The identity
        where none was found.
    pairs
        Matched points, of features and of flow together.
    inliers
        Those that agree with the homography found, believed or not; 0 where none was sought.
    found
        Whether a homography was believed.
    """

    homography: NDArray[np.float64]
    pairs: int
    inliers: int
    found: bool


@dataclass(frozen=True, eq=False)
class Features:
    """SIFT features of a frame: ``points`` (n, 2) float32 x, y in pixels, ``descriptors`` (n, 128) float32."""

    points: NDArray[np.float32]
    descriptors: NDArray[np.float32]


def find_features(frame: Gray, settings: CameraSettings) -> Features:
    """SIFT features of a gray frame ``(H, W)`` uint8; each frame serves in two pairs, so this is done once."""
    keypoints, descriptors = opencv().SIFT_create(nfeatures=settings.features).detectAndCompute(frame, None)
    points = np.array([keypoint.pt for keypoint in keypoints], np.float32).reshape(-1, 2)
    return Features(points, np.zeros((0, 128), np.float32) if descriptors is None else descriptors)


def estimate_camera(
    frame: Gray,
    vectors: NDArray[np.float32],
    features: Features,
    next_features: Features,
    settings: CameraSettings | None = None,
) -> Camera:
    """The homography that most points of a pair of frames agree with.

    Parameters
    ----------
    frame
        The first frame, gray ``(H, W)`` uint8.
    vectors
        ``(H, W, 2)``: flow from it to the second.
    features, next_features
        Of both frames, from :func:`find_features`.
    settings
        Parameters; by default those of :class:`CameraSettings`.

    Returns
    -------
    Camera
        The identity, and ``found`` false, with 50 pairs or fewer, or 25 inliers or fewer.
    """
    settings = CameraSettings() if settings is None else settings
    matched = _match_features(features, next_features, settings.window)
    tracked = _follow_corners(frame, vectors, settings)
    before, after = (np.concatenate(points) for points in zip(matched, tracked, strict=True))
    if len(before) <= settings.pairs_above:
        return Camera(np.eye(3), len(before), 0, found=False)
    cv2 = opencv()
    cv2.setRNGSeed(settings.seed)
    homography, mask = cv2.findHomography(before, after, cv2.RANSAC, settings.tolerance)
    inliers = 0 if homography is None else int(np.count_nonzero(mask))
    if inliers <= settings.inliers_above:
        return Camera(np.eye(3), len(before), inliers, found=False)
    return Camera(homography, len(before), inliers, found=True)


Points = tuple[NDArray[np.float32], NDArray[np.float32]]


def _match_features(features: Features, others: Features, window: float) -> Points:
    """Places of matched features, (n, 2) each: to every feature the most similar one within the window."""
    distances = np.abs(features.points[:, None] - others.points[None])
    near = (distances < window).all(axis=2)
    if not near.any():
        return np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32)
    cv2 = opencv()
    matches = cv2.BFMatcher(cv2.NORM_L2).match(features.descriptors, others.descriptors, near.astype(np.uint8))
    return (
        features.points[[match.queryIdx for match in matches]],
        others.points[[match.trainIdx for match in matches]],
    )


def _follow_corners(frame: Gray, vectors: NDArray[np.float32], settings: CameraSettings) -> Points:
    """Corners of a frame and where the flow takes them, (n, 2) each."""
    corners = opencv().goodFeaturesToTrack(frame, settings.corners, settings.corner_quality, settings.corner_distance)
    if corners is None:
        return np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32)
    points = np.asarray(corners, np.float32).reshape(-1, 2)
    columns, rows = np.rint(points).astype(int).T
    return points, points + vectors[rows, columns]
