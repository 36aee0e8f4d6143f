"""The rows of the motion and appearance study, and what the making of the videos says of each before it is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Expected:
    """What a row should reach for one label.

    Attributes
    ----------
    words
        As a reader is told, in short.
    low, high
        Shares of the test videos, with room for the chance of 300 of them (three standard errors of guessing: 0.052 of
        ten motions, 0.07 of five colors).
    """

    words: str
    low: float
    high: float

    def met(self, share: float) -> bool:
        """Whether a figure lies there."""
        return self.low <= share <= self.high


@dataclass(frozen=True)
class StoryRow:
    """One line of the table.

    Attributes
    ----------
    key
        Name in ``story.json`` and of the folder of its scores.
    title, note
        What it is, and what it sees.
    tables
        Descriptors that stand side by side.
    color, motion, both
        What is expected.
    group
        Rows of one group stand together: a network alone, several side by side, or other test videos.
    """

    key: str
    title: str
    note: str
    tables: tuple[str, ...]
    color: Expected
    motion: Expected
    both: Expected
    group: str = "alone"

    @property
    def expected(self) -> Mapping[str, Expected]:
        """By factor."""
        return {"color": self.color, "motion": self.motion, "both": self.both}


_ALL = Expected("all", 0.9, 1.0)
_COLOR_GUESSED = Expected("20 %, guessed", 0.13, 0.27)
_MOTION_GUESSED = Expected("10 %, guessed", 0.045, 0.155)
_ONLY_COLOR = Expected("10 %, half guessed", 0.0, 0.155)
_ONLY_MOTION = Expected("20 %, half guessed", 0.0, 0.27)
# A bag of frames may show that something goes sideways or turns, but a motion and its reverse have equal bags.
_NO_DIRECTION = Expected("at most 50 %", 0.0, 0.56)
_REVERSE = Expected("none, reversed", 0.0, 0.1)

ROWS = (
    StoryRow("c3d", "C3D", "16 frames", ("c3d",), _ALL, _ALL, _ALL),
    StoryRow("still", "C3D, one frame", "16 times the same", ("c3d still",), _ALL, _MOTION_GUESSED, _ONLY_COLOR),
    StoryRow("frame", "Frame by frame", "mean of 3 frames", ("frame",), _ALL, _NO_DIRECTION, _NO_DIRECTION),
    StoryRow("images", "ImageNet features", "mean of 3 frames", ("images",), _ALL, _NO_DIRECTION, _NO_DIRECTION),
    StoryRow("flow", "Optical flow", "16 fields of DIS", ("flow",), _COLOR_GUESSED, _ALL, _ONLY_MOTION),
    StoryRow("frame+flow", "Frames + flow", "Two-Stream's idea", ("frame", "flow"), _ALL, _ALL, _ALL, "together"),
    StoryRow("c3d+frame", "C3D + frames", "appearance added", ("c3d", "frame"), _ALL, _ALL, _ALL, "together"),
    StoryRow("c3d+flow", "C3D + flow", "motion added", ("c3d", "flow"), _ALL, _ALL, _ALL, "together"),
    StoryRow(
        "shuffled", "C3D, shuffled", "other order of frames", ("c3d shuffled",), _ALL, _NO_DIRECTION, _NO_DIRECTION,
        "tests",
    ),
    StoryRow(
        "backward", "C3D, backward", "last frame first", ("c3d backward",), _ALL, _REVERSE, _REVERSE, "tests"
    ),
)  # fmt: skip
