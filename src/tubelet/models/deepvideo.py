"""DeepVideo: five ways to give a network for images several frames (Karpathy et al., CVPR 2014). Reconstructions.

In the paper's notation C(channels, kernel, stride), N (normalization) and P (2×2 pooling) a single-frame net is

    C(96,11,3)-N-P-C(256,5,1)-N-P-C(384,3,1)-C(384,3,1)-C(256,3,1)-P-FC(4096)-FC(4096)

and a softmax layer. N has the form of Krizhevsky et al. with k = 2, n = 5, α = 1e-4, β = 0.5.

======= ============== ==================== ==================== ====================
layer   kernel, stride single: 170×170      multires: 2 × 89×89  parameters (single)
======= ============== ==================== ==================== ====================
conv1   11×11, 3       96 × 54 × 54         96 × 27 × 27             34,944
pool1   2×2, 2         96 × 27 × 27         96 × 14 × 14
conv2   5×5, 1         256 × 27 × 27        256 × 14 × 14           614,656
pool2   2×2, 2         256 × 14 × 14        256 × 7 × 7
conv3   3×3, 1         384 × 14 × 14        384 × 7 × 7             885,120
conv4   3×3, 1         384 × 14 × 14        384 × 7 × 7           1,327,488
conv5   3×3, 1         256 × 14 × 14        256 × 7 × 7             884,992
pool5   2×2, 2         256 × 7 × 7          none
fc6                    4096                 4096 (of both)       51,384,320
fc7                    4096                 4096                 16,781,312
fc8                    classes              classes              4,097 each
======= ============== ==================== ==================== ====================

=================== ============================================================== ======================
network             frames                                                         parameters, 487 classes
=================== ============================================================== ======================
deepvideo_single    one                                                             73,908,071
deepvideo_early     10, all of them in conv1: 10×11×11                              74,221,703
deepvideo_late      2, 15 frames apart: one set of convolutions on both, fc6 joins 125,288,295
deepvideo_slow      10: conv1 4×11×11, conv2 2×5×5, conv3 2×3×3, all of stride 2    75,511,751
deepvideo_multires  one: the whole at half size and its middle at full size        129,035,495
=================== ============================================================== ======================

Slow fusion has 4, 2 and 1 responses in time. No weights and no code were published. The paper names the sizes of
kernels and that streams of 89×89 end, like the nets for full frames, in 7×7×256; it does not say how maps are padded
and rounded. What was decided here is listed in `CHOICES`, and with every network in ``source.choices``.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tubelet.errors import UsageError
from tubelet.models.contract import VideoModel, Weighted
from tubelet.models.initialization import gaussian
from tubelet.models.layers import Conv3d, Lrn, MaxPool3d, relu
from tubelet.models.options import fraction, positive_float, positive_int, scaled
from tubelet.models.per_frame import at_least_one, convolved, frame_vectors, pooled, with_time
from tubelet.models.spec import InputSpec, Paper, Source

PAPER = Paper(
    title="Large-scale Video Classification with Convolutional Neural Networks",
    authors="Andrej Karpathy, George Toderici, Sanketh Shetty, Thomas Leung, Rahul Sukthankar, Li Fei-Fei",
    year=2014,
    arxiv="",
    section="3",
    link="https://cs.stanford.edu/people/karpathy/deepvideo/",
)

CHOICES = (
    (
        "conv1 is not padded, other convolutions keep the size of their maps, poolings round up; so both inputs end in "
        "7×7×256, as printed (with conv1 padded by 3 and poolings that round down they would too)"
    ),
    "poolings take the maximum",
    "ReLU follows every convolution and fc6 and fc7, before normalization; convolutions are not grouped",
    "α = 1e-4 multiplies the sum of squares, as in Krizhevsky et al.: 5e-4 in PyTorch's form",
    "dropout of 0.5 on fc6 and fc7",
    "weights start gaussian with standard deviation 0.01, biases at 0",
)
_MULTIRES = (
    "the streams have convolutions of their own",
    "half resolution is the mean of 2×2 pixels, and the middle begins at row and column 44 of 178",
    "frames are resized to 209 and cropped to 178, in the proportion of the 200 and 170 that the paper states",
)
_ORIGIN = "close readings of the paper: its notation of the layers, its kernels in time and the sizes of its streams"

# name, channels, kernel, stride, padding
_CONVS = (
    ("conv1", 96, 11, 3, 0),
    ("conv2", 256, 5, 1, 2),
    ("conv3", 384, 3, 1, 1),
    ("conv4", 384, 3, 1, 1),
    ("conv5", 256, 3, 1, 1),
)
_STREAMS = ("context_", "fovea_")


class DeepVideo(VideoModel):
    """The networks of this module's tables.

    Parameters
    ----------
    name
        The registry's name.
    input
        The clip.
    time
        Kernel depth and stride in frames of the first convolutions; the others see one frame at a time.
    joined
        Whether fc6 sees all frames that are left at once. If not, every frame is scored by itself, and the logits
        are means over the frames.
    multires
        Two streams on half the side each, without pool5.
    num_classes
        Outputs of fc8.
    width
        Factor on all channels and on fc6 and fc7.
    dropout
        Share of fc6 and fc7 that training drops.
    options
        See `VideoModel`.
    """

    def __init__(
        self,
        name: str,
        input: InputSpec,
        time: tuple[tuple[int, int], ...] = (),
        *,
        joined: bool = False,
        multires: bool = False,
        num_classes: int,
        width: float,
        dropout: float,
        options: Mapping[str, Any],
    ) -> None:
        width = positive_float("width", width)
        poolings = ("conv1", "conv2") if multires else ("conv1", "conv2", "conv5")
        streams = _STREAMS if multires else ("",)
        trunk = []
        for stream in streams:
            for layer, *_ in _CONVS:
                trunk += [stream + layer, f"{stream}pool{layer[-1]}"] if layer in poolings else [stream + layer]
        super().__init__(
            name,
            num_classes=num_classes,
            options=options,
            input=input,
            layer_names=(*trunk, "fc6", "fc7", "fc8", "prob"),
            head_name="fc8",
            paper=PAPER,
            source=Source(reconstruction=True, origin=_ORIGIN, choices=CHOICES + (_MULTIRES if multires else ())),
        )
        self.streams, self.joined = streams, joined
        for stream in self.streams:
            channels, frames = input.channels, input.clip_length
            sizes = [input.height_width[0] // len(self.streams)]
            for index, (layer, out, kernel, stride, padding) in enumerate(_CONVS):
                depth, step = time[index] if index < len(time) else (1, 1)
                window = ((depth, kernel, kernel), (step, stride, stride), (0, padding, padding))
                self.add_module(stream + layer, Conv3d(channels, scaled(out, width), *window))
                channels, frames = scaled(out, width), convolved(frames, depth, step)
                sizes.append(convolved(sizes[-1], kernel, stride, padding))
                if index < 2:
                    self.add_module(f"{stream}norm{layer[-1]}", Lrn(5, 5e-4, 0.5, 2.0))
                if layer in poolings:
                    self.add_module(f"{stream}pool{layer[-1]}", MaxPool3d(depth=1))
                    sizes.append(pooled(sizes[-1], 2, 2))
        inputs = channels * len(self.streams) * (frames if joined else 1)
        self.fc6 = nn.Linear(inputs * at_least_one(sizes, input.height_width[0]) ** 2, scaled(4096, width))
        self.fc7 = nn.Linear(self.fc6.out_features, self.fc6.out_features)
        self.fc8 = nn.Linear(self.fc7.out_features, self.num_classes)
        self.dropout = nn.Dropout(fraction("dropout", dropout))

    def activations(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield (layer name, activation) in the order of ``layer_names``, see `VideoModel.activations`."""
        ends = []
        for stream, view in zip(self.streams, self._views(x), strict=True):
            ends.append((yield from self._stream(stream, view)))
        x = torch.cat(ends, 1) if len(ends) > 1 else ends[0]
        x = x.flatten(1) if self.joined else frame_vectors(x)
        for layer in (self.fc6, self.fc7):
            x = relu(layer(x))
            yield "fc6" if layer is self.fc6 else "fc7", x if self.joined else with_time(x)
            x = self.dropout(x)
        # The mean of the frames' logits is the logits of their mean, which takes one product.
        x = self.fc8(x if self.joined else x.mean(1))
        yield "fc8", x
        yield "prob", x.softmax(1)

    def initialize_layer(self, name: str, layer: Weighted, generator: torch.Generator) -> None:
        """Gaussian with standard deviation 0.01, bias 0: a choice of ours, made for the published width."""
        gaussian(layer, 0.01, 0.0, generator)

    def _views(self, x: Tensor) -> tuple[Tensor, ...]:
        if len(self.streams) == 1:
            return (x,)
        side = self.input.height_width[0]
        half, corner = side // 2, (side - side // 2) // 2
        context, fovea = F.avg_pool3d(x, (1, 2, 2)), x[..., corner : corner + half, corner : corner + half]
        return context, fovea

    def _stream(self, stream: str, x: Tensor) -> Generator[tuple[str, Tensor], None, Tensor]:
        for layer, *_ in _CONVS:
            x = relu(self.get_submodule(stream + layer)(x))
            yield stream + layer, x
            norm, pool = (getattr(self, f"{stream}{follows}{layer[-1]}", None) for follows in ("norm", "pool"))
            if norm is not None:
                x = norm(x)
            if pool is not None:
                x = pool(x)
                yield f"{stream}pool{layer[-1]}", x
        return x


