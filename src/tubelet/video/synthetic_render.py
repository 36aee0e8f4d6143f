"""The pictures of the synthetic videos: soft-edged shapes with a texture, drawn analytically with numpy.

Only arithmetic whose result does not depend on an element's place in its array is used per pixel (no vector
sine or cosine), so a frame depends on the scene and its own state alone and is the same picture, bit for bit,
wherever in the video it stands.
"""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tubelet.provenance import derive_seed
from tubelet.video.synthetic_colors import COLORS, draw_tones
from tubelet.video.synthetic_motion import DEFAULT_DIFFICULTY, Difficulty, Trajectory

PATTERNS: tuple[str, ...] = ("solid", "stripes", "checker", "dots", "rings")
PALETTES: dict[str, tuple[float, float]] = {"warm": (-0.03, 0.1), "cool": (0.5, 0.66)}
"""Range of the ground's hue, of a circle of 1."""

# Hue, saturation and value of the pattern's figure. Patterns differ in color too: ones that differ in outline
# alone take a small network thousands of steps to tell apart at every angle and size.
_FIGURES = {
    "warm": {"stripes": (0, 0, 1), "checker": (0, 0, 0.08), "dots": (0.36, 0.9, 0.7), "rings": (0.77, 0.7, 0.8)},
    "cool": {"stripes": (0, 0, 1), "checker": (0, 0, 0.08), "dots": (0.9, 0.8, 0.9), "rings": (0.2, 0.9, 0.8)},
}

TEXTURES: tuple[str, ...] = tuple(f"{palette}_{pattern}" for palette in PALETTES for pattern in PATTERNS)
"""The ten textures of the moving object: recognizable in one frame, independent of the class."""

# Each shape is a union of convex polygons inside the unit circle, corners in order. None looks the same after
# a turn of less than a full one, so the angle can be seen in every texture.
_SHAPES: dict[str, tuple[tuple[tuple[float, float], ...], ...]] = {
    "wedge": (((1.0, 0.0), (-0.75, 0.66), (-0.75, -0.66)),),
    "kite": (((1.0, 0.0), (-0.3, 0.75), (-0.8, 0.0), (-0.3, -0.75)),),
    "arrow": (
        ((1.0, 0.0), (0.0, 0.85), (0.0, -0.85)),
        ((0.1, 0.38), (-0.92, 0.38), (-0.92, -0.38), (0.1, -0.38)),
    ),
    "ell": (
        ((-0.62, -0.78), (-0.08, -0.78), (-0.08, 0.78), (-0.62, 0.78)),
        ((-0.62, 0.22), (0.62, 0.22), (0.62, 0.78), (-0.62, 0.78)),
    ),
    "tee": (
        ((-0.75, -0.66), (0.75, -0.66), (0.75, -0.12), (-0.75, -0.12)),
        ((-0.28, -0.2), (0.28, -0.2), (0.28, 0.95), (-0.28, 0.95)),
    ),
    "shield": (((0.6, 0.75), (-0.25, 0.75), (-1.0, 0.0), (-0.25, -0.75), (0.6, -0.75)),),
}
SHAPES: tuple[str, ...] = tuple(_SHAPES)

# Period of each pattern, in radii of the object: at the smallest default radius, 11 pixels, a stripe is 3.5
# pixels wide, which survives compression and the networks' resize.
_PERIOD = {"solid": 1.0, "stripes": 0.64, "checker": 0.86, "dots": 0.62, "rings": 0.52}


@dataclass(frozen=True)
class Thing:
    """How an object looks, whatever its state."""

    shape: str
    pattern: str
    colors: tuple[tuple[float, float, float], tuple[float, float, float]]
    """Ground and figure of the pattern, RGB in [0, 1]."""
    phase: float
    """Shift of the pattern, in periods, in [0, 1)."""


@dataclass(frozen=True)
class Scene:
    """Everything in a video that does not move, and the looks of what does; independent of the class."""

    thing: Thing
    texture: int
    """Index into `looks_of` its difficulty: `TEXTURES` or `COLORS`."""
    background: NDArray[np.float32]
    """(side, side, 3) float32 RGB in [0, 1], the distractors drawn in."""


def looks_of(difficulty: Difficulty) -> tuple[str, ...]:
    """The appearances that moving objects have: `TEXTURES`, or `COLORS`."""
    return COLORS if difficulty.looks == "colors" else TEXTURES


def draw_texture(seed: int, difficulty: Difficulty = DEFAULT_DIFFICULTY) -> int:
    """Index into `looks_of` of the moving object's appearance in the video with this seed."""
    return int(np.random.default_rng(derive_seed(seed, "texture")).integers(len(looks_of(difficulty))))


