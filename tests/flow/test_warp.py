"""The camera's motion is taken out and an object's stays; thresholds, margins and their report."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from flow.moving import as_rgb, fine_texture, natural_texture
from tubelet.errors import UsageError
from tubelet.flow.camera import CameraSettings, Features, estimate_camera, find_features
from tubelet.flow.estimate import estimate
from tubelet.flow.field import Direction
from tubelet.flow.warp import warp_back, warped, warped_stream

HW = (120, 160)


def panned_scene(
    pan: tuple[float, float], motion: tuple[float, float], frames: int = 2
) -> tuple[NDArray[np.uint8], list[NDArray[np.uint8]]]:
    """A background that moves by ``pan`` a frame, before it a textured box that moves by ``motion``; its masks."""
    pictures, masks = [], []
    for step in range(frames):
        back = natural_texture(0).moved(np.eye(2), step * np.array(pan)).frame(HW)
        box = fine_texture(1).moved(np.eye(2), step * np.array(motion)).frame(HW)
        y, x = np.mgrid[: HW[0], : HW[1]]
        mask = (abs(x - 80 - step * motion[0]) < 24) & (abs(y - 60 - step * motion[1]) < 20)
        pictures.append(np.where(mask, box, back))
        masks.append(mask.astype(np.uint8))
    return as_rgb(*pictures), masks


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize(
    ("algorithm", "pan", "motion"),
    [
        ("dis", (3.0, 1.0), (0.0, 3.0)),
        ("dis", (-8.0, 3.0), (-4.0, 3.0)),
        ("tvl1", (5.0, -2.0), (2.0, 1.0)),
        ("farneback", (2.0, 0.0), (-2.0, 0.0)),
    ],
)
def test_pan_is_removed_and_an_object_keeps_its_motion(
    algorithm: str, pan: tuple[float, float], motion: tuple[float, float], direction: Direction
) -> None:
    frames, masks = panned_scene(pan, motion)
    start, sign = (0, 1) if direction == "forward" else (1, -1)
    background = cv2.dilate(masks[start], np.ones((17, 17))) == 0
    inside = cv2.erode(masks[start], np.ones((11, 11))) > 0

    before = estimate(frames, algorithm, direction=direction).vectors[0]
    flow = warped(frames, algorithm, direction=direction)
    speed = float(np.hypot(*pan))
    assert np.hypot(*before[background].T).mean() > 0.9 * speed
    assert np.hypot(*flow.vectors[0][background].T).mean() < 0.1 * speed
    own = sign * np.subtract(motion, pan)
    kept = float((flow.vectors[0][inside] @ own).mean() / (own @ own))
    assert 0.8 < kept < 1.2
    assert flow.warped
    assert flow.direction == direction


def test_turning_and_zooming_camera() -> None:
    angle, zoom, middle = 0.02, 1.03, np.array([79.5, 59.5])
    matrix = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shift = middle - matrix @ middle + (2, -1)
    frames = as_rgb(natural_texture(3).frame(HW), natural_texture(3).moved(matrix, shift).frame(HW))
    (field,) = warped_stream(frames)
    assert field.camera.found
    corners = np.array([[[0, 0], [159, 0], [0, 119], [159, 119]]], float)
    placed = cv2.perspectiveTransform(corners, field.camera.homography)[0]
    np.testing.assert_allclose(placed, corners[0] @ matrix.T + shift, atol=0.25)
    moved = np.hypot(*estimate(frames).vectors[0].T).mean()
    assert np.hypot(*field.vectors.T).mean() < 0.1 * moved


def test_nothing_to_hold_on_to() -> None:
    """Without texture the camera is taken to stand still, the flow is the plain one, and the record says so."""
    frames = np.full((2, *HW, 3), 90, np.uint8)
    frames[1, 40:60, 50:90] = 140
    flow = warped(frames)
    np.testing.assert_array_equal(flow.vectors, estimate(frames).vectors)
    assert flow.settings["camera_inliers"] == [0]
    (field,) = warped_stream(frames)
    assert not field.camera.found
    np.testing.assert_array_equal(field.camera.homography, np.eye(3))


def matching_features(
    before: NDArray[np.float64], after: NDArray[np.float64], seed: int = 0
) -> tuple[Features, Features]:
    """Features of which the n-th of one frame can only be the n-th of the other."""
    descriptors = np.random.default_rng(seed).integers(0, 256, (len(before), 128)).astype(np.float32)
    return Features(before.astype(np.float32), descriptors), Features(after.astype(np.float32), descriptors)


BLANK = np.zeros(HW, np.uint8)  # has no corners, so that only the features given count
NO_FLOW = np.zeros((*HW, 2), np.float32)


@pytest.mark.parametrize(
    ("pairs", "agreeing", "found"), [(50, 50, False), (51, 51, True), (90, 20, False), (90, 40, True)]
)
def test_thresholds(pairs: int, agreeing: int, found: bool) -> None:
    rng = np.random.default_rng(pairs + agreeing)
    before = rng.uniform(0, 120, (pairs, 2))
    after = np.add(before, (4, -3))
    after[agreeing:] += rng.uniform(-18, 18, (pairs - agreeing, 2))
    camera = estimate_camera(BLANK, NO_FLOW, *matching_features(before, after))
    assert (camera.pairs, camera.found) == (pairs, found)
    if found:
        assert agreeing <= camera.inliers <= agreeing + 5  # a few of the others agree by chance
        np.testing.assert_allclose(camera.homography, [[1, 0, 4], [0, 1, -3], [0, 0, 1]], atol=0.3)
    else:
        assert camera.inliers <= 25
        np.testing.assert_array_equal(camera.homography, np.eye(3))


def test_features_are_matched_within_a_window() -> None:
    before = np.random.default_rng(1).uniform(0, 110, (80, 2))
    near = estimate_camera(BLANK, NO_FLOW, *matching_features(before, np.add(before, (24, 0))))
    np.testing.assert_allclose(near.homography[:2, 2], (24, 0), atol=0.05)
    far = matching_features(before[:1], np.add(before[:1], (26, 0)))
    assert estimate_camera(BLANK, NO_FLOW, *far).pairs == 0


def test_features_are_found_anew_in_every_frame() -> None:
    """After four pans of 16 pixels nothing is within the window of where it was in the first frame."""
    frames, _ = panned_scene((16.0, 0.0), (16.0, 0.0), frames=5)
    settings = CameraSettings(corners=1)  # leaves the features alone
    shifts = [field.camera.homography[0, 2] for field in warped_stream(frames, camera=settings)]
    np.testing.assert_allclose(shifts, 16, atol=0.5)


def test_flow_matches_count() -> None:
    """Without features, corners and their flow say where the camera went."""
    texture = fine_texture(5)
    frame = texture.frame(HW)
    none = Features(np.zeros((0, 2), np.float32), np.zeros((0, 128), np.float32))
    flow = np.broadcast_to(np.array((-3.5, 2.0), np.float32), (*HW, 2))
    camera = estimate_camera(frame, flow, none, none)
    assert 200 < camera.inliers == camera.pairs <= 1000
    np.testing.assert_allclose(camera.homography, [[1, 0, -3.5], [0, 1, 2], [0, 0, 1]], atol=1e-4)


def test_warp_back_reads_the_second_frame_and_silences_the_margin() -> None:
    first, second = fine_texture(6).frame(HW), fine_texture(7).frame(HW)
    homography = np.array([[1.01, 0.02, 12.0], [-0.01, 0.99, -7.0], [1e-4, -5e-5, 1.0]])
    ours = warp_back(first, second, homography, margin=5)
    expected = cv2.warpPerspective(second, homography, HW[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    points = np.stack(np.meshgrid(np.arange(HW[1]), np.arange(HW[0])), axis=-1).astype(float)
    place = cv2.perspectiveTransform(points.reshape(1, -1, 2), homography).reshape(*HW, 2)
    inside = ((place >= 5) & (place <= (HW[1] - 6, HW[0] - 6))).all(axis=-1)
    assert 0.6 < inside.mean() < 0.95
    np.testing.assert_array_equal(ours[~inside], first[~inside])
    assert np.abs(ours[inside].astype(int) - expected[inside]).max() <= 3  # both round places to 1/32 pixel
    # Points behind the camera have no place in the second frame.
    behind = np.diag([1.0, 1.0, -1.0])
    np.testing.assert_array_equal(warp_back(first, second, behind, margin=5), first)


def test_results_do_not_depend_on_earlier_random_numbers() -> None:
    frames, _ = panned_scene((3.0, 1.0), (0.0, 3.0), frames=3)
    cv2.setRNGSeed(5)
    flow = warped(frames)
    cv2.setRNGSeed(77)
    cv2.randu(np.zeros((10, 10)), 0, 1)
    again = warped(frames)
    np.testing.assert_array_equal(flow.vectors, again.vectors)
    # A pair alone gives what it gave within the run.
    np.testing.assert_array_equal(warped(frames[1:]).vectors[0], flow.vectors[1])
    assert flow.settings["camera_inliers"] == again.settings["camera_inliers"]


def test_settings_are_recorded_whole() -> None:
    frames, _ = panned_scene((3.0, 1.0), (0.0, 3.0), frames=3)
    flow = warped(frames, "dis_fast", camera=CameraSettings(window=20.0), bound=15.0)
    record = json.loads(json.dumps(flow.settings))
    assert record["family"] == "dis"
    assert (flow.algorithm, flow.bound) == ("dis_fast", 15.0)
    assert record["camera"].pop("detector") == "sift"
    assert CameraSettings(**record["camera"]) == CameraSettings(window=20.0)
    fields = list(warped_stream(frames, "dis_fast", camera=CameraSettings(window=20.0)))
    assert record["camera_inliers"] == [field.camera.inliers for field in fields]
    assert min(record["camera_inliers"]) > 25


def test_refused() -> None:
    with pytest.raises(UsageError, match="at least two frames"):
        warped(np.zeros((1, *HW, 3), np.uint8))
    with pytest.raises(UsageError, match="tolerance = 0"):
        CameraSettings(tolerance=0)
    with pytest.raises(UsageError, match="eight unknowns"):
        CameraSettings(pairs_above=3)


def test_features_of_a_frame() -> None:
    features = find_features(fine_texture(8).frame(HW), CameraSettings(features=40))
    assert features.points.shape[1] == 2
    assert 30 <= len(features.points) == len(features.descriptors) <= 60
    assert (features.points.max(axis=0) < (HW[1], HW[0])).all()
