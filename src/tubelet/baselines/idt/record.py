"""What stored trajectories of a video are, and what they say of themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np

from tubelet.baselines.idt.settings import IdtSettings
from tubelet.baselines.idt.tensor_file import Rows

FORMAT = "tubelet-idt-1"


@dataclass(frozen=True)
class TrajectoryRecord:
    """What stored trajectories say of themselves.

    Attributes
    ----------
    settings
        `IdtSettings.to_dict` without OpenCV's version, and ``most_trajectories`` and ``seed`` of the draw (both None
        where all trajectories are kept): trajectories of other settings are stale.
    video_id
        The video's name in its data set.
    source_size, source_mtime_ns, source_sha256
        Its file: bytes, time and content.
    fps
        Frames per second; None for a folder of frames, which does not say.
    frames, height, width
        Frames decoded and their pixels.
    decode_status, problems
        ``ok``, or ``partial`` where the video lost frames, and why.
    found, kept
        Trajectories of the video, and how many of them are stored.
    opencv_version, tool_version
        What made them.
    """

    settings: dict[str, Any]
    video_id: str
    source_size: int
    source_mtime_ns: int
    source_sha256: str
    fps: float | None
    frames: int
    height: int
    width: int
    decode_status: Literal["ok", "partial"]
    problems: tuple[str, ...]
    found: int
    kept: int
    opencv_version: str
    tool_version: str

    @property
    def nbytes(self) -> int:
        """Bytes of the stored trajectories; the file's header comes on top."""
        return self.kept * trajectory_bytes(IdtSettings.from_dict(self.settings))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready dictionary."""
        return {"format": FORMAT, **asdict(self), "problems": list(self.problems)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrajectoryRecord:
        """The inverse of `to_dict`.

        Raises
        ------
        ValueError
            It is no such record.
        """
        if not isinstance(values, Mapping) or values.get("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        known = {item.name: values.get(item.name) for item in fields(cls)}
        counts = [known[name] for name in ("source_size", "source_mtime_ns", "frames", "height", "width", "found")]
        texts = [known[name] for name in ("video_id", "source_sha256", "opencv_version", "tool_version")]
        sound = (
            all(type(count) is int and count >= 0 for count in (*counts, known["kept"]))
            and all(type(text) is str for text in texts)
            and type(known["settings"]) is dict
            and isinstance(known["problems"], list | tuple)
            and known["decode_status"] in ("ok", "partial")
        )
        if not sound:
            raise ValueError("its record is incomplete")
        return cls(**{**known, "problems": tuple(map(str, known["problems"] or ()))})  # type: ignore[arg-type]


def tensors_of(settings: IdtSettings) -> dict[str, Rows]:
    """What a file holds of each trajectory: points as float32, channels as float16."""
    own = {
        "points": Rows(np.dtype("<f4"), (settings.length + 1, 2)),
        "first_frame": Rows(np.dtype("<i4")),
        "scale": Rows(np.dtype("u1")),
    }
    return own | {name: Rows(np.dtype("<f2"), (size,)) for name, size in settings.dims().items()}


def trajectory_bytes(settings: IdtSettings) -> int:
    """Bytes that a stored trajectory takes: 985 with the defaults, 852 of them for its channels."""
    return sum(rows.nbytes for rows in tensors_of(settings).values())
