"""Flow against motion that is known exactly, and against OpenCV called by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from flow.moving import as_rgb, fine_texture, moving_pair, natural_texture
from tubelet.errors import NumericalError, UsageError
from tubelet.flow.algorithms import ALGORITHMS, Algorithm, Dis, Farneback, Gray, Solver, Tvl1, find_algorithm
from tubelet.flow.estimate import estimate, estimate_pair, estimate_stream, gray

HW = (96, 112)


@pytest.mark.parametrize("motion_px", [1.3, 4.0])
@pytest.mark.parametrize("kind", ["shift", "turn", "scale"])
@pytest.mark.parametrize(("algorithm", "bar_px"), [("tvl1", 0.1), ("dis_medium", 0.15), ("farneback", 0.15)])
def test_error_of_known_motion(algorithm: str, bar_px: float, kind: str, motion_px: float) -> None:
    for texture in (fine_texture(0), natural_texture(1)):
        pair = moving_pair(texture, kind, motion_px, HW)
        assert pair.error(estimate_pair(pair.first, pair.second, algorithm)) < bar_px


@pytest.mark.parametrize("preset", ["dis_fast", "dis_ultrafast"])
def test_fast_presets_are_coarser(preset: str) -> None:
    pair = moving_pair(natural_texture(1), "shift", 4.0, HW)
    assert pair.error(estimate_pair(pair.first, pair.second, preset)) < 0.4


def test_large_motion_of_fine_texture() -> None:
    pair = moving_pair(fine_texture(0), "shift", 8.0, HW)
    errors = {name: pair.error(estimate_pair(pair.first, pair.second, name)) for name in ALGORITHMS}
    assert errors["dis_medium"] < 0.15
    assert errors["tvl1"] < 0.1
    assert errors["tvl1_opencv"] > 3  # the library's five scales lose it, which is why tvl1 has more


def test_signs_and_direction() -> None:
    texture = fine_texture(2)
    shifts = [np.array(shift, float) for shift in ((0, 0), (3, -1), (3, 1))]
    frames = as_rgb(*(texture.moved(np.eye(2), shift).frame(HW) for shift in shifts))
    forward, backward = estimate(frames), estimate(frames, direction="backward", bound=7.0)
    inside = np.s_[:, 16:-16, 16:-16]
    means = forward.vectors[inside].mean(axis=(1, 2))
    np.testing.assert_allclose(means, [(3, -1), (0, 2)], atol=0.05)
    np.testing.assert_allclose(backward.vectors[inside].mean(axis=(1, 2)), [(-3, 1), (0, -2)], atol=0.05)
    assert (forward.direction, backward.direction, backward.bound) == ("forward", "backward", 7.0)
    assert (forward.algorithm, forward.warped) == ("dis_medium", False)
    # Backward flow is the flow of the frames in the opposite order, to the bit.
    np.testing.assert_array_equal(backward.vectors, estimate(frames[::-1].copy()).vectors[::-1])


def by_hand(name: str, first: Gray, second: Gray) -> NDArray[np.float32]:
    if name == "farneback":
        return cv2.calcOpticalFlowFarneback(first, second, None, 0.5, 5, 15, 3, 7, 1.5, cv2.OPTFLOW_FARNEBACK_GAUSSIAN)
    if name == "tvl1_opencv":
        return cv2.optflow.DualTVL1OpticalFlow_create().calc(first, second, None)
    if name == "tvl1":
        search = cv2.optflow.DualTVL1OpticalFlow_create()
        search.setScalesNumber(13)
        return search.calc(first, second, None)
    preset = ["dis_ultrafast", "dis_fast", "dis_medium"].index(name)
    return cv2.DISOpticalFlow_create(preset).calc(first, second, None)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_named_settings_are_those_of_opencv(name: str) -> None:
    pair = moving_pair(natural_texture(3), "turn", 3.0, (48, 64))
    ours = estimate_pair(pair.first, pair.second, name)
    assert ours.dtype == np.float32
    np.testing.assert_array_equal(ours, by_hand(name, pair.first, pair.second))


def test_a_pair_does_not_depend_on_the_pairs_before_it() -> None:
    pairs = [moving_pair(fine_texture(seed), "shift", 4.0, (48, 64)) for seed in (4, 5)]
    frames = as_rgb(pairs[0].first, pairs[0].second, pairs[1].first, pairs[1].second)
    for algorithm in ("dis", "tvl1", "farneback"):
        last = estimate(frames, algorithm).vectors[2]
        np.testing.assert_array_equal(last, estimate_pair(pairs[1].first, pairs[1].second, algorithm))


def test_stream_holds_one_pair() -> None:
    frames = as_rgb(*(fine_texture(seed).frame((32, 40)) for seed in range(4)))
    taken = 0

    def arriving() -> Iterator[NDArray[np.uint8]]:
        nonlocal taken
        for frame in frames:
            taken += 1
            yield frame

    fields = []
    for number, field in enumerate(estimate_stream(arriving(), direction="backward"), start=1):
        assert taken == number + 1
        fields.append(field)
    np.testing.assert_array_equal(np.stack(fields), estimate(frames, direction="backward").vectors)


def test_gray_is_brightness() -> None:
    colors = np.array([[(255, 0, 0), (0, 255, 0), (0, 0, 255), (10, 200, 90)]], np.uint8)
    expected = np.rint(colors @ np.array([0.299, 0.587, 0.114]))  # 76.2, 149.7, 29.1, 130.7
    np.testing.assert_array_equal(gray(colors), expected)
    colors.flags.writeable = False  # as frames from a decoding process are
    np.testing.assert_array_equal(gray(colors[:, ::-1]), expected[:, ::-1])


def test_settings_are_recorded_whole() -> None:
    frames = as_rgb(*(fine_texture(seed).frame((32, 40)) for seed in range(2)))
    found = estimate(frames, Tvl1(warps=1, outer_iterations=1))
    assert found.algorithm == "tvl1_custom"
    record = json.loads(json.dumps(found.settings))
    assert record.pop("opencv") == cv2.__version__
    assert record.pop("family") == "tvl1"
    assert Tvl1(**record) == Tvl1(warps=1, outer_iterations=1)
    assert [algorithm.name for algorithm in ALGORITHMS.values()] == list(ALGORITHMS)
    assert find_algorithm("dis") == Dis() == find_algorithm("dis_medium")
    assert Farneback(scales=1).name == "farneback_custom"


@pytest.mark.parametrize(
    ("name", "side"), [("dis_medium", 16), ("dis_fast", 32), ("dis_ultrafast", 32), ("tvl1", 16), ("farneback", 16)]
)
def test_smallest_frames(name: str, side: int) -> None:
    """Below, OpenCV's DIS crashes the process; at this size each still computes."""
    for hw in ((side, side), (side, 90), (90, side)):
        frame = fine_texture(6).frame(hw)
        assert np.isfinite(estimate_pair(frame, frame, name)).all()
    small = np.zeros((90, side - 1), np.uint8)
    with pytest.raises(UsageError, match=rf"at least {side} pixels .*90x{side - 1}"):
        estimate_pair(small, small, name)


