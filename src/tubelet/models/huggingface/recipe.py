"""What a processor's JSON says about pixels, as a `Recipe`: nothing of transformers' or torchvision's is run.

Processors resize, crop the center, rescale and normalize, in this order: ``(pixel · rescale_factor - mean) / std``.
Here the same is ``(pixel - mean / rescale_factor) · (rescale_factor / std)``. Two things differ and are said once by
`RESIZE_NOTE`: resampling (theirs averages what a reduction skips, and may be bicubic), and the rounding of half a pixel
where the longer side or the crop's corner falls between two.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tubelet.clips.recipe import Recipe
from tubelet.errors import InputDataError, UsageError
from tubelet.models.huggingface.files import read_json

RESIZE_NOTE = (
    "frames are resized bilinearly without antialiasing, as for every network here; the Hugging Face processor "
    "antialiases, so features differ a little from its own"
)

_VIDEO_FILE, _FILE, _NESTED_FILE = "video_preprocessor_config.json", "preprocessor_config.json", "processor_config.json"

# Processors whose classes were read; whether a size of one number is the shorter side or both.
_SHORTER_SIDE = {
    "Bit": True,
    "Beit": False,
    "CLIP": True,
    "ConvNext": True,
    "DINOv3ViT": False,
    "DeiT": False,
    "MobileNetV1": True,
    "MobileNetV2": True,
    "Siglip": False,
    "VJEPA2": True,
    "VideoMAE": True,
    "ViT": False,
}
# The processor that transformers takes where a file names none: by the network's model_type (AutoImageProcessor).
_OF_NETWORK = {
    "aimv2": "CLIP",
    "aimv2_vision_model": "CLIP",
    "beit": "Beit",
    "bit": "Bit",
    "clip": "CLIP",
    "convnext": "ConvNext",
    "convnextv2": "ConvNext",
    "cvt": "ConvNext",
    "data2vec-vision": "Beit",
    "deit": "DeiT",
    "dinat": "ViT",
    "dinov2": "Bit",
    "dinov3_vit": "DINOv3ViT",
    "focalnet": "Bit",
    "hiera": "Bit",
    "ijepa": "ViT",
    "mobilenet_v1": "MobileNetV1",
    "mobilenet_v2": "MobileNetV2",
    "pixio": "Bit",
    "regnet": "ConvNext",
    "resnet": "ConvNext",
    "siglip": "Siglip",
    "swiftformer": "ViT",
    "swin": "ViT",
    "swinv2": "ViT",
    "videomae": "VideoMAE",
    "vit": "ViT",
    "vit_msn": "ViT",
}
_SUFFIX = re.compile(r"(FeatureExtractor|(Image|Video)Processor(Fast|Pil)?)$")

# They name things, choose a library's way, or belong to sampling: pixels do not depend on them.
_HARMLESS = frozenset(
    (
        "image_processor_type",
        "feature_extractor_type",
        "video_processor_type",
        "processor_class",
        "do_convert_rgb",
        "data_format",
        "input_data_format",
        "device",
        "return_tensors",
        "disable_grouping",
        "resample",
        "_valid_processor_keys",
        "default_to_square",
        "do_sample_frames",
        "num_frames",
        "fps",
        "video_metadata",
        "return_metadata",
        "model_input_names",
        "auto_map",
        "transformers_version",
        "do_reduce_labels",
        "reduce_labels",
        "return_row_col_info",
        "cache_dir",
        "num_channels",
    )
)
_READ = frozenset(
    (
        "do_resize",
        "size",
        "crop_pct",
        "do_center_crop",
        "crop_size",
        "do_rescale",
        "rescale_factor",
        "do_normalize",
        "image_mean",
        "image_std",
        "do_flip_channel_order",
    )
)


def folder_recipe(folder: Path, name: str, *, video: bool, model_type: str | None = None) -> Recipe:
    """The recipe of a Hugging Face folder.

    Parameters
    ----------
    folder
        With ``preprocessor_config.json``, for video ``video_preprocessor_config.json`` before it, or
        ``processor_config.json`` that holds either.
    name
        What the recipe is called.
    video
        Whether the network takes videos.
    model_type
        The network's, by which transformers chooses the processor where the file names none.

    Raises
    ------
    InputDataError
        The files are missing, or say something that a recipe has no place for: the field is named.
    """
    path, values = _processor(folder, video)
    try:
        return _recipe(values, name, _OF_NETWORK.get(model_type or ""))
    except UsageError as error:
        raise InputDataError(
            "the processor's pixels cannot be made here",
            path=path,
            why=str(error),
            remedy="use a model whose processor resizes, crops the center and normalizes, or correct the file",
        ) from error


def _processor(folder: Path, video: bool) -> tuple[Path, dict[str, Any]]:
    for file in (_VIDEO_FILE, _FILE) if video else (_FILE,):
        if (folder / file).is_file():
            return folder / file, read_json(folder / file)
    if (folder / _NESTED_FILE).is_file():
        nested = read_json(folder / _NESTED_FILE)
        for key in ("video_processor", "image_processor") if video else ("image_processor",):
            if isinstance(nested.get(key), dict):
                return folder / _NESTED_FILE, nested[key]
    raise InputDataError(
        f"the folder does not say how pixels are prepared: it has no {_FILE}",
        path=folder,
        remedy="copy that file from where the weights come from, or save the processor into the folder",
    )


def _recipe(values: Mapping[str, Any], name: str, usual: str | None) -> Recipe:
    values = {key: value for key, value in values.items() if value is not None}  # null is "as the class has it"
    kind = _kind(values) or usual
    for key, value in values.items():
        if key not in _HARMLESS | _READ and value is not False:
            raise UsageError(f"{key} = {value!r} has no place in a recipe")
    if not values.get("do_resize", True):
        raise UsageError("do_resize is off, and videos have frames of any size")
    size: int | tuple[int, int] = _size(values, kind)
    crop = _crop(values)
    if kind == "VJEPA2":  # the class computes it, whatever the file says
        if crop is None:
            raise UsageError("do_center_crop is off, and the frames of one video would differ in size from another's")
        size = int(crop[0] * 256 / 224)
    elif kind == "ConvNext":
        if not isinstance(size, int) or crop is not None:
            raise UsageError(f"size = {values.get('size')!r} is not the shortest_edge that {kind}'s processor needs")
        share = values.get("crop_pct") or 224 / 256
        size, crop = (
            ((size, size), (size, size)) if size >= 384 else (int(size / _number("crop_pct", share)), (size, size))
        )
    elif values.get("crop_pct") is not None:
        raise UsageError(f"crop_pct = {values['crop_pct']!r} is known of ConvNext's processor only")
    if crop is None:
        if isinstance(size, int):
            raise UsageError("size keeps the aspect ratio and do_center_crop is off, so frames would have any size")
        crop = size
    mean, scale = _levels(values)
    return Recipe(
        name,
        size if isinstance(size, tuple) else None,
        crop,
        "bgr" if values.get("do_flip_channel_order") else "rgb",
        mean,
        scale=scale,
        resize_short=size if isinstance(size, int) else None,
    )


def _kind(values: Mapping[str, Any]) -> str | None:
    named = (values.get(f"{key}_type") for key in ("video_processor", "image_processor", "feature_extractor"))
    given = next((str(one) for one in named if one), None)
    if given is None:
        return None
    kind = _SUFFIX.sub("", given)
    if kind not in _SHORTER_SIDE:
        raise UsageError(f"the processor is {given}, and known are those of {', '.join(_SHORTER_SIDE)}")
    return kind


def _size(values: Mapping[str, Any], kind: str | None) -> int | tuple[int, int]:
    given = values.get("size")
    if isinstance(given, int) and not isinstance(given, bool):
        if kind is None:
            raise UsageError(f"size = {given} is the shorter side or both, and the file names no processor")
        return given if _SHORTER_SIDE[kind] else (given, given)
    if isinstance(given, Mapping):
        sides = {key: value for key, value in given.items() if value is not None}
        if set(sides) == {"height", "width"}:
            return _whole("size", sides["height"]), _whole("size", sides["width"])
        if set(sides) == {"shortest_edge"}:
            return _whole("size", sides["shortest_edge"])
    if given is None and kind == "VJEPA2":
        return 0  # replaced by what the class computes
    raise UsageError(f"size = {given!r} is neither height and width nor shortest_edge")


def _crop(values: Mapping[str, Any]) -> tuple[int, int] | None:
    given = values.get("crop_size")
    if "do_center_crop" not in values and given is not None:
        raise UsageError(f"crop_size = {given!r}, and do_center_crop is not given")
    if not values.get("do_center_crop"):
        return None
    if isinstance(given, Mapping) and {"height", "width"} <= set(given):
        return _whole("crop_size", given["height"]), _whole("crop_size", given["width"])
    side = _whole("crop_size", given)
    return side, side


def _levels(
    values: Mapping[str, Any],
) -> tuple[tuple[float, float, float] | None, float | tuple[float, float, float]]:
    """Mean in gray levels and factor behind it."""
    factor = _number("rescale_factor", values.get("rescale_factor", 1 / 255)) if values.get("do_rescale", True) else 1.0
    if not values.get("do_normalize", "image_mean" in values):
        return None, factor
    mean, std = _three("image_mean", values.get("image_mean")), _three("image_std", values.get("image_std"))
    if values.get("do_flip_channel_order"):
        raise UsageError("do_flip_channel_order and do_normalize together leave open which channel is whose")
    if min(std) <= 0:
        raise UsageError(f"image_std = {values.get('image_std')!r} is not positive")
    return (mean[0] / factor, mean[1] / factor, mean[2] / factor), (factor / std[0], factor / std[1], factor / std[2])


def _three(key: str, given: Any) -> tuple[float, float, float]:
    numbers = [given] * 3 if isinstance(given, int | float) else given
    if not isinstance(numbers, list) or len(numbers) != 3:
        raise UsageError(f"{key} = {given!r} is not one number per color")
    red, green, blue = (_number(key, number) for number in numbers)
    return red, green, blue


def _number(key: str, given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given):
        raise UsageError(f"{key} = {given!r} is no number")
    return float(given)


def _whole(key: str, given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        raise UsageError(f"{key} = {given!r} is no number of pixels")
    return given