def deepvideo_single(
    name: str, num_classes: int, *, width: float = 1.0, clip_length: int = 1, side: int = 170, dropout: float = 0.5
) -> VideoModel:
    """The single-frame net.

    Parameters
    ----------
    name
        The registry's name, here and in all builders.
    num_classes
        Outputs of fc8 (the paper's networks: 487 for Sports-1M).
    width
        Factor on all channels and on the 4096 units of fc6 and fc7.
    clip_length
        Frames in a clip, each scored by itself.
    side
        Height and width of the crop in pixels.
    dropout
        Share of fc6 and fc7 dropped in training.
    """
    options = {"width": width, "clip_length": clip_length, "side": side, "dropout": dropout}
    return _build(name, num_classes, options, _input(clip_length, side))


def deepvideo_early(
    name: str, num_classes: int, *, width: float = 1.0, clip_length: int = 10, side: int = 170, dropout: float = 0.5
) -> VideoModel:
    """Early fusion: conv1 is as deep as the clip (T = 10 in the paper); options as for `deepvideo_single`."""
    options = {"width": width, "clip_length": clip_length, "side": side, "dropout": dropout}
    clip = _input(clip_length, side)
    return _build(name, num_classes, options, clip, ((clip.clip_length, 1),), joined=True)


def deepvideo_late(
    name: str, num_classes: int, *, width: float = 1.0, step_frames: int = 15, side: int = 170, dropout: float = 0.5
) -> VideoModel:
    """Late fusion: two frames, ``step_frames`` apart, that meet in fc6; other options as for `deepvideo_single`."""
    options = {"width": width, "step_frames": step_frames, "side": side, "dropout": dropout}
    return _build(name, num_classes, options, _input(2, side, positive_int("step_frames", step_frames)), joined=True)