def draw_scene(seed: int, difficulty: Difficulty = DEFAULT_DIFFICULTY, texture: int | None = None) -> Scene:
    """Draw the looks of a video from its seed; ``texture`` replaces the drawn one, and nothing else changes."""
    rng = np.random.default_rng(derive_seed(seed, "scene"))
    texture = draw_texture(seed, difficulty) if texture is None else texture
    thing = (_colored if difficulty.looks == "colors" else _textured)(rng, looks_of(difficulty)[texture])
    background = _waves(rng, difficulty)
    for _ in range(difficulty.distractors):
        # Gray and of any pattern: what moves is what is colored.
        light, shade = float(rng.uniform(0.75, 0.95)), float(rng.uniform(0.1, 0.3))
        gray = ((light,) * 3, (shade,) * 3) if rng.random() < 0.5 else ((shade,) * 3, (light,) * 3)
        distractor = Thing(_pick(rng, SHAPES), _pick(rng, PATTERNS), gray, float(rng.random()))
        x, y = rng.uniform(0, difficulty.side, size=2)
        state = Trajectory(
            x=np.array([x]),
            y=np.array([y]),
            size=np.array([rng.uniform(*difficulty.distractor_radius_px)]),
            angle=np.array([rng.uniform(0, 2 * math.pi)]),
            visibility=np.ones(1),
            side=difficulty.side,
        )
        background = _draw(background, distractor, state)[0]
    return Scene(thing, texture, background)


def _textured(rng: np.random.Generator, name: str) -> Thing:
    palette, pattern = name.split("_")
    hue = float(rng.uniform(*PALETTES[palette])) % 1
    bright = colorsys.hsv_to_rgb(hue, float(rng.uniform(0.75, 1.0)), float(rng.uniform(0.85, 1.0)))
    figure = colorsys.hsv_to_rgb(*_FIGURES[palette].get(pattern, (0, 0, 0)))
    return Thing(_pick(rng, SHAPES), pattern, (bright, figure), float(rng.random()))


def _colored(rng: np.random.Generator, name: str) -> Thing:
    # Two tones, so that what turns or grows can be seen: a plain object shows its motion at the outline alone.
    return Thing(_pick(rng, SHAPES), _pick(rng, PATTERNS[1:]), draw_tones(name, rng), float(rng.random()))


def render(scene: Scene, trajectory: Trajectory) -> NDArray[np.uint8]:
    """Draw a video.

    Parameters
    ----------
    scene
        Looks of the object, distractors and background.
    trajectory
        State of the object in each of T frames.

    Returns
    -------
    ndarray
        (T, side, side, 3) uint8 RGB.
    """
    frames = _draw(scene.background, scene.thing, trajectory)
    frames *= 255
    frames += 0.5
    return frames.astype(np.uint8)


def visible_area(scene: Scene, trajectory: Trajectory) -> NDArray[np.float64]:
    """(T,) area of the object in each frame, in pixels, as drawn."""
    _, _, cover, _ = _cover(scene.thing, trajectory)
    return np.asarray(cover.sum(axis=(1, 2)), dtype=np.float64)


def _pick(rng: np.random.Generator, names: tuple[str, ...]) -> str:
    return names[int(rng.integers(len(names)))]


def _waves(rng: np.random.Generator, difficulty: Difficulty) -> NDArray[np.float32]:
    """A smooth background (side, side, 3) float32 of low contrast and low saturation."""
    side = difficulty.side
    rows, columns = np.mgrid[:side, :side] / side
    base = rng.uniform(0.4, 0.6) + rng.uniform(-0.04, 0.04, size=3)
    field = np.zeros((side, side, 3))
    for _ in range(3):
        cycles = rng.uniform(0.7, 3.0)
        heading, phase = rng.uniform(0, 2 * math.pi, size=2)
        tint = difficulty.background_contrast * (1 + rng.uniform(-0.3, 0.3, size=3))
        ramp = math.cos(heading) * columns + math.sin(heading) * rows
        field += np.sin(2 * math.pi * cycles * ramp + phase)[..., None] * tint
    return np.clip(base + field, 0, 1).astype(np.float32)


def _draw(background: NDArray[np.float32], thing: Thing, trajectory: Trajectory) -> NDArray[np.float32]:
    """(T, side, side, 3) float32: the background with the thing on it, wrapped around the borders."""
    rows, columns, cover, figure = _cover(thing, trajectory)
    frames = np.repeat(background[None], len(trajectory), axis=0)
    index = (np.arange(len(trajectory))[:, None, None], rows[:, :, None], columns[:, None, :])
    patch = frames[index]
    ground_color, figure_color = (np.array(color, dtype=np.float32) for color in thing.colors)
    paint = ground_color + figure[..., None] * (figure_color - ground_color)
    paint -= patch
    paint *= cover[..., None]
    patch += paint
    frames[index] = patch
    return frames


