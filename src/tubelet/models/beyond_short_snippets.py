"""Convolution pooling and a deep LSTM over two minutes of video (Ng et al. 2015, arXiv 1503.08909).

============ ================================ =====================
layer        conv_pooling                     lstm_pooling
============ ================================ =====================
conv1-pool5  AlexNet, each frame              AlexNet, each frame
pool_time    maximum over the frames
fc6          9216 → 4096                      9216 → 4096, each frame
fc7          4096 → 4096                      4096 → 4096, each frame
lstm                                          5 layers of 512 cells
fc8          4096 → classes                   512 → classes, each frame
============ ================================ =====================

A clip is 120 frames, one a second: ``step_frames`` is 30, which is a second of video at 30 frames per second. AlexNet
is Caffe's (`tubelet.models.alexnet`). At 101 classes conv_pooling has 57,282,021 parameters and 79,949,123,328
multiply-adds a clip, lstm_pooling 74,766,309 and 88,582,598,400.

Both are reconstructions: what is public says that the last convolutional maps are max-pooled over time before two
fully connected layers, that five layers of 512 cells predict at each frame, and that these predictions are weighted
linearly in time, in the loss as at the end. The rest is in `CONV_SOURCE` and `LSTM_SOURCE`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from tubelet.models.alexnet import CAFFENET, caffenet_start
from tubelet.models.contract import VideoModel
from tubelet.models.frame_net import FrameNet
from tubelet.models.options import fraction
from tubelet.models.recurrent import RecurrentNet
from tubelet.models.spec import Paper, Source

PAPER = Paper(
    title="Beyond Short Snippets: Deep Networks for Video Classification",
    authors="Joe Yue-Hei Ng, Matthew Hausknecht, Sudheendra Vijayanarasimhan, Oriol Vinyals, Rajat Monga, "
    "George Toderici",
    year=2015,
    arxiv="1503.08909",
    section="feature pooling and LSTM architectures",
)

_ORIGIN = "the paper's abstract; public reading notes and the restatement of its results in Qiu et al. 2017"
_SHARED = (
    "The image network is Caffe's reference AlexNet with its crop of 227 and its recipe.",
    "A frame a second is every 30th frame, right at 30 frames per second; step_frames=25 serves 25.",
)

CONV_SOURCE = Source(
    reconstruction=True,
    origin=_ORIGIN,
    choices=(
        *_SHARED,
        "The maximum over time is taken of pool5: the maximum of conv5 over time, pooled, is the same.",
        "The two fully connected layers are AlexNet's fc6 and fc7 with dropout 0.5.",
    ),
)

LSTM_SOURCE = Source(
    reconstruction=True,
    origin=_ORIGIN,
    choices=(
        *_SHARED,
        "The LSTM reads fc7, the image network's last layer before its classifier, with AlexNet's dropout of 0.5.",
        "The linear weights of the frames' predictions grow from 0 at the first frame and are of the probabilities.",
        "The LSTM has no peepholes and starts uniformly within 1/√512.",
    ),
)


class ConvPooling(FrameNet):
    """Convolution pooling: the largest response of each filter at each place over all frames, then AlexNet's rest.

    Parameters are those of `conv_pooling`.
    """

    def __init__(
        self,
        name: str,
        *,
        num_classes: int,
        width: float,
        clip_length: int,
        step_frames: int,
        side: int,
        dropout: float,
        initialization: str,
        options: dict[str, Any],
    ) -> None:
        super().__init__(
            name,
            CAFFENET,
            {"fc6": 4096, "fc7": 4096},
            caffenet_start().by(initialization),
            num_classes=num_classes,
            after_table=("pool_time", "fc6", "fc7", "fc8", "prob"),
            head_name="fc8",
            width=width,
            clip_length=clip_length,
            step_frames=step_frames,
            side=side,
            recipe="caffenet",
            paper=PAPER,
            source=CONV_SOURCE,
            options=options,
        )
        self.fc8 = nn.Linear(self.units, self.num_classes)
        self.dropout = nn.Dropout(fraction("dropout", dropout))

    def activations(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield (layer name, activation) in the order of ``layer_names``, see `VideoModel.activations`."""
        for name, value in self.maps(x):
            x = value
            yield name, x
        x = x.amax(2, keepdim=True)
        yield "pool_time", x
        x = self.full("fc6", x.flatten(1))
        yield "fc6", x
        x = self.full("fc7", self.dropout(x))
        yield "fc7", x
        x = self.fc8(self.dropout(x))
        yield "fc8", x
        yield "prob", x.softmax(1)


