"""From a folder that transformers saved to a network of this package, everything accounted for before it is used."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch

from tubelet.errors import InputDataError, UsageError
from tubelet.models.huggingface.files import CONFIG, PREFIX, card_provenance, read_json, weight_files, weights_sha256
from tubelet.models.huggingface.layout import check_length, classifier_name
from tubelet.models.huggingface.library import transformers
from tubelet.models.huggingface.network import HuggingFaceNetwork, ImageNetwork, Loaded, VideoNetwork
from tubelet.models.huggingface.papers import paper_of
from tubelet.models.huggingface.recipe import RESIZE_NOTE, folder_recipe
from tubelet.models.options import positive_int, suggestion
from tubelet.models.spec import Source
from tubelet.reporting.text import first_few

_log = logging.getLogger(__name__)

# Video frames from one of a clip to the next, which no folder says, and who does.
_STEPS = {
    "videomae": (4, "MCG-NJU/VideoMAE's scripts for Kinetics (sampling_rate 4; on Something-Something theirs is 2)"),
    "vjepa2": (1, "the example on transformers' page of V-JEPA 2"),
}
_CLIP = "CLIPVisionModelWithProjection"
# What of a model for pictures and words sees the pictures.
_VISION = {
    "clip": _CLIP,
    "clip_vision_model": _CLIP,
    "siglip": "SiglipVisionModel",
    "siglip_vision_model": "SiglipVisionModel",
}
_REFUSED = {
    "vit_mae": "its encoder leaves out patches at random, so no two passes give the same",
    "timesformer": "of video networks VideoMAE and V-JEPA 2 are adapted",
    "vivit": "of video networks VideoMAE and V-JEPA 2 are adapted",
    "xclip": "of video networks VideoMAE and V-JEPA 2 are adapted",
}
_CLASSIFIERS = ("ForVideoClassification", "ForImageClassification")
_POOLER = "pooler."


def load_huggingface(folder: Path, **options: Any) -> HuggingFaceNetwork:
    """The network of a Hugging Face folder.

    Parameters
    ----------
    folder
        ``config.json``, safetensors and the processor's JSON; nothing else in it is read, and no code in it run.
    **options
        ``clip_length`` and ``step_frames``, see `VideoNetwork` and `ImageNetwork`.

    Returns
    -------
    HuggingFaceNetwork
        In evaluation mode, float32, with its recipe, its ``weights_id`` the hash of its file, and ``provenance`` that
        says what is known: not what it was trained on, unless its card names data sets.

    Raises
    ------
    InputDataError
        A file is missing or damaged, weights are missing or left out, or the network is none that is adapted.
    MissingExtraError
        transformers is not installed.
    UsageError
        For an option that there is not, or a clip length that it does not take.
    """
    for option in options:
        if option not in ("clip_length", "step_frames"):
            known = suggestion(option, ("clip_length", "step_frames"), "there are")
            raise UsageError(f"a network of Hugging Face has no option {option!r}", remedy=known)
    values = read_json(folder / CONFIG)
    kind = str(values["model_type"])
    weights_id = weights_sha256(folder)
    library = transformers()
    network_class = _class_for(library, folder, values, kind)
    module, unused = _read(library, network_class, folder, kind)
    video = kind in _STEPS
    recipe = folder_recipe(folder, f"{PREFIX}{kind}", video=video, model_type=kind)
    step, step_source = _STEPS.get(kind, (1, "image networks see single frames"))
    origin = f"Hugging Face transformers {library.__version__}, {type(module).__name__}"
    choices = (f"Frames of a clip are {step} apart: {step_source}.", f"{RESIZE_NOTE[0].upper()}{RESIZE_NOTE[1:]}.")
    source = Source(origin=origin, choices=choices)
    loaded = Loaded(module, f"{PREFIX}{kind}", recipe, _labels(module, folder, kind), paper_of(kind), source)
    model = _adapted(loaded, folder, options, step, video)
    model.provenance = {
        "huggingface": {
            "model_type": kind,
            "architecture": type(module).__name__,
            "transformers": library.__version__,
            "attention": model.options["attention"],
            "weights": [path.name for path in weight_files(folder)],
            "tensors_left_out": unused,
            "notes": [RESIZE_NOTE],
        },
        **(card_provenance(folder) or {}),
    }
    model.set_weights_id(weights_id)
    _say_once(RESIZE_NOTE)
    return model.eval()


@cache
def _say_once(note: str) -> None:
    _log.warning("%s", note)


def _class_for(library: Any, folder: Path, values: Mapping[str, Any], kind: str) -> Any:
    """The class of transformers that holds the network; its classifier too, where the folder has one."""
    why = _REFUSED.get(kind)
    if values.get("quantization_config") is not None:
        why = "its weights are quantized"
    elif why is None and kind not in library.CONFIG_MAPPING:
        why = f"transformers {library.__version__} does not have it, and code in the folder is not run"
    if why is not None:
        raise _unfit(folder, kind, why)
    named = values.get("architectures")
    name = str(named[0]) if isinstance(named, list) and named else ""
    if name.endswith(_CLASSIFIERS) and hasattr(library, name):
        return getattr(library, name)
    if kind == "clip_vision_model" and name == "CLIPVisionModel":
        return library.CLIPVisionModel
    if kind in _VISION:
        return getattr(library, _VISION[kind])
    own = library.MODEL_MAPPING.get(library.CONFIG_MAPPING[kind], None)
    own = own[0] if isinstance(own, tuple) else own
    takes = getattr(own, "main_input_name", "nothing that is known")
    if takes not in ("pixel_values", "pixel_values_videos"):
        raise _unfit(folder, kind, f"it takes {takes}, not pictures")
    return own


def _read(library: Any, network_class: Any, folder: Path, kind: str) -> tuple[Any, list[str]]:
    """The network with its weights, and the names of tensors that are left out (a decoder, a text encoder)."""
    try:
        more = (
            {"config": _vision_of_clip(library, folder)} if network_class.__name__ == _VISION.get(kind) == _CLIP else {}
        )
        module, told = _from_pretrained(network_class, folder, **more)
        missing = list(told["missing_keys"])
        if missing and all(_POOLER in name for name in missing):
            # Saved without the last layer on the class token: left out, not filled with random numbers.
            module, told = _from_pretrained(network_class, folder, add_pooling_layer=False)
            missing = list(told["missing_keys"])
        of_other_shapes = [str(name) for name, *_ in told["mismatched_keys"]]
    except Exception as error:  # transformers raises what it happens to meet
        raise InputDataError(
            "transformers cannot read the network",
            path=folder,
            why=str(error).strip().partition("\n")[0] or type(error).__name__,
            remedy="copy the folder again, or update transformers",
        ) from error
    if missing or of_other_shapes:
        which, names = ("not of its shape", of_other_shapes) if of_other_shapes else ("missing", missing)
        raise InputDataError(
            "the weights do not fill the network",
            path=folder,
            why=f"{which}: {first_few(sorted(names), shown=5)}",
            remedy="copy the folder again: random numbers would be in their place",
        )
    return module.eval(), sorted([*told["unexpected_keys"], *_drop_predictor(module)])


def _vision_of_clip(library: Any, folder: Path) -> Any:
    """The configuration of the half of CLIP that sees pictures.

    The whole reads the length of its projection above both halves, the half by itself below; they may differ.
    """
    config = library.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    vision = getattr(config, "vision_config", config)
    vision.projection_dim = config.projection_dim
    return vision


def _drop_predictor(module: Any) -> list[str]:
    """Take V-JEPA 2's predictor out, which guesses masked tokens and never runs here; the names of its tensors."""
    base = getattr(module, module.base_model_prefix, module)
    predictor = getattr(base, "predictor", None)
    if module.config.model_type != "vjepa2" or predictor is None:
        return []
    names = [name for name in module.state_dict() if "predictor" in name.split(".")[:2]]
    del base.predictor
    return names


