"""AlexNet in one tower, over the frames of a clip (Krizhevsky 2014), as torchvision has it and its weights.

======== ============================== ================ ============ ==============
layer    kernel, stride                 output C × H × W parameters   multiply-adds
======== ============================== ================ ============ ==============
conv1    11×11, 4, pad 2                64 × 55 × 55          23,296     70,276,800
pool1    3×3, 2                         64 × 27 × 27
conv2    5×5, 1, pad 2                  192 × 27 × 27        307,392    223,948,800
pool2    3×3, 2                         192 × 13 × 13
conv3    3×3, 1, pad 1                  384 × 13 × 13        663,936    112,140,288
conv4    3×3, 1, pad 1                  256 × 13 × 13        884,992    149,520,384
conv5    3×3, 1, pad 1                  256 × 13 × 13        590,080     99,680,256
pool5    3×3, 2                         256 × 6 × 6
avgpool  to 6×6, whatever comes         256 × 6 × 6
fc6      9216 → 4096                    4096              37,752,832     37,748,736
fc7      4096 → 4096                    4096              16,781,312     16,777,216
fc8      4096 → classes                 classes           4,097 each     4,096 each
======== ============================== ================ ============ ==============

A frame is 3 × 224 × 224. ReLU follows each convolution, fc6 and fc7, dropout comes before fc6 and fc7, poolings of
3×3 windows take the maximum and round down. Nothing is in groups and nothing is normalized. In all 61,100,840
parameters at 1000 classes, 714,188,480 multiply-adds a frame: torchvision prints 61100840 and 0.714 GFLOPS
[torchvision models/alexnet.py]. At 224 pixels avgpool hands on what it gets; its purpose is frames of other sizes.

`tubelet.models.alexnet` is the grouped network in two columns, which Caffe's files fit and torchvision's do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from tubelet.models.contract import VideoModel
from tubelet.models.frame_net import PYTORCHS, Average, Conv, FrameNet, Pool, Row
from tubelet.models.options import fraction
from tubelet.models.per_frame import frame_vectors, with_time
from tubelet.models.spec import Paper, Source

PAPER = Paper(
    title="One weird trick for parallelizing convolutional neural networks",
    authors="Alex Krizhevsky",
    year=2014,
    arxiv="1404.5997",
    section="the network of one tower",
)

SOURCE = Source(
    reconstruction=True,
    origin="torchvision models/alexnet.py, which names the paper; akrizhevsky/cuda-convnet2 layers/layers-223-1gpu.cfg",
    choices=(
        "No response normalization, as in torchvision; Krizhevsky's layer file has it behind conv1 and conv2.",
        "conv1 is padded by 2, poolings round down and starting weights are PyTorch's, as in torchvision.",
    ),
)

_TABLE: tuple[Row, ...] = (
    Conv("conv1", 64, 11, stride=4, pad=2),
    Pool("pool1", ceil=False),
    Conv("conv2", 192, 5, pad=2),
    Pool("pool2", ceil=False),
    Conv("conv3", 384, 3, pad=1),
    Conv("conv4", 256, 3, pad=1),
    Conv("conv5", 256, 3, pad=1),
    Pool("pool5", ceil=False),
    Average("avgpool", 6),
)


class AlexNetOwt(FrameNet):
    """The network of this module's table; the logits of a clip are the mean of its frames' logits.

    Parameters are those of `alexnet_owt`.
    """

    def __init__(
        self,
        name: str,
        *,
        num_classes: int,
        width: float,
        clip_length: int,
        side: int,
        dropout: float,
        options: dict[str, Any],
    ) -> None:
        super().__init__(
            name,
            _TABLE,
            {"fc6": 4096, "fc7": 4096},
            PYTORCHS,
            num_classes=num_classes,
            after_table=("fc6", "fc7", "fc8", "prob"),
            head_name="fc8",
            width=width,
            clip_length=clip_length,
            side=side,
            recipe="resnet_rgb",
            paper=PAPER,
            source=SOURCE,
            options=options,
            any_size=True,
        )
        self.fc8 = nn.Linear(self.units, self.num_classes)
        self.dropout = nn.Dropout(fraction("dropout", dropout))

    def activations(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield (layer name, activation) in the order of ``layer_names``, see `VideoModel.activations`."""
        for name, value in self.maps(x):
            x = value
            yield name, x
        x = self.full("fc6", self.dropout(frame_vectors(x)))
        yield "fc6", with_time(x)
        x = self.full("fc7", self.dropout(x))
        yield "fc7", with_time(x)
        # fc8 is linear: the mean of its outputs is its output for the mean.
        x = self.fc8(x.mean(1))
        yield "fc8", x
        yield "prob", x.softmax(1)


def alexnet_owt(
    name: str,
    num_classes: int,
    *,
    width: float = 1.0,
    clip_length: int = 1,
    side: int = 224,
    dropout: float = 0.5,
) -> VideoModel:
    """AlexNet in one tower, as torchvision has it; the table is at the head of this module.

    Parameters
    ----------
    name
        The registry's name, here and in all builders.
    num_classes
        Outputs of fc8 (ILSVRC 2012: 1000).
    width
        Factor on all channels and on the 4096 units of fc6 and fc7.
    clip_length
        Frames per clip; each is computed on its own and the logits are averaged. Any other number is accepted too.
    side
        Height and width of the crop in pixels; any other size that leaves a row is accepted too.
    dropout
        Share of avgpool's and fc6's outputs dropped in training.
    """
    options: dict[str, Any] = {"width": width, "clip_length": clip_length, "side": side, "dropout": dropout}
    return AlexNetOwt(name, num_classes=num_classes, **options, options=options)
