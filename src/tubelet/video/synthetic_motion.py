"""The motions of the synthetic videos: ten classes in time-reversed pairs, as walks on a torus.

The state of an object is a point on a torus of four circles: x and y (the frame's borders wrap around), the
logarithm of its size (past the largest comes the smallest) and its angle. The first state is uniform on the
torus and a class is a constant velocity of one coordinate (two for the diagonals). Adding a constant to a
uniform point of a circle leaves it uniform, so at every frame the state has the same distribution in all
classes, and no single frame says anything about the class. A class and its reverse draw their speed from the
same distribution, so a reversed video of one is exactly a draw of the other.

Coordinates are integers, ``TURN`` units to a circle: sums wrap without rounding, so "uniform" and "reversed"
are exact and a reversed video has bit for bit the same pictures.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tubelet.errors import UsageError
from tubelet.provenance import derive_seed

TURN = 1 << 20
"""Units in one circle of a state coordinate."""

# Sign of the velocity in (x, y, size, angle). The y axis points down, so a positive angle turns clockwise.
_DIRECTIONS: dict[str, tuple[int, int, int, int]] = {
    "left": (-1, 0, 0, 0),
    "right": (1, 0, 0, 0),
    "up": (0, -1, 0, 0),
    "down": (0, 1, 0, 0),
    "counterclockwise": (0, 0, 0, -1),
    "clockwise": (0, 0, 0, 1),
    "shrink": (0, 0, -1, 0),
    "grow": (0, 0, 1, 0),
    "up_right": (1, -1, 0, 0),
    "down_left": (-1, 1, 0, 0),
}

MOTION_CLASSES: tuple[str, ...] = tuple(_DIRECTIONS)
"""The ten classes, each beside its reverse."""

REVERSED: dict[str, str] = {
    label: next(other for other, back in _DIRECTIONS.items() if back == (-ahead[0], -ahead[1], -ahead[2], -ahead[3]))
    for label, ahead in _DIRECTIONS.items()
}
"""The class that a class becomes when its video runs backward."""


Looks = Literal["textures", "colors"]
"""What tells moving objects apart: pattern and palette, or a color that brightness does not show."""


@dataclass(frozen=True)
class Difficulty:
    """What makes the task easy or hard; the defaults are the data set of the demo and of the tests.

    Speeds are drawn uniformly and stated as what happens in 16 frames, the length of a clip.
    """

    side: int = 64
    """Height and width of the frames in pixels."""
    fps: int = 25
    frames: int = 24
    """Frames in a video: two clips of 16 at stride 8."""
    radius_px: tuple[float, float] = (11.0, 22.0)
    """Smallest and largest circumscribed radius of the object; log-uniform between them."""
    travel: tuple[float, float] = (0.375, 0.875)
    """Way of a moving object in 16 frames, in widths of the frame."""
    turn_deg: tuple[float, float] = (90.0, 200.0)
    """Angle that a turning object passes in 16 frames, in degrees."""
    scale_factor: tuple[float, float] = (1.6, 2.0)
    """Factor by which a growing object's radius grows in 16 frames."""
    distractors: int = 2
    """Gray objects that stand still behind the moving one."""
    distractor_radius_px: tuple[float, float] = (5.0, 8.0)
    background_contrast: float = 0.08
    """Amplitude of each of the three waves of the background, of full scale 1."""
    looks: Looks = "textures"
    """``textures``: ten, a palette with a pattern each. ``colors``: five, see `tubelet.video.synthetic_colors`."""

    def __post_init__(self) -> None:
        """Refuse what the drawing cannot keep: wrapped objects that overlap themselves, speeds that alias."""
        small, large = self.radius_px
        # 3 pixels: the soft edge on both sides, and a center anywhere in its pixel.
        if not 1 <= small < large <= (self.side - 3) / 2:
            raise UsageError(
                f"radius_px {self.radius_px} does not fit frames of {self.side} pixels",
                remedy=f"stay between 1 and {(self.side - 3) / 2}",
            )
        if not 1 <= self.distractor_radius_px[0] <= self.distractor_radius_px[1] <= (self.side - 3) / 2:
            raise UsageError(f"distractor_radius_px {self.distractor_radius_px} does not fit the frames")
        speeds = (self.travel, self.turn_deg, (self.scale_factor[0] - 1, self.scale_factor[1] - 1))
        if self.frames < 1 or not all(0 < low <= high for low, high in speeds):
            raise UsageError("frames and speeds must be positive, each speed as (lowest, highest)")
        if self.looks not in get_args(Looks):
            raise UsageError(f"objects cannot differ in {self.looks!r}", remedy=f"use {' or '.join(get_args(Looks))}")

    def describe(self) -> str:
        """Every setting in words, for the logs and reports of what was trained on it."""
        return (
            f"{len(MOTION_CLASSES)} motion classes in time-reversed pairs, {self.frames} frames of "
            f"{self.side}×{self.side} at {self.fps} fps; object radius {_span(self.radius_px)} px; "
            f"in 16 frames: travel {_span(self.travel)} widths, turn {_span(self.turn_deg)}°, "
            f"growth ×{_span(self.scale_factor)}; {self.distractors} distractors of "
            f"{_span(self.distractor_radius_px)} px; background waves ±{self.background_contrast:g}"
            + ("; objects in colors of equal brightness" if self.looks == "colors" else "")
        )

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON values; without ``looks`` where it is the default, as in sets made before it existed."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self).items()
            if (name, value) != ("looks", "textures")
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Difficulty:
        """The inverse of `to_dict`."""
        settings: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        return cls(**settings)