def _from_pretrained(network_class: Any, folder: Path, **more: Any) -> tuple[Any, dict[str, Any]]:
    module, told = network_class.from_pretrained(
        folder,
        local_files_only=True,
        use_safetensors=True,
        trust_remote_code=False,
        dtype=torch.float32,
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # told below, in one sentence with the names
        **more,
    )
    return module, told


def _adapted(loaded: Loaded, folder: Path, options: Mapping[str, Any], step: int, video: bool) -> HuggingFaceNetwork:
    config, name = loaded.module.config, loaded.name
    step = positive_int("step_frames", options.get("step_frames", step))
    if not video:
        try:
            return ImageNetwork(loaded, positive_int("clip_length", options.get("clip_length", 1)), step)
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            height, width = loaded.recipe.crop_hw
            why = f"a frame of {width}x{height} pixels: {str(error).partition(chr(10))[0]}"
            raise _unfit(folder, name.removeprefix(PREFIX), why) from error
    any_length = name == f"{PREFIX}vjepa2"
    own_side = config.crop_size if any_length else config.image_size
    frames = config.frames_per_clip if any_length else config.num_frames
    if loaded.recipe.crop_hw != (own_side, own_side):
        height, width = loaded.recipe.crop_hw
        raise InputDataError(
            f"the processor crops {width}x{height} pixels, and the network takes {own_side}x{own_side}",
            path=folder,
            remedy="copy the processor's JSON that belongs to these weights",
        )
    length = positive_int("clip_length", options.get("clip_length", frames))
    check_length(name, length, frames, config.tubelet_size, any_length=any_length)
    return VideoNetwork(loaded, length, step, any_length=any_length)


def _labels(module: Any, folder: Path, kind: str) -> tuple[str, ...] | None:
    """Class names in the order of the scores; names that occur twice carry their number."""
    try:
        if classifier_name(module) is None:
            return None
    except ValueError as error:
        raise _unfit(folder, kind, str(error)) from error
    names = [str(module.config.id2label[index]) for index in range(module.config.num_labels)]
    if all(name == f"LABEL_{index}" for index, name in enumerate(names)):
        return None
    return tuple(name if names.count(name) == 1 else f"{name} ({index})" for index, name in enumerate(names))


def _unfit(folder: Path, kind: str, why: str) -> InputDataError:
    return InputDataError(
        f"networks of type {kind} are not adapted",
        path=folder,
        why=why,
        remedy="use VideoMAE, V-JEPA 2 or an image network such as ViT, DINOv2, CLIP, ResNet, ConvNeXT or Swin",
    )