def deepvideo_slow(
    name: str, num_classes: int, *, width: float = 1.0, side: int = 170, dropout: float = 0.5
) -> VideoModel:
    """Slow fusion: 10 frames become 4, 2 and 1 in the first three convolutions; options as for `deepvideo_single`."""
    options = {"width": width, "side": side, "dropout": dropout}
    return _build(name, num_classes, options, _input(10, side), ((4, 2), (2, 2), (2, 2)), joined=True)


def deepvideo_multires(
    name: str, num_classes: int, *, width: float = 1.0, clip_length: int = 1, side: int = 178, dropout: float = 0.5
) -> VideoModel:
    """A context stream on the frame at half size and a fovea stream on its middle; ``side`` is even.

    Other options as for `deepvideo_single`. Raises UsageError for an odd ``side``.
    """
    clip = _input(clip_length, side)
    if clip.height_width[0] % 2:
        raise UsageError(f"side={side} is odd", why="one stream sees the frame at half its size", remedy="make it even")
    options = {"width": width, "clip_length": clip_length, "side": side, "dropout": dropout}
    return _build(name, num_classes, options, clip, multires=True)


def _build(
    name: str,
    num_classes: int,
    options: Mapping[str, Any],
    clip: InputSpec,
    time: tuple[tuple[int, int], ...] = (),
    *,
    joined: bool = False,
    multires: bool = False,
) -> VideoModel:
    return DeepVideo(
        name,
        clip,
        time,
        joined=joined,
        multires=multires,
        num_classes=num_classes,
        width=options["width"],
        dropout=options["dropout"],
        options=options,
    )


def _input(clip_length: int, side: int, step_frames: int = 1) -> InputSpec:
    length = positive_int("clip_length", clip_length)
    return InputSpec("rgb", 3, length, step_frames, positive_int("side", side), "deepvideo")
