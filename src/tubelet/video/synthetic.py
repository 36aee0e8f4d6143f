"""Synthetic motion videos made on the spot: a task that no single frame and no bag of frames can solve.

Ten classes in time-reversed pairs over random shapes, textures, backgrounds and distractors. Three files:
`synthetic_motion` (the states, and why nothing leaks), `synthetic_render` (the pictures), `synthetic_files`
(videos and data sets). A network blind to the order of frames expects at most one right of two; the texture
of the moving object, a second label, can be read from one frame and is the positive control. With the looks
``colors`` (`synthetic_colors`) the second label is a color that optical flow is blind to, so that each of the two
labels is known to one of frames and flow alone.

Examples
--------
>>> from tubelet.video.synthetic import make_dataset
>>> make_dataset("runs/synthetic", {"train": 2000, "test": 400}, seed=0, workers=2)  # doctest: +SKIP
"""

from tubelet.video.synthetic_colors import COLORS
from tubelet.video.synthetic_files import (
    DEFAULT_SPLIT_SIZES,
    Order,
    frame_order,
    joint_label,
    make_dataset,
    make_video,
    parted_label,
    write_video,
)
from tubelet.video.synthetic_motion import (
    DEFAULT_DIFFICULTY,
    MOTION_CLASSES,
    REVERSED,
    TURN,
    Difficulty,
    Motion,
    Trajectory,
    draw_motion,
)
from tubelet.video.synthetic_render import (
    PALETTES,
    PATTERNS,
    SHAPES,
    TEXTURES,
    Scene,
    Thing,
    draw_scene,
    draw_texture,
    looks_of,
    render,
    visible_area,
)

__all__ = [
    "COLORS",
    "DEFAULT_DIFFICULTY",
    "DEFAULT_SPLIT_SIZES",
    "MOTION_CLASSES",
    "PALETTES",
    "PATTERNS",
    "REVERSED",
    "SHAPES",
    "TEXTURES",
    "TURN",
    "Difficulty",
    "Motion",
    "Order",
    "Scene",
    "Thing",
    "Trajectory",
    "draw_motion",
    "draw_scene",
    "draw_texture",
    "frame_order",
    "joint_label",
    "looks_of",
    "make_dataset",
    "make_video",
    "parted_label",
    "render",
    "visible_area",
    "write_video",
]
