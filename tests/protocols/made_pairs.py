"""Small sets of pairs in ASLAN's official format, made of synthetic motion videos or of planted numbers."""

from __future__ import annotations

from itertools import combinations, count, product
from pathlib import Path

import numpy as np
from scipy.io import savemat

from tubelet.datasets.aslan_pairs import SPLITS_NAME
from tubelet.video.synthetic import (
    MOTION_CLASSES,
    TEXTURES,
    Difficulty,
    draw_motion,
    draw_scene,
    draw_texture,
    render,
    write_video,
)

FOLDS = 10

# One clip a video; the moving thing fills most of the frame, so that even random filters tell its looks.
LARGE = Difficulty(frames=16, radius_px=(26.0, 30.0), distractors=0, background_contrast=0.01)


def action_folds(per_action: int, folds: int = FOLDS) -> np.ndarray:
    """(pairs, 5, folds) as ``action_splits_pairs``: two actions a fold, as many same pairs as not-same ones.

    Samples are numbered by action: action k has the samples from (k - 1) * per_action + 1 on.
    """
    stack = []
    for fold in range(folds):
        first, second = 2 * fold + 1, 2 * fold + 2
        members = {
            action: [(action - 1) * per_action + index + 1 for index in range(per_action)] for action in (first, second)
        }
        same = [(a, b, 1, action, action) for action in (first, second) for a, b in combinations(members[action], 2)]
        other = [(a, b, 0, first, second) for a, b in product(members[first], members[second])]
        n = min(len(same), len(other))
        stack.append([*same[:n], *other[:n]])
    return np.stack([np.array(rows) for rows in stack], axis=2)


def write_view2(folder: Path, pairs: np.ndarray) -> Path:
    """``View2.mat`` as MATLAB writes it: doubles."""
    folder.mkdir(parents=True, exist_ok=True)
    savemat(folder / "View2.mat", {SPLITS_NAME: pairs.astype(np.float64)})
    return folder


def make_videos(folder: Path, per_action: int, folds: int = FOLDS) -> None:
    """Two actions a fold: a motion of a warm thing and another motion of a cool one, patterns and scenes varying."""
    folder.mkdir(parents=True)
    patterns = len(TEXTURES) // 2
    for action in range(2 * folds):
        fold, cool = divmod(action, 2)
        texture = fold % patterns + cool * patterns
        motion = MOTION_CLASSES[(fold + 5 * cool) % len(MOTION_CLASSES)]
        seeds = (seed for seed in count(1000 * action) if draw_texture(seed) == texture)
        for index in range(per_action):
            seed = next(seeds)
            path = draw_motion(motion, seed, LARGE).trajectory(LARGE)
            write_video(folder / f"{action * per_action + index + 1:04d}.avi", render(draw_scene(seed, LARGE), path))
