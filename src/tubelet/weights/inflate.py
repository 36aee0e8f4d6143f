"""From 2-D to 3-D: the weights of a network that sees single frames become the start of one that sees clips.

A kernel of one frame is repeated d times along time and divided by d, so its sum over time stays what it was: where
nothing moves, and away from the padding at the clip's ends, the 3-D network gives what the 2-D network gave. Biases,
norms and fully connected layers are copied. Networks whose layers have the same names correspond: ``r2d_18`` →
``res3d_18``, ``sr18``, ``mc2_18``, …; ``densenet_121`` → ``densenet3d_121``; ``c3d_depth1`` → ``c3d_depth3``.

Pseudo-3D networks start from a ResNet of as many layers (Qiu et al. 2017): their 1×3×3 and 1×1×1 convolutions take its
kernels as they are, their 3×1×1 convolutions keep their starting values. Blocks are found by their place, whether they
are called res4b, res4c (`tubelet.models.resnet`) or res4b1, res4b2 (Caffe's ResNet-101 and -152). The authors' networks
have the names, strides and poolings of He et al.'s Caffe release, so its weights (``imagenet.resnet152_caffe`` of the
catalog, which fills ``tsn_resnet152`` with ``style="caffe"``) are the ones that meet the pixels they were trained on.

A segment network is 2-D itself: its trunk takes an image network's weights as they are, and its classifier fc_action
those of SqueezeNet's conv10 where both have as many classes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import ascii_lowercase

from torch import Tensor

from tubelet.models.contract import VideoModel
from tubelet.models.p3d import P3D
from tubelet.models.tsn import Tsn
from tubelet.weights.fit import fitted
from tubelet.weights.report import WeightsReport

_P3D_NOTE = (
    "res3a, res4a and res5a of P3D halve rows and columns in branch2a and pool1 is not padded, as in the ResNets of "
    "Caffe's release (imagenet.resnet50_caffe, …, style='caffe'); weights of torchvision's style meet other pixels"
)


def inflated(
    weights: Mapping[str, Tensor], model: VideoModel, *, strict: bool = True
) -> tuple[dict[str, Tensor], WeightsReport]:
    """The state dict that ``model`` gets from the weights of a 2-D network.

    Parameters
    ----------
    weights
        State dict with kernels (out, in, 1, k, k) or (out, in, k, k). Where they lack the classifier, or it has another
        number of classes, the network's own stays.
    model
        The 3-D network; it is not changed.
    strict
        Refuse weights that lack other tensors, or have some that the network has not. Otherwise these are reported.

    Returns
    -------
    dict
        New tensors under all names of ``model.state_dict()``, in its types; what is missing is the network's own.
    WeightsReport
        What became of every tensor.

    Raises
    ------
    InputDataError
        If a tensor does not fit, holds values that are not finite, or one is missing or superfluous; the sentence
        names the first five.
    """
    if isinstance(model, Tsn):
        return fitted(weights, model, "an image network's weights on every snippet", _in_time, strict, place=_snippet)
    if not isinstance(model, P3D):
        return fitted(weights, model, "mean-preserving inflation", _in_time, strict)
    method, notes = "2-D weights in a pseudo-3D network", (_P3D_NOTE,)
    return fitted(weights, model, method, _in_time, strict, place=_place, fresh=_temporal, notes=notes)


def _in_time(name: str, kernel: Tensor, wanted: Tensor) -> tuple[Tensor, str] | None:
    if kernel.dim() != 5 or kernel.shape != (*wanted.shape[:2], 1, *wanted.shape[3:]):
        return None
    depth = wanted.shape[2]
    return kernel.repeat(1, 1, depth, 1, 1) / depth, f"repeated {depth} times along time and divided by {depth}"


def _place(name: str) -> str:
    # res4b7 and res4h are the same block of ResNet-101; TSN calls its classifier fc_action.
    block = re.fullmatch(r"(res\d)(?:b(\d+)|([a-z]))(\..+)", name)
    if block is None:
        return re.sub(r"^fc_action\.", "fc.", name)
    stage, number, letter, rest = block.groups()
    return f"{stage}[{number or ascii_lowercase.index(letter)}]{rest}"


def _snippet(name: str) -> str:
    return re.sub(r"^conv10\.", "fc_action.", name)


def _temporal(name: str) -> str | None:
    return "a temporal convolution starts at random, as in the paper" if ".branch2b_t" in name else None
