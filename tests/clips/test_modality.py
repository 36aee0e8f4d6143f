"""What a snippet is made of, against the papers' own figures."""

from __future__ import annotations

import pytest

from tubelet.clips.modality import RGB, Modality
from tubelet.clips.recipes import get_recipe
from tubelet.errors import UsageError


@pytest.mark.parametrize(
    ("modality", "clip_length", "source"),
    [
        (RGB, 16, 16),
        (Modality("rgb_difference", 15), 1, 6),  # TSN: 5 differences of 6 frames
        (Modality("flow", 10), 1, 5),  # TSN
        (Modality("flow", 20), 1, 10),  # Two-Stream, L = 10
        (Modality("flow", 20, "bidirectional"), 1, 10),
        (Modality("flow", 2), 16, 16),  # P3D
        (Modality("warped_flow", 10), 3, 15),
    ],
)
def test_frames_or_fields_of_a_snippet(modality: Modality, clip_length: int, source: int) -> None:
    assert modality.source_length(clip_length) == source


def test_what_does_not_fit_is_refused() -> None:
    for wrong, words in (
        (("sound", 2), "modality"),
        (("flow", 3), "in pairs"),
        (("rgb", 6), "a frame has 3"),
        (("rgb_difference", 10), "in threes"),
        (("flow", 10, "bidirectional"), "in fours"),
        (("flow", 10, "both"), "stacking"),
        (("rgb", 3, "trajectory"), "no trajectory stacks"),
    ):
        with pytest.raises(UsageError, match=words):
            Modality(*wrong)  # type: ignore[arg-type]


def test_recipes_fit_their_modality() -> None:
    Modality("flow", 20, "trajectory").check(get_recipe("two_stream_flow"))
    Modality("rgb_difference", 15).check(get_recipe("tsn_rgb_difference"))
    with pytest.raises(UsageError, match="of colors"):
        Modality("flow", 10).check(get_recipe("tsn_rgb"))
    with pytest.raises(UsageError, match="of flow"):
        RGB.check(get_recipe("flow_224"))
    with pytest.raises(UsageError, match="two_stream_flow"):
        Modality("flow", 20, "trajectory").check(get_recipe("flow_224"))
