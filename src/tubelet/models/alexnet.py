"""AlexNet as Caffe's reference network, over the frames of a clip (Jia et al. 2014, after Krizhevsky et al. 2012).

This is the "Imagenet" baseline of C3D: fc6 of each frame, averaged over the frames, a linear SVM.

======== ============================== ================ ============ ==============
layer    kernel, stride                 output C × H × W parameters   multiply-adds
======== ============================== ================ ============ ==============
conv1    11×11, 4                       96 × 55 × 55          34,944    105,415,200
pool1    3×3, 2                         96 × 27 × 27
norm1    5 channels                     96 × 27 × 27
conv2    5×5, 1, pad 2, 2 groups        256 × 27 × 27        307,456    223,948,800
pool2    3×3, 2                         256 × 13 × 13
norm2    5 channels                     256 × 13 × 13
conv3    3×3, 1, pad 1                  384 × 13 × 13        885,120    149,520,384
conv4    3×3, 1, pad 1, 2 groups        384 × 13 × 13        663,936    112,140,288
conv5    3×3, 1, pad 1, 2 groups        256 × 13 × 13        442,624     74,760,192
pool5    3×3, 2                         256 × 6 × 6
fc6      9216 → 4096                    4096              37,752,832     37,748,736
fc7      4096 → 4096                    4096              16,781,312     16,777,216
fc8      4096 → classes                 classes           4,097 each     4,096 each
======== ============================== ================ ============ ==============

A frame is 3 × 227 × 227. Each convolution is followed by ReLU, fc6 and fc7 by ReLU and dropout; poolings take the
maximum, in ceil mode; the norms divide by (1 + 1e-4/5 · Σ x²)^0.75, sums over five channels. In all 60,965,224
parameters at 1000 classes, 724,406,816 multiply-adds a frame
[BVLC/caffe models/bvlc_reference_caffenet/train_val.prototxt].

Krizhevsky's network, and Caffe's bvlc_alexnet, normalize before they pool, which changes values but no count:
``norm_first=True``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from tubelet.models.contract import VideoModel
from tubelet.models.frame_net import Conv, FrameNet, Norm, Pool, Row, Start
from tubelet.models.options import boolean, fraction
from tubelet.models.per_frame import frame_vectors, with_time
from tubelet.models.spec import Paper, Source

PAPER = Paper(
    title="Caffe: Convolutional Architecture for Fast Feature Embedding",
    authors="Yangqing Jia, Evan Shelhamer, Jeff Donahue, Sergey Karayev, Jonathan Long, Ross Girshick, "
    "Sergio Guadarrama, Trevor Darrell",
    year=2014,
    arxiv="1408.5093",
    section="models/bvlc_reference_caffenet",
)

SOURCE = Source(
    reconstruction=True,
    origin="BVLC/caffe models/bvlc_reference_caffenet and bvlc_alexnet, train_val.prototxt and readme.md",
    choices=(
        "CaffeNet's order of pooling before normalization; norm_first=True has that of bvlc_alexnet.",
        "One column in two groups, as in Caffe, where Krizhevsky et al. 2012 had two columns on two GPUs.",
    ),
)

CAFFENET: tuple[Row, ...] = (
    Conv("conv1", 96, 11, stride=4),
    Pool("pool1"),
    Norm("norm1"),
    Conv("conv2", 256, 5, pad=2, groups=2),
    Pool("pool2"),
    Norm("norm2"),
    Conv("conv3", 384, 3, pad=1),
    Conv("conv4", 384, 3, pad=1, groups=2),
    Conv("conv5", 256, 3, pad=1, groups=2),
    Pool("pool5"),
)
"""The reference network's table up to pool5, for the networks that build on it."""


def norm_before_pool(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """The same table in Krizhevsky's order: each norm before the pooling that it follows in CaffeNet."""
    found = list(rows)
    for i in range(1, len(found)):
        if isinstance(found[i], Norm) and isinstance(found[i - 1], Pool):
            found[i - 1], found[i] = found[i], found[i - 1]
    return tuple(found)


def caffenet_start(bias: float = 1.0) -> Start:
    """Starting weights of CaffeNet, and of bvlc_alexnet with ``bias`` 0.1; a classifier starts with bias 0."""
    biased = dict.fromkeys(("conv2", "conv4", "conv5", "fc6", "fc7"), bias)
    return Start(0.01, 0.0, stds={"fc6": 0.005, "fc7": 0.005}, biases=biased)


class AlexNet(FrameNet):
    """The network of this module's table; the logits of a clip are the mean of its frames' logits.

    Parameters are those of `alexnet`.
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
        norm_first: bool,
        initialization: str,
        options: dict[str, Any],
    ) -> None:
        first = boolean("norm_first", norm_first)
        super().__init__(
            name,
            norm_before_pool(CAFFENET) if first else CAFFENET,
            {"fc6": 4096, "fc7": 4096},
            caffenet_start(0.1 if first else 1.0).by(initialization),
            num_classes=num_classes,
            after_table=("fc6", "fc7", "fc8", "prob"),
            head_name="fc8",
            width=width,
            clip_length=clip_length,
            side=side,
            recipe="caffenet",
            paper=PAPER,
            source=SOURCE,
            options=options,
        )
        self.fc8 = nn.Linear(self.units, self.num_classes)
        self.dropout = nn.Dropout(fraction("dropout", dropout))

    def activations(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield (layer name, activation) in the order of ``layer_names``, see `VideoModel.activations`."""
        for name, value in self.maps(x):
            x = value
            yield name, x
        x = self.full("fc6", frame_vectors(x))
        yield "fc6", with_time(x)
        x = self.full("fc7", self.dropout(x))
        yield "fc7", with_time(x)
        # fc8 is linear: the mean of its outputs is its output for the mean.
        x = self.fc8(self.dropout(x).mean(1))
        yield "fc8", x
        yield "prob", x.softmax(1)


def alexnet(
    name: str,
    num_classes: int,
    *,
    width: float = 1.0,
    clip_length: int = 1,
    side: int = 227,
    dropout: float = 0.5,
    norm_first: bool = False,
    initialization: str = "published",
) -> VideoModel:
    """Caffe's reference AlexNet; the table is at the head of this module.

    Parameters
    ----------
    name
        The registry's name, here and in all builders.
    num_classes
        Outputs of fc8 (ILSVRC 2012: 1000).
    width
        Factor on all channels and on the 4096 units of fc6 and fc7.
    clip_length
        Frames per clip; each is computed on its own and the logits are averaged.
    side
        Height and width of the crop in pixels.
    dropout
        Share of fc6 and fc7 dropped in training.
    norm_first
        Normalize before pooling, as Krizhevsky's network and bvlc_alexnet do; biases then start at 0.1, not 1.
    initialization
        ``"published"``, or ``"he"`` to train a narrow network from nothing, see `tubelet.models.frame_net.Start`.
    """
    options: dict[str, Any] = {
        "width": width,
        "clip_length": clip_length,
        "side": side,
        "dropout": dropout,
        "norm_first": norm_first,
        "initialization": initialization,
    }
    return AlexNet(name, num_classes=num_classes, **options, options=options)
