"""The LSTM composite: learn from unlabeled frames, then classify (Srivastava et al. 2015, arXiv 1502.04681).

=================== ========================================= =================================
layer               reads, for each of 16 frames              gives
=================== ========================================= =================================
conv1-pool5, fc6    AlexNet, each frame                       percepts, 4096 a frame
encoder_lstm        percepts                                  its last state, 2048 cells
reconstruction_lstm the encoder's state, its own last output  2048 a frame
reconstruction_out  2048 → 4096                               the same percepts, last frame first
prediction_lstm     the encoder's state, its own last output  2048 a frame
prediction_out      2048 → 4096                               the percepts of the frames to come
classifier_lstm     percepts                                  2048 a frame
classifier_out      2048 → classes, each frame                classes
=================== ========================================= =================================

First encoder and decoders learn from video without labels (`LstmComposite.composite_loss`). Then the classifier's LSTM
takes over the encoder's weights (`LstmComposite.copy_encoder`) and learns from labels; the softmax of each frame is
averaged over the frames. `forward` is the classifier alone, and so are the multiply-adds counted for a clip: in all
258,471,397 parameters at 101 classes, 12,065,153,536 multiply-adds.

This is a reconstruction from the authors' code for image patches and for classifiers on percepts; see `SOURCE`.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from tubelet.errors import UsageError
from tubelet.models.alexnet import CAFFENET, caffenet_start
from tubelet.models.contract import VideoModel, Weighted
from tubelet.models.initialization import gaussian, uniform
from tubelet.models.layers import Lstm
from tubelet.models.options import boolean, positive_int
from tubelet.models.per_frame import frame_vectors
from tubelet.models.recurrent import RecurrentNet
from tubelet.models.spec import Paper, Source

PAPER = Paper(
    title="Unsupervised Learning of Video Representations using LSTMs",
    authors="Nitish Srivastava, Elman Mansimov, Ruslan Salakhutdinov",
    year=2015,
    arxiv="1502.04681",
    section="composite model",
)

SOURCE = Source(
    reconstruction=True,
    origin="mansimov/unsupervised-videos: lstm.py, lstm_combo.py, lstm_classifier.py, "
    "models/lstm_combo_1layer_ucf101_patches.pbtxt, models/lstm_classifier_1layer_ucf101_features.pbtxt",
    choices=(
        "Percepts are fc6 of Caffe's reference AlexNet; it is trained with the classifier unless it is frozen.",
        "One layer of LSTM, as in the released classifier; layers=2 stacks two.",
        "No peephole connections: the released classifier's are zero and stay so, the released composite's are not.",
        "Both decoders are conditioned on their last output, as in the released composite for patches.",
        "13 frames to come are predicted from 16; the released composite for patches predicts 10 from 10.",
        "Without conditioning a decoder reads a constant 1, whose weights are one more bias vector.",
        "Input matrices start within ±0.001 as in the released classifier, in all four LSTMs.",
    ),
)

_DECODERS = ("reconstruction", "prediction")


class LstmComposite(RecurrentNet):
    """The networks of this module's table.

    Percepts are (N, T, D) float, D the units of fc6: what `percepts` gives, or from elsewhere.

    Parameters
    ----------
    conditioned, future_length
        See `lstm_composite`, whose other parameters are those of `RecurrentNet`.
    """

    def __init__(
        self,
        name: str,
        *,
        num_classes: int,
        units: int,
        layers: int,
        conditioned: bool,
        future_length: int,
        votes: str,
        width: float,
        clip_length: int,
        step_frames: int,
        side: int,
        dropout: float,
        lstm_dropout: float,
        initialization: str,
        options: dict[str, Any],
    ) -> None:
        super().__init__(
            name,
            CAFFENET,
            {"fc6": 4096},
            caffenet_start().by(initialization),
            lstm_name="classifier_lstm",
            head_name="classifier_out",
            lstm_units=units,
            lstm_layers=layers,
            lstm_start=(0.001, 0.01),
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
            source=SOURCE,
            options=options,
        )
        self.conditioned = boolean("conditioned", conditioned)
        self.future_length = positive_int("future_length", future_length)
        cells, count = int(units), int(layers)
        self.encoder_lstm = Lstm(self.units, cells, count)
        for decoder in _DECODERS:
            self.add_module(f"{decoder}_lstm", Lstm(self.units if conditioned else 1, cells, count))
            self.add_module(f"{decoder}_out", nn.Linear(cells, self.units))

    def percepts(self, x: Tensor) -> Tensor:
        """fc6 of each frame: (N, 3, T, H, W), any number of frames, → (N, T, D), not negative."""
        for _, value in self.maps(x):
            x = value
        return self.full("fc6", frame_vectors(x))

    def compose(self, percepts: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruct a sequence of percepts and predict how it goes on, each decoder from its own outputs.

        Parameters
        ----------
        percepts
            (N, T, D), in order.

        Returns
        -------
        tuple of Tensor
            The reconstruction (N, T, D), *last frame first*; the prediction (N, future_length, D), in order.

        Raises
        ------
        UsageError
            If they are no percepts of this network.
        """
        self._check_percepts("percepts", percepts)
        _, state = self.encoder_lstm(percepts)
        reconstruction = self._decode("reconstruction", state, percepts.shape[1])
        return reconstruction, self._decode("prediction", state, self.future_length)

    def composite_loss(self, percepts_in: Tensor, percepts_future: Tensor) -> Tensor:
        """Half the squared error of reconstruction and prediction, summed over D, averaged over clips and frames.

        The target of the reconstruction is the input in reverse order: the encoder's last state knows the last frame
        best. A conditioned decoder reads the target's last frame here, not its own output [lstm_combo.py].

        Parameters
        ----------
        percepts_in
            (N, T, D), what the encoder reads.
        percepts_future
            (N, F, D), the frames after it, any number of them.

        Returns
        -------
        Tensor
            A number, the sum of both errors. Gradients reach the percepts too: detach those of a trained fc6.

        Raises
        ------
        UsageError
            If they are no percepts of this network, or of different clips.
        """
        self._check_percepts("percepts_in", percepts_in)
        self._check_percepts("percepts_future", percepts_future)
        if len(percepts_in) != len(percepts_future):
            raise UsageError(
                "percepts_in and percepts_future are of different clips",
                why=f"got {len(percepts_in)} and {len(percepts_future)}",
                remedy="give both for the same clips",
            )
        _, state = self.encoder_lstm(percepts_in)
        loss = percepts_in.new_zeros(())
        for decoder, target in zip(_DECODERS, (percepts_in.flip(1), percepts_future), strict=True):
            output = self._decode(decoder, state, target.shape[1], target)
            loss = loss + (output - target).square().sum(2).mean() / 2
        return loss

    @torch.no_grad()
    def copy_encoder(self) -> None:
        """Give the classifier's LSTM the encoder's weights, all layers: where learning from labels begins."""
        classifier = self.get_submodule("classifier_lstm")
        for mine, learned in zip(classifier.parameters(), self.encoder_lstm.parameters(), strict=True):
            mine.copy_(learned)

    def initialize_layer(self, name: str, layer: Weighted, generator: torch.Generator) -> None:
        """Starting weights of one layer: AlexNet's, and those of the released configurations behind it."""
        if name == "classifier_out":
            gaussian(layer, 0.001, 0.0, generator)
        elif name in ("reconstruction_out", "prediction_out"):
            uniform(layer, 0.01, generator)
            nn.init.zeros_(cast(Tensor, layer.bias))
        else:
            super().initialize_layer(name, layer, generator)

    def _decode(self, decoder: str, state: tuple[Tensor, Tensor], frames: int, target: Tensor | None = None) -> Tensor:
        lstm, out = self.get_submodule(f"{decoder}_lstm"), self.get_submodule(f"{decoder}_out")
        clips = state[0].shape[1]
        if not self.conditioned:
            hidden, _ = lstm(state[0].new_ones(clips, frames, 1), state)
            return cast(Tensor, out(hidden))
        # Nothing came before the first frame that is decoded.
        last = state[0].new_zeros(clips, 1, self.units)
        if target is not None:
            hidden, _ = lstm(torch.cat([last, target[:, :-1].to(last.dtype)], 1), state)
            return cast(Tensor, out(hidden))
        outputs = []
        for _ in range(frames):
            hidden, state = lstm(last, state)
            last = out(hidden)
            outputs.append(last)
        return torch.cat(outputs, 1)

    def _check_percepts(self, what: str, percepts: Tensor) -> None:
        if percepts.dim() != 3 or percepts.shape[2] != self.units or not percepts.shape[1]:
            raise UsageError(
                f"{what} has the shape {tuple(percepts.shape)}",
                why=f"percepts of this network are (clips, frames, {self.units})",
                remedy="compute them with its percepts method, or build it with another width",
            )


