"""What a network says about itself: the clip it takes and the paper it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class InputSpec:
    """The clip a network takes.

    Attributes
    ----------
    modality
        ``"rgb"``; the color order within it is the recipe's affair.
    channels
        Values per pixel.
    clip_length
        Frames per clip.
    step_frames
        Video frames from one clip frame to the next (1: consecutive).
    side
        Height and width in pixels.
    recipe
        Name of the published recipe that makes such clips, see ``tubelet.clips.recipe.get_recipe``.
    """

    modality: str
    channels: int
    clip_length: int
    step_frames: int
    side: int
    recipe: str

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(C, T, H, W) of one clip."""
        return (self.channels, self.clip_length, self.side, self.side)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields."""
        return asdict(self)


@dataclass(frozen=True)
class Paper:
    """Where a network comes from: the paper, its arXiv number, and the section that defines the network."""

    title: str
    authors: str
    year: int
    arxiv: str
    section: str

    @property
    def url(self) -> str:
        """Address of the paper's abstract."""
        return f"https://arxiv.org/abs/{self.arxiv}"


def descriptor_layer(layer_names: Sequence[str]) -> str:
    """The layer that the papers describe videos with: fc6 of C3D, pool5 of Res3D."""
    return "fc6" if "fc6" in layer_names else "pool5"
