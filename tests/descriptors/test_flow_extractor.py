"""Descriptors of networks that read motion: the network itself on inputs that are made by hand."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tubelet.clips.recipe import Recipe
from tubelet.descriptors.extractor import Extractor
from tubelet.descriptors.runner import extract, plan_run
from tubelet.descriptors.store import DescriptorTable
from tubelet.errors import InputDataError, UsageError
from tubelet.flow.record import FlowSettings
from tubelet.flow.store import open_flow
from tubelet.models.registry import create_model

sys.path.insert(0, str(Path(__file__).parents[1] / "flow"))
from made_flow import stored, texture, video

HW, SIDE = (48, 64), 48
FRAMES = 14


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("described")
    stored(video(folder / "clip.mp4", FRAMES, step=3), folder / "flow" / "clip", FlowSettings())
    return folder


@pytest.mark.filterwarnings("ignore:.*untrained")
@pytest.mark.parametrize("average_flip", [False, True])
def test_stacks_of_flow(root: Path, average_flip: bool) -> None:
    model = create_model("two_stream_temporal", 3, seed=0, flow_fields=3, width=0.0625, side=SIDE)
    recipe = Recipe("f", HW, (SIDE, SIDE), "flow", flow_mean="field", average_flip=average_flip)
    with Extractor(model, ("conv5",), stride_frames=4, recipe=recipe, flow=root / "flow", device="cpu") as extractor:
        found = extractor.describe(root / "clip.mp4")
        assert extractor.flow_kind is not None
        assert (extractor.flow_kind.algorithm, extractor.flow_notes) == ("dis_medium", ())
    # 13 fields: stacks of 3 begin at 0, 4 and 8, and show 4 frames of 40 ms each.
    assert found.start_frame.tolist() == [0, 4, 8]
    assert found.end_frame.tolist() == [4, 8, 12]
    np.testing.assert_allclose(found.end_s, [0.16, 0.32, 0.48])
    with open_flow(root / "flow" / "clip") as flow:
        vectors = flow.levels(range(FRAMES - 1)).astype(np.float64) / 255 * 40 - 20
    expected = []
    for start in (0, 4, 8):
        fields = vectors[start : start + 3]
        fields = fields - fields.mean(axis=(1, 2), keepdims=True)
        mirrored = fields[:, :, ::-1] * (-1, 1)
        clips = [fields, mirrored] if average_flip else [fields]
        inputs = np.stack([clip[:, :, 8:56].transpose(0, 3, 1, 2).reshape(6, 1, SIDE, SIDE) for clip in clips])
        with torch.inference_mode():
            maps = model.eval().features(torch.from_numpy(inputs).float(), ("conv5",))["conv5"]
        expected.append(maps.mean(dim=(0, 2, 3, 4)).numpy())
    np.testing.assert_allclose(found.vectors["conv5"], np.stack(expected), rtol=1e-4, atol=1e-6)


@pytest.mark.filterwarnings("ignore:.*untrained")
def test_differences_of_frames(root: Path) -> None:
    model = create_model("tsn_bn_inception", 3, seed=0, modality="rgb_difference", width=0.0625, side=32)
    recipe = Recipe("d", HW, (32, 32), "bgr")
    with Extractor(model, ("fc_action",), stride_frames=8, recipe=recipe, device="cpu") as extractor:
        found = extractor.describe(root / "clip.mp4")
    assert (found.start_frame.tolist(), found.end_frame.tolist()) == ([0, 8], [6, 14])
    frames = texture(FRAMES, step=3)[:, 8:40, 16:48, ::-1].astype(np.float64)
    expected = []
    for start in (0, 8):
        differences = np.diff(frames[start : start + 6], axis=0)  # (5, 32, 32, 3)
        clip = differences.transpose(0, 3, 1, 2).reshape(1, 15, 1, 32, 32)
        with torch.inference_mode():
            expected.append(model.eval()(torch.from_numpy(clip).float())[0].numpy())
    np.testing.assert_allclose(found.vectors["fc_action"], np.stack(expected), rtol=1e-3, atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*untrained")
def test_flow_of_another_kind_than_was_learned_from(root: Path) -> None:
    model = create_model("two_stream_temporal", 3, seed=0, flow_fields=2, width=0.0625, side=SIDE)
    model.provenance = {"flow": {"algorithm": "tvl1", "bound": 20.0, "step": 1, "warped": False, "resize_hw": None}}
    recipe = Recipe("f", HW, (SIDE, SIDE), "flow", flow_mean="field")
    refused = pytest.raises(UsageError, match=r"algorithm dis_medium instead of tvl1.*--algorithm tvl1")
    with Extractor(model, ("fc8",), recipe=recipe, flow=root / "flow", device="cpu") as extractor, refused:
        extractor.describe(root / "clip.mp4")
    with Extractor(model, ("fc8",), recipe=recipe, flow=root / "flow", any_flow=True, device="cpu") as extractor:
        assert len(extractor.describe(root / "clip.mp4").start_frame) == 2
        assert "instead of tvl1" in extractor.flow_notes[0]


@pytest.mark.filterwarnings("ignore:.*untrained")
def test_rows_are_stale_when_the_stored_flow_changed(tmp_path: Path) -> None:
    """An untrained network remembers no kind of flow, so only the flow itself tells."""
    clips = [video(tmp_path / "clips" / f"{name}.mp4", 8, seed=seed) for seed, name in enumerate("ab")]
    for clip in clips:
        stored(clip, tmp_path / "flow" / clip.stem, FlowSettings())
    model = create_model("two_stream_temporal", 3, seed=0, flow_fields=3, width=0.0625, side=SIDE)
    recipe = Recipe("f", HW, (SIDE, SIDE), "flow", flow_mean="field")
    out = tmp_path / "table"
    with Extractor(model, ("conv5",), recipe=recipe, flow=tmp_path / "flow", device="cpu") as extractor:
        assert extract(clips, extractor, out).reasons == {"new": 2}
        before = DescriptorTable(out).videos("conv5")
        for path in (tmp_path / "flow").rglob("*.jpg"):
            os.utime(path, ns=(5, 5))  # touched: the content decides
        assert extract(clips, extractor, out).skipped == 2
        shutil.rmtree(tmp_path / "flow" / "b")
        for path in (tmp_path / "flow" / "b", tmp_path / "other" / "a", tmp_path / "other" / "b"):
            stored(clips[path.name == "b"], path, FlowSettings(bound=5.0))
        with pytest.raises(UsageError, match="the stored flow is of 2 kinds: bound"):
            plan_run(clips, extractor, out)
    with Extractor(model, ("conv5",), recipe=recipe, flow=tmp_path / "other", device="cpu") as extractor:
        assert plan_run(clips, extractor, out).reasons == {"a.mp4": "flow", "b.mp4": "flow"}
        assert extract(clips, extractor, out).reasons == {"flow": 2}
        assert extract(clips, extractor, out).skipped == 2
        after = DescriptorTable(out).videos("conv5")
        assert not np.array_equal(before.vectors, after.vectors), "finer levels are other numbers"
        shutil.rmtree(tmp_path / "other" / "a")
        with pytest.raises(InputDataError, match=r"flow of 1 of 2 videos cannot be used.*run: tubelet flow"):
            extract(clips, extractor, out)


def test_a_recipe_of_colors_is_refused(root: Path) -> None:
    model = create_model("two_stream_temporal", 3, seed=0, flow_fields=2, width=0.0625, side=SIDE)
    with pytest.raises(UsageError, match="of colors"):
        Extractor(model, ("fc8",), recipe=Recipe("c", HW, (SIDE, SIDE)), flow=root / "flow")
