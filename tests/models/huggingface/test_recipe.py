"""Processors' JSON as recipes, against transformers' own PIL processors and arithmetic by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.huggingface.made import MEAN, PROCESSOR, STD, write_processor
from tubelet.clips.transforms import to_input
from tubelet.errors import InputDataError
from tubelet.models.huggingface.recipe import _OF_NETWORK, folder_recipe


def recipe(folder: Path, *, video: bool = False, **changed: Any) -> Any:
    write_processor(folder, video=video, **changed)
    return folder_recipe(folder, "test", video=video)


def frames(height: int, width: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(1).integers(0, 256, (2, height, width, 3), np.uint8)


def test_levels_are_those_of_the_formula(tmp_path: Path) -> None:
    made = recipe(tmp_path)
    assert (made.resize_short, made.resize_hw, made.crop_hw, made.color) == (40, None, (32, 32), "rgb")
    pixels = frames(40, 60)
    found = to_input(pixels, made)
    crop = pixels[:, 4:36, 14:46].astype(np.float64)
    right = ((crop / 255 - np.array(MEAN)) / np.array(STD)).transpose(3, 0, 1, 2)
    np.testing.assert_allclose(found.numpy(), right, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "values", "shape"),
    [
        ("ViT", {"size": {"height": 32, "width": 32}}, (32, 32)),
        ("CLIP", {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}, (32, 48)),
        ("Siglip", {"size": {"height": 32, "width": 32}, "rescale_factor": 1 / 127.5}, (32, 32)),
        ("ConvNext", {"size": {"shortest_edge": 28}, "crop_pct": 0.875}, (32, 40)),
        ("DeiT", {"size": {"height": 36, "width": 36}, "crop_size": {"height": 32, "width": 32}}, (36, 36)),
    ],
)
def test_pixels_are_those_of_transformers_own_processors(
    transformers: Any, tmp_path: Path, kind: str, values: dict[str, Any], shape: tuple[int, int]
) -> None:
    """On frames that have the size already, so that resampling changes nothing."""
    processor = getattr(transformers, f"{kind}ImageProcessorPil")(**values)
    saved = processor.to_dict()
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(saved, default=str))
    made = folder_recipe(tmp_path, "test", video=False)
    pixels = frames(*shape)
    right = np.stack([processor(frame, return_tensors="np")["pixel_values"][0] for frame in pixels], 1)
    np.testing.assert_allclose(to_input(pixels, made).numpy(), right, atol=2e-6)


def test_a_file_without_a_name_is_read_as_the_networks_own_processor(transformers: Any, tmp_path: Path) -> None:
    """The form of old folders of google/vit: one size, and no class of a processor."""
    values = {"do_normalize": True, "do_resize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": 32}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(values))
    made = folder_recipe(tmp_path, "test", video=False, model_type="vit")
    pixels, processor = frames(32, 32), transformers.ViTImageProcessorPil(**values)
    right = np.stack([processor(frame, return_tensors="np")["pixel_values"][0] for frame in pixels], 1)
    np.testing.assert_allclose(to_input(pixels, made).numpy(), right, atol=2e-6)
    assert (made.size, made.crop_hw) == ((32, 32), (32, 32))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({**values, "do_center_crop": True, "crop_size": 24}))
    assert folder_recipe(tmp_path, "test", video=False, model_type="clip").size == 32, "the shorter side, as of CLIP"
    for unknown in (None, "mine"):
        with pytest.raises(InputDataError, match="size = 32 is the shorter side or both"):
            folder_recipe(tmp_path, "test", video=False, model_type=unknown)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({**values, "image_processor_type": "Mine"}))
    with pytest.raises(InputDataError, match="the processor is Mine, and known are"):
        folder_recipe(tmp_path, "test", video=False, model_type="vit")


def test_networks_have_the_processors_that_transformers_chooses(transformers: Any) -> None:
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES as CHOSEN

    assert len(_OF_NETWORK) > 20
    for model_type, kind in _OF_NETWORK.items():
        assert {name.removesuffix("Pil") for name in CHOSEN[model_type].values() if name} == {f"{kind}ImageProcessor"}


@pytest.mark.parametrize(
    ("changed", "size", "crop"),
    [
        ({"size": 224, "crop_size": None, "do_center_crop": None, "feature_extractor_type": "ViTFeatureExtractor"},
         (224, 224), (224, 224)),
        ({"size": 224, "crop_size": 224, "feature_extractor_type": "CLIPFeatureExtractor"}, 224, (224, 224)),
        ({"size": {"shortest_edge": 224}, "crop_pct": 0.875, "crop_size": None, "do_center_crop": None,
          "image_processor_type": "ConvNextImageProcessor"}, 256, (224, 224)),
        ({"size": {"shortest_edge": 384}, "crop_pct": 1.0, "crop_size": None, "do_center_crop": None,
          "image_processor_type": "ConvNextFeatureExtractor"}, (384, 384), (384, 384)),
    ],
)  # fmt: skip
def test_older_and_stranger_files(tmp_path: Path, changed: dict[str, Any], size: Any, crop: tuple[int, int]) -> None:
    made = recipe(tmp_path, **changed)
    assert (made.size, made.crop_hw) == (size, crop)


def test_v_jepa_2_computes_its_size_from_its_crop(tmp_path: Path) -> None:
    changed = {"video_processor_type": "VJEPA2VideoProcessor", "crop_size": {"height": 256, "width": 256}}
    for size in ({"shortest_edge": 292}, None, {"shortest_edge": 256}):
        made = recipe(tmp_path, video=True, size=size, **changed)
        assert (made.resize_short, made.crop_hw) == (292, (256, 256))


def test_without_normalization_or_rescaling(tmp_path: Path) -> None:
    plain = recipe(tmp_path, do_normalize=False)
    assert (plain.mean, plain.scale) == (None, 1 / 255)
    levels = recipe(tmp_path, do_rescale=False, image_mean=[127.5] * 3, image_std=[127.5] * 3)
    assert levels.mean == (127.5, 127.5, 127.5)
    np.testing.assert_allclose(levels.scale, 1 / 127.5)
    swapped = recipe(tmp_path, do_normalize=False, do_flip_channel_order=True)
    pixels = frames(40, 40)
    assert torch.allclose(to_input(pixels, swapped), to_input(pixels, plain).flip(0))


def test_a_file_of_processors_together(tmp_path: Path) -> None:
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": dict(PROCESSOR)}))
    assert folder_recipe(tmp_path, "test", video=False).crop_hw == (32, 32)
    assert folder_recipe(tmp_path, "test", video=True).crop_hw == (32, 32)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"do_resize": False}, "do_resize is off"),
        ({"do_pad": True}, "do_pad = True has no place"),
        ({"offset": True}, "offset = True has no place"),
        ({"image_processor_type": "LevitImageProcessor"}, "LevitImageProcessor, and known are those of .*ViT"),
        ({"size": 224}, "size = 224 is the shorter side or both"),
        ({"size": {"shortest_edge": 40, "longest_edge": 60}}, "size = .* neither height and width nor shortest_edge"),
        ({"size": {"shortest_edge": 16}}, "crops"),
        ({"do_center_crop": False, "crop_size": None}, "size keeps the aspect ratio and do_center_crop is off"),
        ({"do_center_crop": None}, "crop_size = .*do_center_crop is not given"),
        ({"crop_pct": 0.9}, "crop_pct = 0.9 is known of ConvNext"),
        ({"image_mean": [0.5]}, "image_mean = .* not one number per color"),
        ({"image_std": [0.5, 0.0, 0.5]}, "image_std = .* not positive"),
        ({"rescale_factor": "1/255"}, "rescale_factor = '1/255' is no number"),
        ({"do_flip_channel_order": True}, "do_flip_channel_order and do_normalize"),
        ({"crop_size": "large"}, "crop_size = 'large' is no number of pixels"),
    ],
)
def test_what_a_recipe_has_no_place_for_is_named(tmp_path: Path, changed: dict[str, Any], match: str) -> None:
    with pytest.raises(InputDataError, match=f"pixels cannot be made here.*{match}"):
        recipe(tmp_path, **changed)


def test_no_processor_is_no_guess(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match=r"has no preprocessor_config\.json"):
        folder_recipe(tmp_path, "test", video=True)
    (tmp_path / "preprocessor_config.json").write_text("{")
    with pytest.raises(InputDataError, match="cannot be read as JSON"):
        folder_recipe(tmp_path, "test", video=True)
