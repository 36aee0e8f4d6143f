"""From RGB to motion: a network that sees flow or differences starts from one that saw frames (TSN, section 3.2).

The first convolution's kernels are averaged over their three input channels, and the average is put at every channel of
the new input: 2L for L flow fields, 3L for L differences. Nothing is rescaled, so what the layer gives grows with the
number of channels; the batch normalization behind it is the one that partial batch normalization trains. The bias and
all other layers are copied. Two-Stream's temporal net differs from the spatial one in its first layer and in the second
response normalization, which it lacks and which has no weights.

The released PyTorch loaders pass over tensors of another shape without a word, which leaves exactly this layer as it
was. Here it is in the report, or there is an error.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from tubelet.errors import UsageError
from tubelet.models.contract import VideoModel
from tubelet.weights.fit import fitted
from tubelet.weights.report import WeightsReport

_RGB = 3


def across_modalities(
    weights: Mapping[str, Tensor], model: VideoModel, *, strict: bool = True
) -> tuple[dict[str, Tensor], WeightsReport]:
    """The state dict that ``model`` gets from the weights of the same network for RGB.

    Parameters
    ----------
    weights
        State dict of the network for RGB. Where its classifier has another number of classes, the network's own stays.
        To start P3D for flow from images, bring them into P3D for RGB first.
    model
        A network for flow or differences, such as ``tsn_bn_inception`` with ``modality="flow"``,
        ``two_stream_temporal``, or ``p3d_199`` with ``modality="flow"``; it is not changed.
    strict
        As for `tubelet.weights.inflate.inflated`.

    Returns
    -------
    dict
        New tensors under all names of ``model.state_dict()``, in its types.
    WeightsReport
        What became of every tensor.

    Raises
    ------
    UsageError
        If the network takes RGB itself, or no convolution of it sees the pixels.
    InputDataError
        If a tensor does not fit, holds values that are not finite, or one is missing or superfluous; the sentence
        names the first five.
    """
    first = first_layer(model)
    if model.input.modality == "rgb":
        raise UsageError(
            f"{model.name} takes RGB, so there is no modality to cross",
            remedy="build it for flow or differences, or use inflated for weights of a 2-D network",
        )

    def spread(name: str, kernel: Tensor, wanted: Tensor) -> tuple[Tensor, str] | None:
        channels = wanted.shape[1]
        if name != f"{first}.weight" or kernel.shape != (wanted.shape[0], _RGB, *wanted.shape[2:]):
            return None
        mean = kernel.mean(1, keepdim=True)
        return mean.repeat(1, channels, 1, 1, 1), f"mean over RGB, repeated for {channels} channels, not rescaled"

    return fitted(weights, model, "cross-modality first layer", spread, strict)


def first_layer(model: VideoModel) -> str:
    """Name of the convolution that sees the pixels.

    Raises
    ------
    UsageError
        If the network's first convolution does not take as many channels as its input has.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv3d):
            if module.in_channels == model.input.channels:
                return str(name)
            break
    raise UsageError(f"{model.name} has no convolution on its input", why="the first layer is not one")