def conv_pooling(
    name: str,
    num_classes: int,
    *,
    width: float = 1.0,
    clip_length: int = 120,
    step_frames: int = 30,
    side: int = 227,
    dropout: float = 0.5,
    initialization: str = "published",
) -> VideoModel:
    """Convolution pooling over AlexNet; the table is at the head of this module.

    Parameters
    ----------
    name
        The registry's name, here and in all builders.
    num_classes
        Outputs of fc8.
    width
        Factor on all channels and on the 4096 units of fc6 and fc7.
    clip_length
        Frames per clip.
    step_frames
        Video frames from one to the next: as many as the video has in a second.
    side
        Height and width of the crop in pixels.
    dropout
        Share of fc6 and fc7 dropped in training.
    initialization
        ``"published"``, or ``"he"`` to train a narrow network from nothing, see `tubelet.models.frame_net.Start`.
    """
    options: dict[str, Any] = {
        "width": width,
        "clip_length": clip_length,
        "step_frames": step_frames,
        "side": side,
        "dropout": dropout,
        "initialization": initialization,
    }
    return ConvPooling(name, num_classes=num_classes, **options, options=options)


def lstm_pooling(
    name: str,
    num_classes: int,
    *,
    units: int = 512,
    layers: int = 5,
    votes: str = "linear",
    width: float = 1.0,
    clip_length: int = 120,
    step_frames: int = 30,
    side: int = 227,
    dropout: float = 0.5,
    lstm_dropout: float = 0.0,
    initialization: str = "published",
) -> VideoModel:
    """Five layers of LSTM over AlexNet's fc7; the table is at the head of this module.

    Parameters
    ----------
    name
        The registry's name, here and in all builders.
    num_classes
        Outputs of fc8.
    units, layers
        Memory cells per LSTM layer, and layers.
    votes
        How the predictions of the frames become one: ``"linear"``, weights growing from 0 to their largest with
        time, as the public notes on the paper have it; ``"average"``, ``"last"`` or ``"max"``, which the paper
        compares with it.
    width
        Factor on all channels and on the 4096 units of fc6 and fc7.
    clip_length
        Frames per clip.
    step_frames
        Video frames from one to the next: as many as the video has in a second.
    side
        Height and width of the crop in pixels.
    dropout, lstm_dropout
        Shares of fc6 and fc7, and of the LSTM's outputs, dropped in training.
    initialization
        ``"published"``, or ``"he"`` to train a narrow network from nothing, see `tubelet.models.frame_net.Start`.
    """
    options: dict[str, Any] = {
        "units": units,
        "layers": layers,
        "votes": votes,
        "width": width,
        "clip_length": clip_length,
        "step_frames": step_frames,
        "side": side,
        "dropout": dropout,
        "lstm_dropout": lstm_dropout,
        "initialization": initialization,
    }
    return RecurrentNet(
        name,
        CAFFENET,
        {"fc6": 4096, "fc7": 4096},
        caffenet_start().by(initialization),
        lstm_name="lstm",
        head_name="fc8",
        lstm_units=units,
        lstm_layers=layers,
        votes=votes,
        dropout=dropout,
        lstm_dropout=lstm_dropout,
        num_classes=num_classes,
        width=width,
        clip_length=clip_length,
        step_frames=step_frames,
        side=side,
        recipe="caffenet",
        paper=PAPER,
        source=LSTM_SOURCE,
        options=options,
    )
