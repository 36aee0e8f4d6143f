"""How exact and how fast is flow, and which features find the camera's motion? Two tables for docs/measured.md.

``python -m benchmarks.flow accuracy`` estimates motion that is known exactly, by the algorithms' named settings and by
others of TV-L1; processor time of one thread, in turns, so that a busy machine slows all alike.
``python -m benchmarks.flow detectors FOLDER`` warps frames of the videos in a folder by known homographies, with noise,
a change of light, JPEG and an object that moves otherwise, and asks each free detector for the homography back.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.flow.moving import Pair, fine_texture, moving_pair, natural_texture
from tubelet.flow.algorithms import ALGORITHMS, Algorithm, Tvl1
from tubelet.flow.camera import CameraSettings
from tubelet.flow.estimate import gray
from tubelet.flow.opencv import opencv
from tubelet.video.reader import Video

HW = (144, 176)
MOTIONS_PX = (1.0, 2.0, 4.0, 8.0, 16.0)
KINDS = ("shift", "turn", "scale")
SPEED_HW = (256, 340)
TRIED: dict[str, Algorithm] = {
    **ALGORITHMS,
    "tvl1, 2 warps": Tvl1(warps=2),
    "tvl1, 2 warps, 3×10 iterations": Tvl1(warps=2, outer_iterations=3, inner_iterations=10),
    "tvl1, 8 scales of 0.7": Tvl1(scales=8, scale_step=0.7),
    "tvl1, 5 scales of 0.5": Tvl1(scales=5, scale_step=0.5),
    "tvl1, 5 scales of 0.5, 1×300, no median": Tvl1(
        scales=5, scale_step=0.5, outer_iterations=1, inner_iterations=300, median_filtering=1
    ),
    "tvl1, 10 warps": Tvl1(warps=10),
}


def accuracy(rounds: int) -> None:
    """Print end-point errors by the size of the motion, and pairs per second."""
    seconds: dict[str, list[float]] = defaultdict(list)
    timed = moving_pair(natural_texture(9), "shift", 4.0, SPEED_HW)
    solvers = {name: algorithm.checked_solver() for name, algorithm in TRIED.items()}
    for _ in range(rounds):
        for name, solve in solvers.items():
            started = time.process_time()
            solve(timed.first, timed.second)
            seconds[name].append(time.process_time() - started)
    print(f"| settings | texture | {' | '.join(f'{motion:g} px' for motion in MOTIONS_PX)} | pairs/s |")
    for texture, make in (("fine", fine_texture), ("natural", natural_texture)):
        for name, solve in solvers.items():
            worst = [
                _errors(solve, [moving_pair(make(s), k, m, HW) for k in KINDS for s in (0, 1)]) for m in MOTIONS_PX
            ]
            rate = 1 / statistics.median(seconds[name])
            print(f"| {name} | {texture} | {' | '.join(worst)} | {rate:.3g} |", flush=True)


def _errors(solve: Callable[..., NDArray[np.float32]], pairs: Sequence[Pair]) -> str:
    """The worst end-point error of some pairs: a mean would hide that one kind of motion is lost."""
    return f"{max(pair.error(solve(pair.first, pair.second), border=24) for pair in pairs):.2f}"


def detectors(folder: Path) -> None:
    """Print how well each detector alone finds homographies that are known."""
    frames = [
        gray(frame)
        for path in sorted(p for p in folder.iterdir() if p.suffix in (".avi", ".mp4", ".webm"))
        for frame in Video(path).frames([0, 40])
    ]
    print(f"{len(frames)} frames of {folder}")
    print("| detector | pairs | inliers | median error px | mean | worst | lost (> 1 px) | ms/pair |")
    for name, (detector, norm) in _detectors().items():
        found = [_find(detector, norm, *_known_pair(frames, index)) for index in range(len(frames))]
        pairs, inliers, errors, seconds = (np.array(column, float) for column in zip(*found, strict=True))
        print(
            f"| {name} | {np.median(pairs):.0f} | {np.median(inliers):.0f} | {np.median(errors):.3f} "
            f"| {errors.mean():.2f} | {errors.max():.2f} | {np.mean(errors > 1):.0%} | {1e3 * seconds.mean():.0f} |",
            flush=True,
        )


def _detectors() -> dict[str, tuple[Any, int]]:
    cv2 = opencv()
    akaze = getattr(cv2, "AKAZE_create", None) or cv2.xfeatures2d.AKAZE_create  # moved to the extra modules in OpenCV 5
    return {
        "SIFT": (cv2.SIFT_create(CameraSettings().features), cv2.NORM_L2),
        "ORB": (cv2.ORB_create(1000), cv2.NORM_HAMMING),
        "ORB, FAST threshold 5": (cv2.ORB_create(1000, fastThreshold=5), cv2.NORM_HAMMING),
        "AKAZE": (akaze(), cv2.NORM_HAMMING),
        "AKAZE, threshold 1e-4": (akaze(threshold=1e-4), cv2.NORM_HAMMING),
    }


Known = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float64]]


def _known_pair(frames: Sequence[NDArray[np.uint8]], index: int) -> Known:
    """A frame, the same seen by a camera that turned, zoomed, panned and tilted, and the homography."""
    cv2, rng = opencv(), np.random.default_rng(index)
    frame, foreign = frames[index].copy(), frames[(index + 5) % len(frames)]
    height, width = frame.shape
    middle, angle, zoom = np.array([width, height]) / 2, rng.uniform(-0.03, 0.03), 1 + rng.uniform(-0.04, 0.04)
    homography = np.eye(3)
    homography[:2, :2] = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    homography[:2, 2] = middle - homography[:2, :2] @ middle + rng.uniform(-8, 8, 2)
    homography[2, :2] = rng.uniform(-5e-5, 5e-5, 2)
    moved = cv2.warpPerspective(frame, homography, (width, height), borderMode=cv2.BORDER_REFLECT)
    thing = foreign[60:140, 60:160]  # moves by (12, 8), whatever the camera does
    frame[80:160, 100:200], moved[88:168, 112:212] = thing, thing

    def filmed(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        noisy = picture * rng.uniform(0.95, 1.05) + rng.normal(0, 4, picture.shape)
        coded = cv2.imencode(".jpg", np.clip(np.rint(noisy), 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 70])[
            1
        ]
        decoded: NDArray[np.uint8] = cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE)
        return decoded

    return filmed(frame), filmed(moved), homography


def _find(
    detector: Any, norm: int, first: NDArray[np.uint8], second: NDArray[np.uint8], truth: NDArray[np.float64]
) -> tuple[int, int, float, float]:
    """Pairs, inliers, mean error over the frame in pixels, and seconds; the rules are those of flow.camera."""
    cv2, settings, started = opencv(), CameraSettings(), time.process_time()
    (before, left), (after, right) = (detector.detectAndCompute(frame, None) for frame in (first, second))
    places = [np.array([keypoint.pt for keypoint in found], np.float32).reshape(-1, 2) for found in (before, after)]
    near = (np.abs(places[0][:, None] - places[1][None]) < settings.window).all(-1).astype(np.uint8)
    matches = cv2.BFMatcher(norm).match(left, right, near)
    seconds = time.process_time() - started
    homography, inliers = np.eye(3), 0
    if len(matches) > settings.pairs_above:
        sources, targets = places[0][[m.queryIdx for m in matches]], places[1][[m.trainIdx for m in matches]]
        cv2.setRNGSeed(settings.seed)
        found, mask = cv2.findHomography(sources, targets, cv2.RANSAC, settings.tolerance)
        inliers = int(np.count_nonzero(mask))
        homography = found if inliers > settings.inliers_above else homography
    grid = np.stack(np.meshgrid(np.arange(0, first.shape[1], 20.0), np.arange(0, first.shape[0], 20.0)), -1)
    placed = (cv2.perspectiveTransform(grid.reshape(-1, 1, 2), h) for h in (homography, truth))
    return len(matches), inliers, float(np.linalg.norm(np.subtract(*placed), axis=-1).mean()), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=("accuracy", "detectors"))
    parser.add_argument("folder", nargs="?", type=Path, help="videos for the table of detectors")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each setting when timing")
    arguments = parser.parse_args()
    if arguments.table == "accuracy":
        accuracy(arguments.rounds)
    elif arguments.folder is None:
        parser.error("the table of detectors needs a folder of videos")
    else:
        detectors(arguments.folder)


if __name__ == "__main__":
    main()
