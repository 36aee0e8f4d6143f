"""The parameters of improved dense trajectories, as one value that is recorded with what it made."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from tubelet.errors import UsageError
from tubelet.flow.algorithms import find_algorithm
from tubelet.flow.camera import CameraSettings


@dataclass(frozen=True)
class IdtSettings:
    """How trajectories are sampled, followed, described and thrown away.

    Attributes
    ----------
    spacing
        Pixels between sampled points, W in the papers.
    quality
        A point is sampled where the smaller eigenvalue of its structure tensor is at least this share of the frame's
        largest: what has no texture cannot be followed.
    length
        Steps of a trajectory, L: it ends after so many frames, because points drift.
    scales, scale_step
        Levels of the pyramid at most, the frame itself counted, and the size of each relative to the one before. Levels
        that are smaller than ``patch`` are left out.
    patch
        Side in pixels of the square around a trajectory that is described, N.
    cells, segments
        The square is cut into ``cells × cells``, the trajectory in time into ``segments``.
    zero_motion
        Pixels per frame: slower pixels vote for the ninth direction of HOF, which is none.
    least_motion
        Pixels of a level: a trajectory no step of which is longer once the camera's motion is out stands still in the
        world, and is left out.
    sudden
        A trajectory with a step longer than this share of its whole way has jumped, and is left out.
    flow
        Algorithm of `tubelet.flow.algorithms`. The papers used Farnebäck's.
    camera
        How the camera's motion is estimated, or None to leave it in, as in the dense trajectories of 2011; what is left
        out and how descriptors are normalized stays that of 2013.

    Notes
    -----
    Wang, Kläser, Schmid and Liu, "Dense trajectories and motion boundary descriptors", IJCV 2013, and Wang and Schmid,
    "Action recognition with improved trajectories", ICCV 2013. ``zero_motion`` is not printed in either; it is ours.
    """

    spacing: int = 5
    quality: float = 0.001
    length: int = 15
    scales: int = 8
    scale_step: float = 1 / math.sqrt(2)
    patch: int = 32
    cells: int = 2
    segments: int = 3
    zero_motion: float = 0.4
    least_motion: float = 1.0
    sudden: float = 0.7
    flow: str = "farneback"
    camera: CameraSettings | None = field(default_factory=CameraSettings)

    def __post_init__(self) -> None:
        for name in ("spacing", "length", "scales", "patch", "cells", "segments"):
            if getattr(self, name) < 1:
                raise UsageError(f"trajectories cannot have {name} = {getattr(self, name)}", remedy="give at least 1")
        for name in ("quality", "zero_motion", "least_motion"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UsageError(f"trajectories cannot have {name} = {getattr(self, name)}", remedy="give 0 or more")
        if not 0 < self.scale_step < 1 or not 0 < self.sudden <= 1:
            raise UsageError(
                f"trajectories cannot have scale_step = {self.scale_step} and sudden = {self.sudden}",
                remedy="give shares between 0 and 1",
            )
        if self.patch % self.cells or self.length % self.segments:
            raise UsageError(
                f"{self.patch} pixels do not divide by {self.cells} cells, or {self.length} steps by {self.segments}",
                remedy="choose sizes that divide evenly, such as 32 by 2 and 15 by 3",
            )
        find_algorithm(self.flow)

    def dims(self) -> dict[str, int]:
        """Numbers of each channel: with the defaults 30, 96, 108, 96 and 96."""
        boxes = self.cells * self.cells * self.segments
        return {"shape": 2 * self.length, "hog": 8 * boxes, "hof": 9 * boxes, "mbhx": 8 * boxes, "mbhy": 8 * boxes}

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with the flow algorithm's own parameters."""
        return {**asdict(self), "flow_settings": find_algorithm(self.flow).settings()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> IdtSettings:
        """The inverse of `to_dict`; what else a record holds is not looked at.

        Raises
        ------
        KeyError, TypeError, UsageError
            A parameter is missing, or is none.
        """
        own = {item.name: values[item.name] for item in fields(cls)}
        camera = own["camera"]
        return cls(**{**own, "camera": None if camera is None else CameraSettings(**camera)})


def trajectories_words(values: Mapping[str, Any]) -> str:
    """What trajectories of a record's settings are, for people, with what is not the papers'.

    ``improved dense trajectories``, or ``dense trajectories (the camera's motion left in, at most 3 of each video)``.
    """
    settings, papers = IdtSettings.from_dict(values), IdtSettings()
    said = [] if settings.camera is not None else ["the camera's motion left in"]
    if settings.camera not in (None, papers.camera):
        said.append("other settings of the camera")
    said += [
        f"{item.name} {getattr(settings, item.name)} in place of {getattr(papers, item.name)}"
        for item in fields(settings)
        if item.name != "camera" and getattr(settings, item.name) != getattr(papers, item.name)
    ]
    if values.get("most_trajectories") is not None:
        said.append(f"at most {values['most_trajectories']:,} of each video")
    improved = "" if settings.camera is None else "improved "
    return f"{improved}dense trajectories" + (f" ({', '.join(said)})" if said else "")
