"""Two-Stream ConvNets: CNN-M-2048 on a frame and on a stack of optical flow (Simonyan and Zisserman 2014, figure 1).

======= ================== ========== ======================= =============== ===================
layer   kernel, stride     padding    output C × H × W        parameters      multiply-adds
======= ================== ========== ======================= =============== ===================
conv1   7×7, 2             0          96 × 109 × 109          4,704·C0 + 96   55,888,224·C0
pool1   3×3, 2, ceil                  96 × 54 × 54
conv2   5×5, 2             1          256 × 26 × 26                 614,656       415,334,400
pool2   3×3, 2, ceil                  256 × 13 × 13
conv3   3×3, 1             1          512 × 13 × 13               1,180,160       199,360,512
conv4   3×3, 1             1          512 × 13 × 13               2,359,808       398,721,024
conv5   3×3, 1             1          512 × 13 × 13               2,359,808       398,721,024
pool5   3×3, 2, ceil                  512 × 6 × 6
full6   18432 → 4096                  4096                       75,501,568        75,497,472
full7   4096 → 2048                   2048                        8,390,656         8,388,608
fc8     2048 → classes                classes                    2,049 each        2,048 each
======= ================== ========== ======================= =============== ===================

C0 input channels: 3 in the spatial net, 2L in the temporal net (x1, y1, x2, y2, … of L displacement fields). ReLU
follows all layers but fc8, then local response normalization after conv1 and, in the spatial net only, conv2 (the
temporal net goes without the second), then pooling. full6 and full7 are followed by dropout.

==================================== ===========
network                              parameters
==================================== ===========
spatial, 1000 classes (ImageNet)     92,469,864
spatial, 101 and 51 classes          90,627,813, 90,525,363
temporal, L = 1, 5, 10, 101 classes  90,623,109, 90,660,741, 90,707,781
temporal, L = 10, 51 classes         90,605,331
temporal, L = 10, heads of 101 + 51  90,812,280
==================================== ===========

Three things are easily done otherwise. Figure 1 says "pool 2x2", by which the maps shrink; the windows are 3×3, as
the text says. Poolings round up: rounding down would leave 12 and then 5 rows in place of 13 and 6. Krizhevsky's
α = 1e-4 multiplies the sum of squares; PyTorch and Caffe divide α by the five channels, so it is 5e-4 there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tubelet.clips.modality import Stacking
from tubelet.errors import UsageError
from tubelet.models.contract import VideoModel, Weighted
from tubelet.models.initialization import gaussian
from tubelet.models.layers import CaffePool, Conv3d, Lrn, relu
from tubelet.models.options import fraction, positive_float, positive_int, scaled
from tubelet.models.per_frame import at_least_one, convolved, frame_vectors, pooled, with_time
from tubelet.models.spec import InputSpec, Paper, Source

PAPER = Paper(
    title="Two-Stream Convolutional Networks for Action Recognition in Videos",
    authors="Karen Simonyan, Andrew Zisserman",
    year=2014,
    arxiv="1406.2199",
    section="figure 1, section 5",
)

_ORIGIN = (
    "figure 1 and section 5 of the paper; paddings, rounding and normalization as in the published CNN-M-2048 "
    "(VGG_CNN_M_2048)"
)
_INITIALIZATION = "the paper does not say how weights start: gaussian, standard deviation 0.01, biases 0"

# name, channels, kernel, stride, padding, whether a pooling follows
_CONVS = (
    ("conv1", 96, 7, 2, 0, True),
    ("conv2", 256, 5, 2, 1, True),
    ("conv3", 512, 3, 1, 1, False),
    ("conv4", 512, 3, 1, 1, False),
    ("conv5", 512, 3, 1, 1, True),
)


class CnnM(VideoModel):
    """CNN-M-2048 on every frame of a clip by itself; the logits are means over the frames.

    Parameters
    ----------
    name
        The registry's name.
    input
        The clip; ``channels`` is what conv1 sees.
    normalized
        Convolutions that local response normalization follows.
    num_classes
        Outputs of fc8.
    tasks
        Classes of further heads fc8_task2, fc8_task3, …, see `task_logits`.
    width
        Factor on all channels and on full6 and full7.
    dropout
        Share of full6 and full7 that training drops.
    options, source
        See `VideoModel`.

    Notes
    -----
    The paper does not say how weights start. Here they are gaussian with standard deviation 0.01, biases 0: our
    choice, made for the published width (signals shrink in narrow networks).
    """

    def __init__(
        self,
        name: str,
        input: InputSpec,
        normalized: Sequence[str],
        *,
        num_classes: int,
        tasks: Sequence[int],
        width: float,
        dropout: float,
        options: Mapping[str, Any],
        source: Source,
    ) -> None:
        width = positive_float("width", width)
        further = _checked_tasks(tasks)
        trunk = [[conv, f"pool{conv[-1]}"] if pool else [conv] for conv, *_, pool in _CONVS]
        super().__init__(
            name,
            num_classes=num_classes,
            options={**options, "tasks": list(further)},
            input=input,
            layer_names=(*(layer for stage in trunk for layer in stage), "full6", "full7", "fc8", "prob"),
            head_name="fc8",
            paper=PAPER,
            source=source,
        )
        channels, sizes = input.channels, [input.height_width[0]]
        for layer, out, kernel, stride, padding, pool in _CONVS:
            window = ((1, kernel, kernel), (1, stride, stride), (0, padding, padding))
            self.add_module(layer, Conv3d(channels, scaled(out, width), *window))
            channels = scaled(out, width)
            sizes.append(convolved(sizes[-1], kernel, stride, padding))
            if layer in normalized:
                self.add_module(f"norm{layer[-1]}", Lrn(5, 5e-4, 0.75, 2.0))
            if pool:
                self.add_module(f"pool{layer[-1]}", CaffePool("max", (1, 3, 3), (1, 2, 2)))
                sizes.append(pooled(sizes[-1], 3, 2))
        self.full6 = nn.Linear(channels * at_least_one(sizes, input.height_width[0]) ** 2, scaled(4096, width))
        self.full7 = nn.Linear(self.full6.out_features, scaled(2048, width))
        self.fc8 = nn.Linear(self.full7.out_features, self.num_classes)
        self.task_heads = ("fc8", *(f"fc8_task{number}" for number in range(2, len(further) + 2)))
        for head, classes in zip(self.task_heads[1:], further, strict=True):
            self.add_module(head, nn.Linear(self.full7.out_features, classes))
        self.dropout = nn.Dropout(fraction("dropout", dropout))

    def activations(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield (layer name, activation) in the order of ``layer_names``, see `VideoModel.activations`."""
        for layer, *_ in _CONVS:
            x = relu(self.get_submodule(layer)(x))
            yield layer, x
            norm, pool = (getattr(self, f"{follows}{layer[-1]}", None) for follows in ("norm", "pool"))
            if norm is not None:
                x = norm(x)
            if pool is not None:
                x = pool(x)
                yield f"pool{layer[-1]}", x
        x = relu(self.full6(frame_vectors(x)))
        yield "full6", with_time(x)
        x = relu(self.full7(self.dropout(x)))
        yield "full7", with_time(x)
        # The mean of the frames' logits is the logits of their mean, which takes one product.
        x = self.fc8(self.dropout(x).mean(1))
        yield "fc8", x
        yield "prob", x.softmax(1)

    def task_logits(self, x: Tensor) -> tuple[Tensor, ...]:
        """Logits of all heads on clips, the shared layers computed once (section 4 of the paper).

        In training each head's loss counts the clips of its own data set only, and the losses are added.

        Parameters
        ----------
        x
            (N, C, T, H, W) float, as for `forward`.

        Returns
        -------
        tuple of Tensor
            (N, num_classes) of fc8, then (N, classes) of each further head in the order of the option ``tasks``.

        Raises
        ------
        UsageError
            If the clips do not have the shape ``input`` says.
        """
        shared = self.features(x, ("full7",))["full7"]
        shared = self.dropout(shared).mean((2, 3, 4))
        return tuple(self.get_submodule(head)(shared) for head in self.task_heads)

    def initialize_layer(self, name: str, layer: Weighted, generator: torch.Generator) -> None:
        """Starting weights of one layer, see the class's notes."""
        gaussian(layer, 0.01, 0.0, generator)


