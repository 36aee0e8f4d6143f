"""An LSTM over the frames of an image network, which predicts at every frame: LRCN, Ng et al.'s LSTM, the composite's.

The image network gives a vector per frame; the LSTM reads them in order; its state at each frame goes through the
classifier; the frames' predictions become one (`tubelet.models.frame_votes`).

PyTorch's LSTM has no peephole connections, and two bias vectors per layer where the papers' have one: 4 × units more
numbers that are the same function.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tubelet.models.frame_net import FrameNet, Row, Start
from tubelet.models.frame_votes import checked_votes, combined_logits, frame_loss
from tubelet.models.layers import Lstm
from tubelet.models.options import fraction, positive_int
from tubelet.models.per_frame import frame_vectors, with_time
from tubelet.models.spec import Paper, Source


class RecurrentNet(FrameNet):
    """A table within each frame, fully connected layers, an LSTM over the frames, a classifier at each.

    Parameters
    ----------
    rows, full, start
        The image network, see `FrameNet`.
    lstm_name, head_name
        Names of the LSTM and of the classifier.
    lstm_units, lstm_layers
        Memory cells per layer, and layers one above the other.
    lstm_start
        Largest absolute starting weight of the input and of the recurrent matrices (uniform; biases 0); None:
        everything uniform within 1/√(units), as PyTorch does.
    votes
        How the predictions of the frames become one, see `tubelet.models.frame_votes.combined_logits`.
    dropout, lstm_dropout
        Share of each fully connected layer, and of the LSTM's outputs, that training drops.
    name, num_classes, width, clip_length, side, recipe, paper, source, options, step_frames
        See `FrameNet`; ``width`` does not touch the LSTM.
    """

    def __init__(
        self,
        name: str,
        rows: Sequence[Row],
        full: Mapping[str, int],
        start: Start,
        *,
        lstm_name: str,
        head_name: str,
        lstm_units: int,
        lstm_layers: int,
        votes: str,
        dropout: float,
        lstm_dropout: float,
        num_classes: int,
        width: float,
        clip_length: int,
        side: int,
        recipe: str,
        paper: Paper,
        source: Source,
        options: Mapping[str, Any],
        step_frames: int = 1,
        lstm_start: tuple[float, float] | None = None,
    ) -> None:
        super().__init__(
            name,
            rows,
            full,
            start,
            num_classes=num_classes,
            after_table=(*full, lstm_name, head_name, "prob"),
            head_name=head_name,
            width=width,
            clip_length=clip_length,
            side=side,
            recipe=recipe,
            paper=paper,
            source=source,
            options=options,
            step_frames=step_frames,
        )
        self.full_names, self.lstm_name, self.lstm_start = tuple(full), lstm_name, lstm_start
        self.votes = checked_votes("votes", votes)
        cells = positive_int("units", lstm_units)
        self.add_module(lstm_name, Lstm(self.units, cells, positive_int("layers", lstm_layers)))
        self.add_module(head_name, nn.Linear(cells, self.num_classes))
        self.dropout = nn.Dropout(fraction("dropout", dropout))
        self.lstm_dropout = nn.Dropout(fraction("lstm_dropout", lstm_dropout))

    def activations(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield (layer name, activation) in the order of ``layer_names``, see `VideoModel.activations`.

        The LSTM's are its outputs at each frame, between -1 and 1; the classifier's are the clip's logits.
        """
        for name, value in self._up_to_lstm(x):
            x = value
            yield name, x
        logits = combined_logits(self._classified(x), self.votes)
        yield self.head_name, logits
        yield "prob", logits.softmax(1)

    def frame_logits(self, x: Tensor) -> Tensor:
        """The classifier at each frame: (N, 3, T, H, W) → (N, T, num_classes).

        Raises
        ------
        UsageError
            If the clips do not have the shape ``input`` says.
        """
        self._check_clips(x)
        for _, value in self._up_to_lstm(x):
            x = value
        return self._classified(x)

    def frame_loss(self, x: Tensor, labels: Tensor) -> Tensor:
        """The loss of the papers, at each frame, see `tubelet.models.frame_votes.frame_loss`.

        Cross-entropy of `forward`'s logits is -log of the combined probability of the right class; this is the
        combination of the frames' -log. Both want every frame to be right; this one punishes each wrong one.
        """
        return frame_loss(self.frame_logits(x), labels, self.votes)

    def _up_to_lstm(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        for name, value in self.maps(x):
            x = value
            yield name, x
        x = frame_vectors(x)
        for name in self.full_names:
            x = self.full(name, x)
            yield name, with_time(x)
            x = self.dropout(x)
        x, _ = self.get_submodule(self.lstm_name)(x)
        yield self.lstm_name, with_time(x)

    def _classified(self, lstm: Tensor) -> Tensor:
        outputs = lstm.flatten(2).transpose(1, 2)
        logits: Tensor = self.get_submodule(self.head_name)(self.lstm_dropout(outputs))
        return logits

    @torch.no_grad()
    def initialize_lstm(self, name: str, layer: Lstm, generator: torch.Generator) -> None:
        """Fill an LSTM's weights and biases in place, see ``lstm_start`` and `Start`."""
        if self.lstm_start is None or self.start.rule == "he":
            super().initialize_lstm(name, layer, generator)
            return
        for key, parameter in layer.named_parameters():
            limit = 0.0 if key.startswith("bias") else self.lstm_start[key.startswith("weight_hh")]
            parameter.uniform_(-limit, limit, generator=generator)
