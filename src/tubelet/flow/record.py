"""What stored flow says of itself: how it was made, from which bytes, and what storing it cost.

The record is the file ``flow.json`` of a folder or a ZIP file. It is written last, and flow without one was not
stored by this package.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from tubelet.errors import InputDataError, UsageError
from tubelet.flow.algorithms import DEFAULT, find_algorithm
from tubelet.flow.camera import CameraSettings
from tubelet.flow.field import DEFAULT_BOUND, Direction

RECORD_FILE = "flow.json"
FORMAT = "tubelet-flow-1"

StoreKind = Literal["jpeg", "compact"]
Directions = Literal["forward", "backward", "both"]


@dataclass(frozen=True)
class FlowSettings:
    """How the flow of videos is computed and stored; flow stored with other settings is stale.

    Attributes
    ----------
    algorithm
        A name of `tubelet.flow.algorithms.ALGORITHMS`; ``dis`` becomes ``dis_medium``.
    direction
        ``forward``, ``backward`` or ``both``.
    bound
        Pixels; vectors beyond are cut off. 20 in dense_flow.
    step
        Every ``step``-th frame is used, and flow leads from one used frame to the next.
    warped
        Whether the motion of the camera is taken out.
    resize_hw
        Height and width to which frames are resized before; None keeps the video's own. TSN: (256, 340).
    quality
        Of the JPEG pictures, 1 to 100.
    store
        ``jpeg``: a folder of pictures per video. ``compact``: the same files in one uncompressed ZIP file per video.
    rgb
        Whether the frames are stored too, as ``img_00001.jpg``.

    Raises
    ------
    UsageError
        A value outside these.
    """

    algorithm: str = DEFAULT
    direction: Directions = "forward"
    bound: float = DEFAULT_BOUND
    step: int = 1
    warped: bool = False
    resize_hw: tuple[int, int] | None = None
    quality: int = 95
    store: StoreKind = "jpeg"
    rgb: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "algorithm", find_algorithm(self.algorithm).name)
        for name, value, allowed in (
            ("direction", self.direction, get_args(Directions)),
            ("store", self.store, get_args(StoreKind)),
        ):
            if value not in allowed:
                raise UsageError(f"the {name} of flow cannot be {value!r}", remedy=f"use one of {', '.join(allowed)}")
        if self.step < 1:
            raise UsageError(f"the step of flow is {self.step}", why="it must be at least 1 frame")
        if not 1 <= self.quality <= 100:
            raise UsageError(f"the JPEG quality is {self.quality}", why="it goes from 1 to 100")
        if not 0 < self.bound < float("inf"):
            raise UsageError(
                f"the bound of flow is {self.bound}", remedy="give a positive number of pixels, such as 20"
            )
        if self.resize_hw is not None and min(self.resize_hw) < 16:
            raise UsageError(
                f"cannot compute flow at {self.resize_hw[1]}x{self.resize_hw[0]} pixels", why="16 are needed"
            )

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The directions to be computed, forward first."""
        if self.direction == "both":
            return ("forward", "backward")
        return (self.direction,)

    def parameters(self) -> dict[str, Any]:
        """Every parameter of the algorithm and, for warped flow, of the camera's estimate, JSON-ready.

        Raises
        ------
        MissingExtraError
            OpenCV is not installed.
        """
        values = find_algorithm(self.algorithm).settings()
        del values["opencv"]  # the record has it; another version of it does not make flow stale
        return {**values, "camera": CameraSettings().settings()} if self.warped else values

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready dictionary."""
        return asdict(self) | {"resize_hw": None if self.resize_hw is None else list(self.resize_hw)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FlowSettings:
        """The inverse of `to_dict`."""
        size = values["resize_hw"]
        return cls(**{**values, "resize_hw": None if size is None else (int(size[0]), int(size[1]))})


@dataclass(frozen=True)
class FlowError:
    """What storing changed, in pixels, over components inside the bound of the pairs that were read back.

    Attributes
    ----------
    pairs
        Pairs of frames read back.
    quantized_px
        Mean absolute difference of the quantized from the computed motion; at most ``bound / 255``.
    stored_px, stored_max_px
        Mean and largest difference of what is read from the JPEG pictures.
    """

    pairs: int
    quantized_px: float
    stored_px: float
    stored_max_px: float


@dataclass(frozen=True)
class FlowRecord:
    """``flow.json``.

    Attributes
    ----------
    settings
        How it was asked for.
    parameters
        Of the algorithm, as it was computed.
    video_id
        The video's name in its data set.
    source_size, source_mtime_ns, source_sha256
        Its file: bytes, time and content.
    frames
        Frames used (every ``step``-th); there is one pair less.
    height, width
        Pixels of a field.
    source_hw
        Height and width of the video.
    fps
        Frames used per second; None for a folder of frames, which does not say.
    files, nbytes
        Number of pictures and their bytes.
    saturated_share
        Share of components beyond the bound, 0 to 1.
    camera_share
        Of warped flow: share of pairs in which a motion of the camera was found and taken out, 0 to 1; else None.
    error
        What storing changed.
    decode_status, problems
        ``ok``, or ``partial`` where the video lost frames, and why.
    opencv_version, tool_version
        What made it.
    """

    settings: FlowSettings
    parameters: dict[str, Any]
    video_id: str
    source_size: int
    source_mtime_ns: int
    source_sha256: str
    frames: int
    height: int
    width: int
    source_hw: tuple[int, int]
    fps: float | None
    files: int
    nbytes: int
    saturated_share: float
    camera_share: float | None
    error: FlowError
    decode_status: Literal["ok", "partial"]
    problems: tuple[str, ...]
    opencv_version: str
    tool_version: str

    @property
    def pairs(self) -> int:
        """Pairs of frames, each with one field per direction."""
        return self.frames - 1

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready dictionary."""
        own = {item.name: getattr(self, item.name) for item in fields(self)}
        nested = {
            "settings": self.settings.to_dict(),
            "source_hw": list(self.source_hw),
            "error": asdict(self.error),
            "problems": list(self.problems),
        }
        return {"format": FORMAT, **own, **nested}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], path: str) -> FlowRecord:
        """The inverse of `to_dict`.

        Raises
        ------
        InputDataError
            It is not such a record, or one of a later version.
        """
        if not isinstance(values, Mapping) or values.get("format") != FORMAT:
            raise InputDataError(
                f"{RECORD_FILE} is not a record of this version",
                path=path,
                why=f"its format is not {FORMAT}",
                remedy="compute the flow again",
            )
        try:
            known = {item.name: values[item.name] for item in fields(cls)}
            height, width = known["source_hw"]
            return cls(
                **{
                    **known,
                    "settings": FlowSettings.from_dict(known["settings"]),
                    "source_hw": (int(height), int(width)),
                    "error": FlowError(**known["error"]),
                    "problems": tuple(known["problems"]),
                }
            )
        except (KeyError, TypeError, ValueError, UsageError) as error:
            raise InputDataError(
                f"{RECORD_FILE} is damaged", path=path, why=repr(error), remedy="compute the flow again"
            ) from error
