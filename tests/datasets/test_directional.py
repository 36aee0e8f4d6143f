"""Class names that a mirror swaps."""

from __future__ import annotations

import pytest

from tubelet.datasets.directional import mirrored_pairs
from tubelet.datasets.weizmann import ACTIONS


@pytest.mark.parametrize(
    ("classes", "pairs"),
    [
        (("left", "right"), (("left", "right"),)),
        (("TurnLeft", "TurnRight", "Stop"), (("TurnLeft", "TurnRight"),)),
        (("move_left_fast", "move_right_fast"), (("move_left_fast", "move_right_fast"),)),
        (("clockwise", "counterclockwise"), (("clockwise", "counterclockwise"),)),
        (("clockwise", "counter-clockwise"), (("clockwise", "counter-clockwise"),)),
        (("spin anticlockwise", "spin clockwise"), (("spin anticlockwise", "spin clockwise"),)),
        (
            ("down_left", "down_right", "up_left", "up_right"),
            (("down_left", "down_right"), ("up_left", "up_right")),
        ),
        (("left", "stop"), ()),
        (("turn left", "go right"), ()),
        (("up", "down", "grow", "shrink"), ()),
        (("leftovers", "rightovers"), ()),
        ((), ()),
        (ACTIONS, ()),
    ],
)
def test_pairs(classes: tuple[str, ...], pairs: tuple[tuple[str, str], ...]) -> None:
    assert mirrored_pairs(classes) == pairs
