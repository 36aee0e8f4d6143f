"""Decoded videos that several trainings share: the part of each, in its own order, without a copy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tubelet.clips.decode import ClipDecoder
from tubelet.clips.modality import Modality
from tubelet.clips.recipes import get_recipe
from tubelet.datasets.loader import DecodedVideos
from tubelet.datasets.manifest import Item, Manifest
from tubelet.protocols import shared_frames
from tubelet.protocols.presets import round_settings
from tubelet.protocols.shared_frames import SharedFrames, part_of
from tubelet.training.config import TrainConfig


def manifest_of(*names: str) -> Manifest:
    return Manifest("m", Path("x"), tuple(Item(name, "a", None, name) for name in names), ("a", "b"))


def decoded_of(manifest: Manifest, decoder: Any = None) -> DecodedVideos:
    """Videos of 2, 3, 4 ... frames whose pixels are their number; the second is not kept, ``bad`` failed."""
    good = manifest.select(keep=lambda item: item.path != "bad")
    lengths = [2 + index for index in range(len(good))]
    kept = {index: np.full((length, 1, 1, 3), index, np.uint8) for index, length in enumerate(lengths) if index != 1}
    return DecodedVideos(
        good, get_recipe("c3d_small"), lengths, [("bad", "it is broken")], [("c", "lost a frame")], decoder,
        [10 * index for index in range(len(good))], kept, Modality("rgb", 3), [None] * len(good),
    )  # fmt: skip


def test_a_part_has_its_own_order_and_the_same_frames() -> None:
    whole = decoded_of(manifest_of("a", "b", "bad", "c", "d"))
    part = part_of(whole, manifest_of("d", "bad", "b", "new"))
    assert [item.path for item in part.manifest.items] == ["d", "b"]
    assert (part.lengths, part.offsets, part.scales) == ([5, 3], [30, 10], [None, None])
    assert part.failed == [("bad", "it is broken")]
    assert part.partial == []
    assert list(part.kept) == [0], "b was not kept"
    assert part.kept[0] is whole.kept[3]
    assert part.manifest.classes == ("a", "b")
    assert part_of(whole, manifest_of("c")).partial == [("c", "lost a frame")]
    assert part_of(whole, manifest_of("bad")).lengths == []


def test_frames_are_decoded_once_for_all_who_see_them_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = manifest_of("a", "b")
    asked: list[tuple[Any, ...]] = []
    running: list[ClipDecoder] = []

    class Decoder(ClipDecoder):
        """Starts nothing; remembers whether it was ended."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__()
            running.append(self)

        def close(self) -> None:
            if self in running:
                running.remove(self)

    def decoded(
        videos: Manifest, recipe: Any, decoder: ClipDecoder, config: TrainConfig, title: str, modality: Modality
    ) -> DecodedVideos:
        asked.append((recipe.name, config.cache_mib, modality.name))
        found = decoded_of(videos, decoder)
        if modality.name == "rgb":
            found.kept[1] = np.zeros((3, 1, 1, 3), np.uint8)  # now all fit in memory
        return found

    monkeypatch.setattr(shared_frames, "ClipDecoder", Decoder)
    monkeypatch.setattr(shared_frames, "FlowDecoder", Decoder)
    monkeypatch.setattr(shared_frames, "decoded", decoded)
    small = {"width": 0.0625}
    plans = [
        round_settings("c3d_small", options=small),
        round_settings("c3d_depth1", recipe="c3d_small", options={**small, "side": 56}),
        round_settings("tsn_bn_inception", options={"modality": "flow"}, flow=["f"]),
        round_settings("tsn_bn_inception", options={"modality": "flow"}, flow=["g"]),
    ]
    with SharedFrames(manifest, plans) as frames:
        assert asked == [], "nothing is decoded before it is asked for"
        first = [frames.of(plan) for plan in plans]
        assert first[0] is first[1]
        assert [frames.of(plan) for plan in plans] == first
        assert running == [one.decoder for one in first[2:]], "of what lies in memory no decoder stays"
    assert running == []
    # Three sources (two folders of flow, and frames) share the 2048 MiB of TrainConfig.
    assert asked == [("c3d_small", 682, "rgb"), ("flow_224", 682, "flow"), ("flow_224", 682, "flow")]