def _cover(
    thing: Thing, trajectory: Trajectory
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """The thing in a square patch that follows it.

    Returns
    -------
    rows, columns
        (T, P) int64: where in the frame the patch's rows and columns are, wrapped.
    cover
        (T, P, P) float32 in [0, 1]: how much of each pixel the thing covers.
    figure
        (T, P, P) float32 in [0, 1]: the pattern's figure, against its ground.
    """
    side = trajectory.side
    # Wide enough for the soft edge; never wider than the frame, or a pixel would be drawn twice.
    reach = min(math.ceil(2 * float(trajectory.size.max())) + 3, side)
    offsets = np.arange(reach) - reach // 2
    columns = np.floor(trajectory.x).astype(np.int64)[:, None] + offsets
    rows = np.floor(trajectory.y).astype(np.int64)[:, None] + offsets
    across = ((columns + 0.5 - trajectory.x[:, None]) / trajectory.size[:, None]).astype(np.float32)
    along = ((rows + 0.5 - trajectory.y[:, None]) / trajectory.size[:, None]).astype(np.float32)
    cosine = np.array([math.cos(angle) for angle in trajectory.angle], dtype=np.float32)[:, None]
    sine = np.array([math.sin(angle) for angle in trajectory.angle], dtype=np.float32)[:, None]
    u = (cosine * across)[:, None, :] + (sine * along)[:, :, None]
    v = (cosine * along)[:, :, None] - (sine * across)[:, None, :]
    pixels = trajectory.size.astype(np.float32)[:, None, None]  # per radius
    cover = _soft(-_distance(thing.shape, u, v) * pixels)
    return rows % side, columns % side, cover, _figure(thing, u, v, pixels)


def _distance(shape: str, u: NDArray[np.float32], v: NDArray[np.float32]) -> NDArray[np.float32]:
    """Signed distance from the outline in radii, negative inside."""
    nearest: NDArray[np.float32] | None = None
    for corners in _SHAPES[shape]:
        inside: NDArray[np.float32] | None = None
        turning = sum(a[0] * b[1] - a[1] * b[0] for a, b in zip(corners, corners[1:] + corners[:1], strict=True))
        for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
            length = math.copysign(math.hypot(x1 - x0, y1 - y0), turning)
            normal_x, normal_y = np.float32((y1 - y0) / length), np.float32((x0 - x1) / length)
            edge = u * normal_x
            edge += v * normal_y
            edge -= normal_x * np.float32(x0) + normal_y * np.float32(y0)
            inside = edge if inside is None else np.maximum(inside, edge, out=inside)
        assert inside is not None
        nearest = inside if nearest is None else np.minimum(nearest, inside, out=nearest)
    assert nearest is not None
    return nearest


def _figure(
    thing: Thing, u: NDArray[np.float32], v: NDArray[np.float32], pixels: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The pattern's figure in [0, 1], with edges one pixel soft; ``pixels`` (T,1,1) in a radius."""
    period, phase = np.float32(_PERIOD[thing.pattern]), np.float32(thing.phase)
    if thing.pattern == "solid":
        return np.zeros_like(u)
    if thing.pattern == "stripes":
        return _bands(u / period + phase, period * pixels)
    if thing.pattern == "rings":
        return _bands(_length(u, v) / period + phase, period * pixels)
    if thing.pattern == "checker":
        one, other = (_bands(axis / period + phase, period * pixels) for axis in (u, v))
        return one + other - 2 * one * other
    near_u, near_v = (_offset(axis / period + phase) for axis in (u, v))
    return _soft((np.float32(0.31) - _length(near_u, near_v)) * (period * pixels))


def _length(u: NDArray[np.float32], v: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.sqrt(u * u + v * v), dtype=np.float32)


def _soft(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Coverage of a pixel whose center is ``pixels`` inside a straight edge (negative: outside)."""
    return np.asarray(np.clip(pixels + np.float32(0.5), 0, 1), dtype=np.float32)


def _offset(periods: NDArray[np.float32]) -> NDArray[np.float32]:
    """Signed distance from the nearest whole period, in [-0.5, 0.5)."""
    return periods - np.floor(periods) - np.float32(0.5)


def _bands(periods: NDArray[np.float32], pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bands half a period wide; ``pixels`` in a period."""
    return _soft((np.abs(_offset(periods)) - np.float32(0.25)) * pixels)
