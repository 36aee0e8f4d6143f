"""What a network's input decides by itself."""

from __future__ import annotations

import pytest

from tubelet.models.registry import build_meta
from tubelet.models.spec import usual_stride


@pytest.mark.parametrize(
    ("name", "options", "stride"),
    [
        ("c3d_small", {}, 8),
        ("squeezenet", {}, 1),
        ("alexnet", {}, 1),
        ("squeezenet", {"clip_length": 16}, 8),
        ("two_stream_temporal", {}, 8),  # a stack of ten fields is one "frame" long
        ("tsn_squeezenet", {}, 8),
    ],
)
def test_networks_of_single_frames_see_every_frame(name: str, options: dict[str, int], stride: int) -> None:
    """C3D paper, section 3.3: clips overlap by 8 frames; section 4: frame features averaged over the video."""
    assert usual_stride(build_meta(name, 5, options).input) == stride


def test_longer_clips_of_such_networks_start_every_eight() -> None:
    assert usual_stride(build_meta("squeezenet", 5, {}).input, 16) == 8
    assert usual_stride(build_meta("c3d_small", 5, {}).input, 1) == 1