def lstm_composite(
    name: str,
    num_classes: int,
    *,
    units: int = 2048,
    layers: int = 1,
    conditioned: bool = True,
    future_length: int = 13,
    votes: str = "average",
    width: float = 1.0,
    clip_length: int = 16,
    step_frames: int = 1,
    side: int = 227,
    dropout: float = 0.0,
    lstm_dropout: float = 0.0,
    initialization: str = "published",
) -> VideoModel:
    """The LSTM composite over AlexNet's fc6; the table is at the head of this module.

    Parameters
    ----------
    name
        The registry's name, here and in all builders.
    num_classes
        Outputs of classifier_out.
    units, layers
        Memory cells per layer, and layers, of all four LSTMs.
    conditioned
        Whether the decoders read their last output.
    future_length
        Frames that `LstmComposite.compose` predicts.
    votes
        How the predictions of the frames become one: ``"average"`` as published, ``"last"``, ``"max"`` or
        ``"linear"``.
    width
        Factor on AlexNet's channels and on the 4096 units of fc6, the size of a percept.
    clip_length
        Frames per clip.
    step_frames
        Video frames from one frame of a clip to the next; 1, as published: consecutive ones.
    side
        Height and width of the crop in pixels.
    dropout, lstm_dropout
        Shares of the percepts and of the classifier LSTM's outputs dropped in training; none in the released
        configuration.
    initialization
        ``"published"``, or ``"he"`` to train a narrow network from nothing, see `tubelet.models.frame_net.Start`.
    """
    options: dict[str, Any] = {
        "units": units,
        "layers": layers,
        "conditioned": conditioned,
        "future_length": future_length,
        "votes": votes,
        "width": width,
        "clip_length": clip_length,
        "step_frames": step_frames,
        "side": side,
        "dropout": dropout,
        "lstm_dropout": lstm_dropout,
        "initialization": initialization,
    }
    return LstmComposite(name, num_classes=num_classes, **options, options=options)