def test_refused_frames() -> None:
    frames = np.zeros((2, 32, 32, 3), np.uint8)
    with pytest.raises(UsageError, match="at least two frames, there are 1"):
        estimate(frames[:1])
    with pytest.raises(UsageError, match="type float32"):
        estimate(frames.astype(np.float32))
    with pytest.raises(UsageError, match="of one size"):
        estimate_pair(frames[0, ..., 0], frames[0, :30, :, 0])
    with pytest.raises(UsageError, match="pass color frames to estimate"):
        estimate_pair(frames[0], frames[1])
    with pytest.raises(UsageError, match="choose one of: dis_medium, dis_fast"):
        estimate(frames, "brox")


@pytest.mark.parametrize(
    "make",
    [
        lambda: Dis(patch_stride=0),
        lambda: Tvl1(warps=-1),
        lambda: Tvl1(scale_step=1.0),
        lambda: Tvl1(median_filtering=4),
        lambda: Farneback(scale_step=1.2),
        lambda: Farneback(window=float("nan")),
    ],
)
def test_refused_parameters(make: object) -> None:
    with pytest.raises(UsageError, match="cannot have"):
        make()


def test_vectors_that_are_not_finite_are_an_error() -> None:
    @dataclass(frozen=True)
    class Broken(Algorithm):
        family: ClassVar[str] = "broken"

        def solver(self) -> Solver:
            return lambda first, second: np.full((*first.shape, 2), np.nan, np.float32)

    with pytest.raises(NumericalError, match="broken_custom returned vectors that are not finite"):
        estimate(np.zeros((2, 32, 32, 3), np.uint8), Broken())