def two_stream_spatial(
    name: str,
    num_classes: int,
    *,
    width: float = 1.0,
    clip_length: int = 1,
    side: int = 224,
    dropout: float = 0.5,
    tasks: Sequence[int] = (),
) -> VideoModel:
    """The spatial stream: what is to be seen in a frame.

    Parameters
    ----------
    name
        The registry's name, here and in all builders.
    num_classes
        Outputs of fc8.
    width
        Factor on all channels and on the units of full6 and full7.
    clip_length
        Frames in a clip, each scored by itself; the paper's test takes the mean over 25.
    side
        Height and width of the crop in pixels.
    dropout
        Share of full6 and full7 dropped in training. The paper tries 0.5 and 0.9 (table 1a); with the pretrained
        network whose last layer alone is trained, its choice in the end, 0.5.
    tasks
        Classes of further heads, for learning from several data sets at once (section 4).
    """
    options = {"width": width, "clip_length": clip_length, "side": side, "dropout": dropout}
    return CnnM(
        name,
        InputSpec("rgb", 3, positive_int("clip_length", clip_length), 1, positive_int("side", side), "two_stream_rgb"),
        ("conv1", "conv2"),
        num_classes=num_classes,
        tasks=tasks,
        width=width,
        dropout=dropout,
        options=options,
        source=Source(origin=_ORIGIN, choices=(_INITIALIZATION,), printed={"file of the ImageNet weights": "370 MB"}),
    )


