"""The published recipes by name: what each network's authors did to pixels."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from tubelet.clips.mean_volume import load_mean_volume
from tubelet.clips.recipe import Recipe
from tubelet.errors import UsageError

_C3D_VOLUME = (3, 16, 128, 171)
_IMAGENET_BGR = (104.0, 117.0, 123.0)  # Caffe's channel means of ILSVRC 2012

RECIPES: Mapping[str, str] = {
    "c3d_sports1m": "C3D as published: BGR 0-255 minus the Sports-1M mean volume, which must be given as a "
    "file (facebook/C3D v1.0, image_io.cpp)",
    "c3d_channel_mean": "approximation of c3d_sports1m: BGR 0-255 minus the volume's channel means "
    "(90.25, 97.66, 101.41)",
    "c3d_v11": "C3D v1.1: BGR 0-255 minus 128 (facebook/C3D v1.1 prototxts)",
    "c3d_mmaction": "C3D fine-tuned with mmaction2: RGB 0-255 minus (104, 117, 128) (its c3d configs, to_bgr=False)",
    "res3d": "Res3D: the pixels of c3d_v11 (Tran et al. 2017)",
    "r3d_kinetics": "torchvision's R3D, MC3 and R(2+1)D: RGB in [0, 1] minus (0.43216, 0.394666, 0.37645) over "
    "(0.22803, 0.22145, 0.216989); torchvision's own test crop lies one column further right",
    "c3d_small": "small nets trained from scratch: whole frame at 56 x 56, RGB scaled to [-1, 1]",
    "deepvideo": "DeepVideo: 170 out of 200 x 200, RGB 0-255 minus 117 (Karpathy et al. 2014)",
    "caffenet": "Caffe's reference networks and SqueezeNet: whole frame at 256 x 256 cropped to 227, BGR 0-255 minus "
    "(104, 117, 123)",
    "lrcn_rgb": "LRCN: 320 x 240 cropped to 227, BGR 0-255 minus (103.939, 116.779, 128.68), the third as released "
    "(sequence_input_layer.py)",
    "two_stream_rgb": "Two-Stream's spatial net: shorter side 256 cropped to 224, RGB 0-255 minus "
    "(123.68, 116.78, 103.94)",
    "vgg_m_bgr": "approximation for VGG_CNN_M_2048.caffemodel: shorter side 256 cropped to 224, BGR "
    "0-255 minus channel means (103.939, 116.779, 123.68) in place of its mean image",
    "tsn_rgb": "TSN with BN-Inception: 340 x 256 cropped to 224, BGR 0-255 minus (104, 117, 123) (Caffe release)",
    "tsn_rgb_torch": "TSN's PyTorch release: as tsn_rgb with its third mean of 128, which those weights saw",
    "tsn_rgb_difference": "TSN's RGB differences: as tsn_rgb without a mean, which differences cancel",
    "resnet_rgb": "ImageNet ResNet and DenseNet: shorter side 256 cropped to 224, RGB in [0, 1] minus "
    "(0.485, 0.456, 0.406) over (0.229, 0.224, 0.225)",
    "resnet_bgr": "approximation for He et al.'s Caffe ResNets: shorter side 256 cropped to 224, BGR 0-255 minus "
    "channel means (104, 117, 123) in place of their mean image",
    "p3d_rgb": "P3D: 242 x 182 cropped to 160, BGR 0-255 minus (104, 117, 123) (Qiu et al. 2017, released prototxts)",
    "t3d_rgb": "T3D: shorter side 256 cropped to 224, RGB 0-255 minus (123.68, 116.78, 103.94)",
    "two_stream_flow": "Two-Stream's temporal net: shorter side 256 cropped to 224, pixels, each field minus its own "
    "mean vector (section 3.1)",
    "flow_224": "TSN's stacks of optical flow: 340 x 256 cropped to 224, levels minus 128",
    "flow_160": "P3D's optical flow: 242 x 182 cropped to 160, levels minus 128",
    "flow_small": "small nets trained from scratch on flow: whole field at 56 x 56, levels minus 128",
}
"""The recipes that have a name, each with a line that says what it is and where it comes from."""

_VALUES = {
    "c3d_channel_mean": Recipe("", (128, 171), (112, 112), "bgr", (90.25, 97.66, 101.41)),
    "c3d_v11": Recipe("", (128, 171), (112, 112), "bgr", (128.0, 128.0, 128.0)),
    "c3d_mmaction": Recipe("", (128, 171), (112, 112), "rgb", (104.0, 117.0, 128.0)),
    "res3d": Recipe("", (128, 171), (112, 112), "bgr", (128.0, 128.0, 128.0)),
    "r3d_kinetics": Recipe(
        "",
        (128, 171),
        (112, 112),
        "rgb",
        (110.2008, 100.63983, 95.99475),
        scale=(1 / 58.14765, 1 / 56.46975, 1 / 55.332195),
    ),
    "c3d_small": Recipe("", (56, 56), (56, 56), "rgb", (127.5, 127.5, 127.5), scale=1 / 127.5),
    "deepvideo": Recipe("", (200, 200), (170, 170), "rgb", (117.0, 117.0, 117.0)),
    "caffenet": Recipe("", (256, 256), (227, 227), "bgr", _IMAGENET_BGR),
    "lrcn_rgb": Recipe("", (240, 320), (227, 227), "bgr", (103.939, 116.779, 128.68)),
    "two_stream_rgb": Recipe("", None, (224, 224), "rgb", (123.68, 116.78, 103.94), resize_short=256),
    "vgg_m_bgr": Recipe("", None, (224, 224), "bgr", (103.939, 116.779, 123.68), resize_short=256),
    "tsn_rgb": Recipe("", (256, 340), (224, 224), "bgr", _IMAGENET_BGR),
    "tsn_rgb_torch": Recipe("", (256, 340), (224, 224), "bgr", (104.0, 117.0, 128.0)),
    "tsn_rgb_difference": Recipe("", (256, 340), (224, 224), "bgr"),
    "resnet_rgb": Recipe(
        "",
        None,
        (224, 224),
        "rgb",
        (123.675, 116.28, 103.53),
        scale=(1 / 58.395, 1 / 57.12, 1 / 57.375),
        resize_short=256,
    ),
    "resnet_bgr": Recipe("", None, (224, 224), "bgr", _IMAGENET_BGR, resize_short=256),
    "p3d_rgb": Recipe("", (182, 242), (160, 160), "bgr", _IMAGENET_BGR),
    "t3d_rgb": Recipe("", None, (224, 224), "rgb", (123.68, 116.78, 103.94), resize_short=256),
    "two_stream_flow": Recipe("", None, (224, 224), "flow", resize_short=256, flow_mean="field"),
    "flow_224": Recipe("", (256, 340), (224, 224), "flow", flow_mean="level"),
    "flow_160": Recipe("", (182, 242), (160, 160), "flow", flow_mean="level"),
    "flow_small": Recipe("", (56, 56), (56, 56), "flow", flow_mean="level"),
}


def get_recipe(name: str, mean: str | os.PathLike[str] | None = None) -> Recipe:
    """A published recipe by its name.

    Parameters
    ----------
    name
        One of :data:`RECIPES`.
    mean
        The mean volume of ``c3d_sports1m``: a ``.npy`` or ``.npy.bz2`` file of shape ``(3, 16, 128, 171)``,
        BGR.

    Raises
    ------
    UsageError
        An unknown name; ``c3d_sports1m`` without its mean; a mean for a recipe that has none.
    InputDataError
        The mean file cannot be used.
    """
    if name not in RECIPES:
        raise UsageError(f"there is no recipe {name!r}", remedy=f"choose one of {', '.join(RECIPES)}")
    if name == "c3d_sports1m":
        if mean is None:
            raise UsageError(
                "recipe c3d_sports1m needs its mean volume",
                why="C3D subtracts a mean of shape (3, 16, 128, 171), which is not part of this package",
                remedy="give the file (mean= in Python, --mean on the command line), or choose c3d_channel_mean, "
                "which subtracts its channel means",
            )
        return Recipe(name, (128, 171), (112, 112), "bgr", mean_volume=load_mean_volume(mean, _C3D_VOLUME))
    if mean is not None:
        raise UsageError(f"recipe {name} takes no mean file", remedy="leave the mean out or choose c3d_sports1m")
    return replace(_VALUES[name], name=name)
