"""Small networks of transformers with random weights, saved as their folders are, with the JSON of a processor."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

SIDE, FRAMES = 32, 4
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]

PROCESSOR: Mapping[str, Any] = {
    "crop_size": {"height": SIDE, "width": SIDE},
    "do_center_crop": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": MEAN,
    "image_std": STD,
    "resample": 2,
    "rescale_factor": 1 / 255,
    "size": {"shortest_edge": 40},
}

_VIT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "image_size": SIDE,
    "patch_size": 8,
}
_FIVE = {"id2label": {0: "run", 1: "crane", 2: "walk", 3: "crane", 4: "wave"}}
_VIDEOMAE = {**_VIT, "num_frames": FRAMES, "tubelet_size": 2}
_DINO = {key: value for key, value in _VIT.items() if key != "intermediate_size"}
_VJEPA2 = {
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "crop_size": SIDE,
    "patch_size": 8,
    "frames_per_clip": FRAMES,
    "num_pooler_layers": 1,
    "pred_hidden_size": 48,
    "pred_num_attention_heads": 2,
    "pred_num_hidden_layers": 1,
}
_BOTH = {"vision_config": {**_VIT, "projection_dim": 16}, "text_config": {**_VIT, "vocab_size": 9}, **_FIVE}
_RESNET = {"embedding_size": 8, "hidden_sizes": [16, 32], "depths": [1, 1], "layer_type": "basic"}
_CONVNEXT = {"hidden_sizes": [16, 32], "depths": [1, 1], "num_stages": 2}
_SWIN = {
    "image_size": SIDE,
    "patch_size": 4,
    "embed_dim": 16,
    "depths": [1, 1],
    "num_heads": [2, 2],
    "window_size": 4,
}

# folder → class of the network, class of its configuration, its values
NETWORKS: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
    "videomae": ("VideoMAEModel", "VideoMAEConfig", {**_VIDEOMAE, "use_mean_pooling": False}),
    "videomae_classes": ("VideoMAEForVideoClassification", "VideoMAEConfig", {**_VIDEOMAE, **_FIVE}),
    "videomae_pretraining": (
        "VideoMAEForPreTraining",
        "VideoMAEConfig",
        {**_VIDEOMAE, "use_mean_pooling": False, "decoder_hidden_size": 16, "decoder_num_attention_heads": 2}
        | {"decoder_num_hidden_layers": 1, "decoder_intermediate_size": 16},
    ),
    "vjepa2": ("VJEPA2Model", "VJEPA2Config", _VJEPA2),
    "vjepa2_classes": ("VJEPA2ForVideoClassification", "VJEPA2Config", {**_VJEPA2, **_FIVE}),
    "vit": ("ViTModel", "ViTConfig", _VIT),
    "vit_classes": ("ViTForImageClassification", "ViTConfig", {**_VIT, **_FIVE}),
    "dinov2": ("Dinov2Model", "Dinov2Config", _DINO),
    "clip": ("CLIPVisionModelWithProjection", "CLIPVisionConfig", {**_VIT, "projection_dim": 16}),
    "siglip": ("SiglipVisionModel", "SiglipVisionConfig", _VIT),
    "clip_classes": ("CLIPForImageClassification", "CLIPConfig", _BOTH),
    "siglip_classes": ("SiglipForImageClassification", "SiglipConfig", _BOTH),
    "resnet": ("ResNetModel", "ResNetConfig", _RESNET),
    "resnet_classes": ("ResNetForImageClassification", "ResNetConfig", {**_RESNET, **_FIVE}),
    "convnext": ("ConvNextModel", "ConvNextConfig", _CONVNEXT),
    "swin": ("SwinModel", "SwinConfig", _SWIN),
    "swin_classes": ("SwinForImageClassification", "SwinConfig", {**_SWIN, **_FIVE}),
}

Save = Callable[[str], Path]


def network(transformers: Any, name: str) -> Any:
    """One of `NETWORKS` with random weights that differ from zero everywhere, in evaluation mode."""
    import torch

    network_class, config_class, values = NETWORKS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(sum(map(ord, name)))
        module = getattr(transformers, network_class)(getattr(transformers, config_class)(**values))
        for tensor in module.parameters():  # norms and biases that start at one and zero would hide what is left out
            tensor.data += 0.1 * torch.randn(tensor.shape)
        for buffer in module.buffers():
            if buffer.is_floating_point():
                buffer.data += 0.1 * torch.rand(buffer.shape)
    return module.eval()


def write_processor(folder: Path, *, video: bool, **changed: Any) -> None:
    """The JSON of a processor of `PROCESSOR`'s values but for ``changed``; None leaves a field out."""
    values = {key: value for key, value in {**PROCESSOR, **changed}.items() if value is not None}
    name = "video_preprocessor_config.json" if video else "preprocessor_config.json"
    (folder / name).write_text(json.dumps(values))
