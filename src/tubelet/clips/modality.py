"""What the channels of a network's input are made of: how many frames or fields a snippet needs. No pixels here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from tubelet.clips.indices import at_least_one, one_of
from tubelet.clips.recipe import Recipe
from tubelet.errors import UsageError

ModalityName = Literal["rgb", "rgb_difference", "flow", "warped_flow"]
Stacking = Literal["optical_flow", "trajectory", "bidirectional", "bidirectional_trajectory"]


@dataclass(frozen=True)
class Modality:
    """What a network sees of a video.

    ============== ===================================== ============================================
    name           source of a snippet of T frames       channels of each of its T frames
    ============== ===================================== ============================================
    rgb            T frames                              red, green, blue
    rgb_difference T k + 1 frames                        k differences of neighbors (TSN: k = 5)
    flow           T L fields                            L fields, x and y in turns (Two-Stream, P3D)
    warped_flow    T L fields without camera motion      the same (TSN)
    ============== ===================================== ============================================

    The source is consecutive (``step_frames`` apart). Field t is the motion from frame t to frame t + 1.

    Attributes
    ----------
    name
        As in the table.
    channels
        3, 3 k or 2 L.
    stacking
        What a stack of L fields holds, see `tubelet.flow.stack`: the fields at each pixel; along its trajectory; or, in
        either way, L/2 fields of forward flow from the stack's middle frame on and L/2 of backward flow before it.

    Raises
    ------
    UsageError
        Values that do not fit together.
    """

    name: ModalityName = "rgb"
    channels: int = 3
    stacking: Stacking = "optical_flow"

    def __post_init__(self) -> None:
        one_of("modality", self.name, get_args(ModalityName))
        one_of("stacking", self.stacking, get_args(Stacking))
        at_least_one("channels", self.channels)
        unit = 4 if self.both_directions else 2 if self.is_flow else 3
        if self.channels % unit or (self.name == "rgb" and self.channels != 3):
            raise UsageError(
                f"{self.name} input has {self.channels} channels",
                why=f"they come in {'threes' if unit == 3 else 'pairs' if unit == 2 else 'fours'}"
                + (", and a frame has 3" if self.name == "rgb" else ""),
                remedy="build the network with another number of flow fields" if self.is_flow else "",
            )
        if self.stacking != "optical_flow" and not self.is_flow:
            raise UsageError(f"{self.name} has no {self.stacking} stacks", remedy="leave stacking out")

    @property
    def is_flow(self) -> bool:
        """Whether stored optical flow is read, not the video."""
        return self.name in ("flow", "warped_flow")

    @property
    def both_directions(self) -> bool:
        """Whether backward flow is needed too."""
        return self.stacking.startswith("bidirectional")

    @property
    def follows(self) -> bool:
        """Whether pixels are followed along their trajectories."""
        return self.stacking.endswith("trajectory")

    @property
    def per_frame(self) -> int:
        """Fields or differences in one frame of the input; 1 for RGB."""
        return self.channels // (2 if self.is_flow else 3)

    @property
    def frames_per_source(self) -> int:
        """Frames of the video that one item of the source is made of: 2 for a field, else 1."""
        return 2 if self.is_flow else 1

    def source_length(self, clip_length: int) -> int:
        """Frames or fields that a snippet of ``clip_length`` input frames is made of."""
        return clip_length * self.per_frame + (self.name == "rgb_difference")

    def clip_length(self, source_length: int) -> int:
        """The inverse of `source_length`."""
        return (source_length - (self.name == "rgb_difference")) // self.per_frame

    def check(self, recipe: Recipe) -> None:
        """Refuse a recipe that is not for this modality.

        Raises
        ------
        UsageError
            A recipe of colors for flow, or of flow for colors; levels where pixels are to be followed.
        """
        if (recipe.color == "flow") != self.is_flow:
            raise UsageError(
                f"recipe {recipe.name} does not fit {self.name.replace('_', ' ')}",
                why=f"it is one of {'flow' if recipe.color == 'flow' else 'colors'}",
                remedy="leave the recipe away for the network's own",
            )
        if self.follows and recipe.flow_mean == "level":
            raise UsageError(
                f"recipe {recipe.name} does not fit {self.stacking} stacks",
                why="pixels are followed by motion in pixels, and it keeps levels",
                remedy="use the recipe two_stream_flow",
            )


RGB = Modality()


@dataclass(frozen=True)
class LevelScale:
    """What the levels of stored flow stand for.

    Attributes
    ----------
    bound
        Pixels that levels 0 and 255 stand for.
    size_hw
        Height and width of the fields as they were computed, whose pixels these are: resizing a field for a network
        leaves its values alone, as the papers' code does.
    """

    bound: float
    size_hw: tuple[int, int]
