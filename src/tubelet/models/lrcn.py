"""LRCN for activity recognition: an LSTM over the frames' fc6 (Donahue et al. 2015, arXiv 1411.4389).

========= ============================== ================ ============ =====================
layer     kernel, stride                 output           parameters   multiply-adds a frame
========= ============================== ================ ============ =====================
conv1     7×7, 2                         96 × 111 × 111        14,208            173,873,952
pool1     3×3, 2                         96 × 55 × 55
norm1     5 channels                     96 × 55 × 55
conv2     5×5, 2, 2 groups               384 × 26 × 26        461,184            311,500,800
pool2     3×3, 2                         384 × 13 × 13
norm2     5 channels                     384 × 13 × 13
conv3     3×3, 1, pad 1                  512 × 13 × 13      1,769,984            299,040,768
conv4     3×3, 1, pad 1, 2 groups        512 × 13 × 13      1,180,160            199,360,512
conv5     3×3, 1, pad 1, 2 groups        384 × 13 × 13        885,120            149,520,384
pool5     3×3, 2                         384 × 6 × 6
fc6       13824 → 4096                   4096              56,627,200             56,623,104
lstm1     4096 → 256                     256                4,458,496              4,456,448
fc8_final 256 → classes, at each frame   classes             257 each               256 each
========= ============================== ================ ============ =====================

A clip is 16 consecutive frames of 227 × 227. Each convolution is followed by ReLU, fc6 by ReLU and dropout of 0.9,
lstm1 by dropout of 0.5; poolings and norms are CaffeNet's (`tubelet.models.alexnet`). The softmax of each frame is
averaged over the frames. In all 65,422,309 parameters at 101 classes, of which 1,024 are the second bias vector of
PyTorch's LSTM (Caffe's has one), and 19,110,429,184 multiply-adds a clip
[LisaAnne/lisa-caffe-public examples/LRCN_activity_recognition/train_test_lstm_RGB.prototxt].

This image network, between CaffeNet and Zeiler and Fergus's, is the one that was released; descriptions of LRCN often
say CaffeNet, which is ``base="caffenet"``.
"""

from __future__ import annotations

from typing import Any

from tubelet.errors import UsageError
from tubelet.models.alexnet import CAFFENET
from tubelet.models.contract import VideoModel
from tubelet.models.frame_net import Conv, Norm, Pool, Row, Start
from tubelet.models.options import suggestion
from tubelet.models.recurrent import RecurrentNet
from tubelet.models.spec import Paper, Source

PAPER = Paper(
    title="Long-term Recurrent Convolutional Networks for Visual Recognition and Description",
    authors="Jeff Donahue, Lisa Anne Hendricks, Marcus Rohrbach, Subhashini Venugopalan, Sergio Guadarrama, "
    "Kate Saenko, Trevor Darrell",
    year=2015,
    arxiv="1411.4389",
    section="activity recognition",
)

SOURCE = Source(
    reconstruction=True,
    origin="LisaAnne/lisa-caffe-public examples/LRCN_activity_recognition: train_test_lstm_RGB.prototxt, "
    "classify_video.py, sequence_input_layer.py; src/caffe/layers/lstm_layer.cpp",
    choices=(
        "The image network is that of the released prototxt, where descriptions often say CaffeNet (base='caffenet').",
        "The LSTM has PyTorch's two bias vectors, both starting at 0, where Caffe's has one.",
        "The learning rate of fc8_final is that of every classifier here, not ten times the others' as released.",
    ),
)

HYBRID: tuple[Row, ...] = (
    Conv("conv1", 96, 7, stride=2),
    Pool("pool1"),
    Norm("norm1"),
    Conv("conv2", 384, 5, stride=2, groups=2),
    Pool("pool2"),
    Norm("norm2"),
    Conv("conv3", 512, 3, pad=1),
    Conv("conv4", 512, 3, pad=1, groups=2),
    Conv("conv5", 384, 3, pad=1, groups=2),
    Pool("pool5"),
)

_BASES: dict[str, tuple[Row, ...]] = {"hybrid": HYBRID, "caffenet": CAFFENET}


def lrcn(
    name: str,
    num_classes: int,
    *,
    base: str = "hybrid",
    units: int = 256,
    votes: str = "average",
    width: float = 1.0,
    clip_length: int = 16,
    step_frames: int = 1,
    side: int = 227,
    dropout: float = 0.9,
    lstm_dropout: float = 0.5,
    initialization: str = "published",
) -> VideoModel:
    """LRCN with RGB frames; the table is at the head of this module.

    Parameters
    ----------
    name
        The registry's name, here and in all builders.
    num_classes
        Outputs of fc8_final.
    base
        ``"hybrid"``, the image network of the released prototxt, or ``"caffenet"``.
    units
        Memory cells of the LSTM.
    votes
        How the predictions of the frames become one: ``"average"`` as published, ``"last"``, ``"max"`` or
        ``"linear"``.
    width
        Factor on all channels and on the 4096 units of fc6.
    clip_length
        Frames per clip.
    step_frames
        Video frames from one frame of a clip to the next; 1, as published: consecutive ones.
    side
        Height and width of the crop in pixels.
    dropout, lstm_dropout
        Shares of fc6 and of the LSTM's outputs dropped in training.
    initialization
        ``"published"``, or ``"he"`` to train a narrow network from nothing, see `tubelet.models.frame_net.Start`.

    Raises
    ------
    UsageError
        If an option's value is unknown.
    """
    if base not in _BASES:
        raise UsageError(f"base={base!r} is unknown", remedy=suggestion(str(base), _BASES, "choose one of"))
    options: dict[str, Any] = {
        "base": base,
        "units": units,
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
        _BASES[base],
        {"fc6": 4096},
        Start(0.01, 0.1, stds={}, biases={"fc8_final": 0.0}).by(initialization),
        lstm_name="lstm1",
        head_name="fc8_final",
        lstm_units=units,
        lstm_layers=1,
        lstm_start=(0.01, 0.01),
        votes=votes,
        dropout=dropout,
        lstm_dropout=lstm_dropout,
        num_classes=num_classes,
        width=width,
        clip_length=clip_length,
        step_frames=step_frames,
        side=side,
        recipe="lrcn_rgb",
        paper=PAPER,
        source=SOURCE,
        options=options,
    )