def two_stream_temporal(
    name: str,
    num_classes: int,
    *,
    flow_fields: int = 10,
    width: float = 1.0,
    clip_length: int = 1,
    side: int = 224,
    dropout: float = 0.9,
    stacking: Stacking = "optical_flow",
    tasks: Sequence[int] = (),
) -> VideoModel:
    """The temporal stream: how things move, from stacked optical flow.

    Parameters
    ----------
    flow_fields
        L, the displacement fields in a stack; conv1 sees 2L channels. The paper compares 1, 5 and 10.
    clip_length
        Stacks in a clip, each scored by itself.
    dropout
        Share of full6 and full7 dropped in training; 0.9 in the paper.
    stacking
        What a stack holds (section 3.1): ``"optical_flow"``, equation (1); ``"trajectory"``, equations (2) and (3);
        ``"bidirectional"`` or ``"bidirectional_trajectory"``, L/2 fields of forward and L/2 of backward flow.
    name, num_classes, width, side, tasks
        As in `two_stream_spatial`.
    """
    fields = positive_int("flow_fields", flow_fields)
    options = {
        "flow_fields": fields,
        "width": width,
        "clip_length": clip_length,
        "side": side,
        "dropout": dropout,
        "stacking": stacking,
    }
    length = positive_int("clip_length", clip_length)
    clip = InputSpec("flow", 2 * fields, length, 1, positive_int("side", side), "two_stream_flow", stacking=stacking)
    _ = clip.content  # refuses an unknown stacking, and bidirectional stacks of an odd number of fields
    return CnnM(
        name,
        clip,
        ("conv1",),
        num_classes=num_classes,
        tasks=tasks,
        width=width,
        dropout=dropout,
        options=options,
        source=Source(origin=_ORIGIN, choices=(_INITIALIZATION,)),
    )


def _checked_tasks(tasks: object) -> tuple[int, ...]:
    if not isinstance(tasks, Sequence) or isinstance(tasks, str):
        raise UsageError(f"tasks={tasks!r} is not a sequence of class counts", remedy="give a tuple such as (51,)")
    return tuple(positive_int("tasks", classes) for classes in tasks)