def _span(limits: tuple[float, float]) -> str:
    return f"{limits[0]:g}–{limits[1]:g}"


DEFAULT_DIFFICULTY = Difficulty()


@dataclass(frozen=True)
class Trajectory:
    """Ground truth of one video, an array of length T per quantity."""

    x: NDArray[np.float64]
    """Center in pixels, in [0, side); 0 is the left border, and the object wraps around the borders."""
    y: NDArray[np.float64]
    """Center in pixels, in [0, side), downward."""
    size: NDArray[np.float64]
    """Circumscribed radius in pixels."""
    angle: NDArray[np.float64]
    """Radians in [0, 2π), clockwise on the screen."""
    visibility: NDArray[np.float64]
    """Visible fraction of the object: always 1, since it is drawn last and wraps around the borders."""
    side: int
    """Height and width of the frame in pixels."""

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Motion:
    """A walk with constant velocity on the torus (x, y, log-size, angle), in units of 1/`TURN` circle."""

    start: tuple[int, int, int, int]
    step: tuple[int, int, int, int]

    def states(self, n_frames: int) -> NDArray[np.int64]:
        """(T,4) int64 in [0, `TURN`): the state at each frame."""
        ahead = np.arange(n_frames, dtype=np.int64)[:, None] * np.array(self.step, dtype=np.int64)
        return (np.array(self.start, dtype=np.int64) + ahead) % TURN

    def reversed(self, n_frames: int) -> Motion:
        """The motion whose states are those of this one's ``n_frames`` frames, last frame first."""
        x, y, size, angle = (int(value) for value in self.states(n_frames)[-1])
        dx, dy, dsize, dangle = self.step
        return Motion((x, y, size, angle), (-dx, -dy, -dsize, -dangle))

    def trajectory(self, difficulty: Difficulty = DEFAULT_DIFFICULTY) -> Trajectory:
        """The states as pixels and radians, ``difficulty.frames`` of them."""
        states = self.states(difficulty.frames)
        small, large = difficulty.radius_px
        # Scalar exp: vector code may round an element differently in another place of the array, and a
        # reversed video must have the very same numbers.
        radii = [small * math.exp(math.log(large / small) * int(unit) / TURN) for unit in states[:, 2]]
        pixels = np.asarray(states[:, :2] * (difficulty.side / TURN), dtype=np.float64)
        return Trajectory(
            x=pixels[:, 0],
            y=pixels[:, 1],
            size=np.array(radii),
            angle=np.asarray(states[:, 3] * (2 * math.pi / TURN), dtype=np.float64),
            visibility=np.ones(len(states)),
            side=difficulty.side,
        )


def draw_motion(label: str, seed: int, difficulty: Difficulty = DEFAULT_DIFFICULTY) -> Motion:
    """Draw a motion of a class.

    Parameters
    ----------
    label
        One of `MOTION_CLASSES`.
    seed
        Seed of the video. The label does not enter the random numbers, so a class and its reverse start from
        the same state and move at the same speed in opposite directions.
    difficulty
        Gives the range of speeds.

    Raises
    ------
    UsageError
        For an unknown class.
    """
    if label not in _DIRECTIONS:
        raise UsageError(f"Unknown motion class {label!r}", remedy=f"use one of {', '.join(MOTION_CLASSES)}")
    rng = np.random.default_rng(derive_seed(seed, "motion"))
    start = rng.integers(0, TURN, size=4)
    pace = rng.random()
    small, large = difficulty.radius_px
    slow_growth, fast_growth = (math.log(factor) / math.log(large / small) for factor in difficulty.scale_factor)
    turn = (difficulty.turn_deg[0] / 360, difficulty.turn_deg[1] / 360)
    ahead = _DIRECTIONS[label]
    # A diagonal way is as long as a straight one.
    per_axis = 1 / math.sqrt(abs(ahead[0]) + abs(ahead[1]) or 1)
    travel = (difficulty.travel[0] * per_axis, difficulty.travel[1] * per_axis)
    speeds = [
        round((low + (high - low) * pace) * TURN / 16)
        for low, high in (travel, travel, (slow_growth, fast_growth), turn)
    ]
    x, y, size, angle = (int(value) for value in start)
    dx, dy, dsize, dangle = (sign * speed for sign, speed in zip(ahead, speeds, strict=True))
    return Motion((x, y, size, angle), (dx, dy, dsize, dangle))
