"""Decoded videos for tests of training, and networks whose gradients need no proof here."""

from __future__ import annotations

import numpy as np
import pytest

from tubelet.clips.decode import ClipDecoder
from tubelet.clips.recipes import get_recipe
from tubelet.datasets.catalog import open_dataset
from tubelet.datasets.loader import DecodedVideos, decode_videos
from tubelet.models.precision import PrecisionReport
from tubelet.video.encode import encode


@pytest.fixture
def gradients_taken_for_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the proof of each network's gradients: it takes seconds and has tests of its own."""
    monkeypatch.setattr(
        "tubelet.training.precision.check_gradients",
        lambda model, dtype, memory_format: PrecisionReport(dtype, memory_format, 1, ()),
    )


@pytest.fixture(scope="session")
def two_sets(tmp_path_factory: pytest.TempPathFactory) -> tuple[DecodedVideos, DecodedVideos]:
    """Two data sets of 24x24 pixels: five videos of two classes, and seven of three; one color each, and noise."""
    root = tmp_path_factory.mktemp("two_sets")
    rng = np.random.default_rng(0)
    found = []
    with ClipDecoder(workers=1) as decoder:
        for name, counts in (("first", (3, 2)), ("second", (3, 2, 2))):
            for label, count in enumerate(counts):
                for number in range(count):
                    color = rng.integers(20, 200, 3) // (label + 1)
                    frames = (rng.integers(0, 30, (18, 24, 24, 3)) + color).astype(np.uint8)
                    encode(root / name / f"class{label}" / f"{number}.avi", frames, fps=25, codec="mjpeg")
            recipe = get_recipe("c3d_small").with_side(24)
            found.append(decode_videos(open_dataset("folder", root / name), recipe, decoder))
    return found[0], found[1]


@pytest.fixture(scope="session")
def two_sets_63(two_sets: tuple[DecodedVideos, DecodedVideos]) -> tuple[DecodedVideos, DecodedVideos]:
    """The same videos at 63x63 pixels, of which the Two-Stream networks leave one after the last pooling."""
    recipe = get_recipe("c3d_small").with_side(63)
    with ClipDecoder(workers=1) as decoder:
        first, second = (decode_videos(one.manifest, recipe, decoder) for one in two_sets)
    return first, second
