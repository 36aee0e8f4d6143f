"""What a network says about itself: the clip it takes and the paper it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tubelet.clips.modality import Modality, ModalityName, Stacking
from tubelet.errors import UsageError


@dataclass(frozen=True)
class InputSpec:
    """The clip a network takes.

    Attributes
    ----------
    modality
        ``"rgb"`` (the color order within it is the recipe's affair), ``"rgb_difference"``, ``"flow"`` or
        ``"warped_flow"``.
    channels
        Values per pixel: 3 for RGB; 2L for a stack of L flow fields (x1, y1, x2, y2, …); 3L for L differences.
    clip_length
        Frames (stacks) per clip, or per snippet where the network takes several.
    step_frames
        Video frames from one clip frame to the next (1: consecutive).
    side
        Pixels: the length of the sides of a square, cut out of frames as the recipe says, or (height, width) of
        whole frames.
    recipe
        Name of the published recipe that makes such clips, see ``tubelet.clips.recipes.get_recipe``.
    segments
        Equal parts of the video that give a snippet each (temporal segment networks); 1: one clip anywhere.
    stacking
        What stacks of flow hold, see `tubelet.clips.modality.Modality`.
    """

    modality: ModalityName
    channels: int
    clip_length: int
    step_frames: int
    side: int | tuple[int, int]
    recipe: str
    segments: int = 1
    stacking: Stacking = "optical_flow"

    @property
    def content(self) -> Modality:
        """What its channels are made of, and of how many frames or fields."""
        return Modality(self.modality, self.channels, self.stacking)

    @property
    def frames(self) -> int:
        """Length of the input's time axis: the snippets one after the other."""
        return self.clip_length * self.segments

    @property
    def height_width(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.side if isinstance(self.side, tuple) else (self.side, self.side)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(C, T, H, W) of one input."""
        return (self.channels, self.frames, *self.height_width)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields."""
        return asdict(self)


def usual_stride(spec: InputSpec, clip_length: int | None = None) -> int:
    """Frames between the starts of clips that describe a video, where nobody says otherwise.

    8 (C3D paper, section 3.3). 1 for networks of single frames: the baseline that the paper calls Imagenet is the mean
    over every frame's features (section 4).

    Parameters
    ----------
    spec
        The network's input.
    clip_length
        Frames (fields) of a clip, if others than the network's.
    """
    single = (clip_length or spec.clip_length) == 1 and spec.segments == 1 and spec.modality == "rgb"
    return 1 if single else 8


@dataclass(frozen=True)
class Paper:
    """Where a network comes from: the paper, its arXiv number, and the section that defines the network.

    Attributes
    ----------
    title, authors, year, arxiv, section
        ``arxiv`` is empty where the paper is not there; then ``link`` says where it is.
    link
        Address of a paper that is not on arXiv.
    """

    title: str
    authors: str
    year: int
    arxiv: str
    section: str
    link: str = ""

    @property
    def url(self) -> str:
        """Address of the paper's abstract."""
        return f"https://arxiv.org/abs/{self.arxiv}" if self.arxiv else self.link


@dataclass(frozen=True)
class Source:
    """How sure it is that a network is the paper's, and what the paper prints about it.

    Attributes
    ----------
    reconstruction
        False: its exact counts are published, or follow from the authors' own layer tables, and are proved. True: it
        was built from the sources without such a count to prove it by, or they leave something open; ``choices`` says
        what was chosen.
    origin
        The public files or texts that the layers were taken from.
    choices
        One sentence for everything that the sources do not say and somebody had to decide.
    printed
        Figures as the paper (or its authors' code) prints them, by name, e.g. ``{"parameters": "33.2 M"}``.
    """

    reconstruction: bool = False
    origin: str = ""
    choices: tuple[str, ...] = ()
    printed: Mapping[str, str] = field(default_factory=dict)


def require_source(model: str, spec: InputSpec, flow: object) -> None:
    """Refuse to read videos for a network that takes motion, and stored flow for one that takes frames.

    Parameters
    ----------
    model, spec
        The network's name and input.
    flow
        The folder of stored flow, if one was given.

    Raises
    ------
    UsageError
        If flow is needed and not given, or given and not needed.
    """
    taken = "RGB differences" if spec.modality == "rgb_difference" else spec.modality.replace("_", " ")
    if spec.content.is_flow and not flow:
        options = " --direction both" * spec.content.both_directions + " --warped" * (spec.modality == "warped_flow")
        raise UsageError(
            f"{model} takes optical {taken.replace('warped flow', 'flow (warped)')}, and no stored flow is given",
            remedy=f"compute it with tubelet flow VIDEOS -o DIR{options}, then add --flow DIR (in Python flow=DIR)",
        )
    if flow and not spec.content.is_flow:
        raise UsageError(
            f"{model} takes {'frames' if taken == 'rgb' else taken}, and stored flow is given",
            remedy="leave --flow away, or choose a network that takes flow (tubelet models says what each takes)",
        )


def descriptor_layer(layer_names: Sequence[str]) -> str:
    """The layer that videos are described with: fc6 of C3D, pool5 of Res3D, else the last map before the classifier.

    Of networks of Hugging Face it is ``pooled`` (`tubelet.models.huggingface.network`).
    """
    found = (layer for layer in ("fc6", "full6", "global_pool", "pool5", "pooled") if layer in layer_names)
    return next(found, layer_names[-3])
