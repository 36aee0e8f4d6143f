"""One prediction of a clip out of the predictions at its frames, and the loss that such networks are trained with.

A recurrent network predicts at every frame. Its papers average the frames' *probabilities*, not their logits. The
combined probabilities are handed on as their logarithms, whose softmax they are: so a network's logits stay logits.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tubelet.errors import UsageError
from tubelet.models.options import suggestion

VOTES = ("average", "last", "max", "linear")
"""Ng et al. 2015 compare these four; their sum over time is the average."""


def checked_votes(option: str, value: object) -> str:
    """``value`` itself, which has to be one of `VOTES`.

    Raises
    ------
    UsageError
        If it is none of them.
    """
    if not isinstance(value, str) or value not in VOTES:
        raise UsageError(f"{option}={value!r} is unknown", remedy=suggestion(str(value), VOTES, "choose one of"))
    return value


def frame_weights(frames: int, votes: str, device: torch.device, dtype: torch.dtype) -> Tensor:
    """How much each frame's prediction counts: (T,), not negative, sum 1.

    ``"linear"`` grows from 0 at the first frame to its largest at the last, when the network has seen the clip;
    ``"max"`` has no weights of its own and counts all frames alike in the loss.
    """
    if votes == "last" or frames == 1:
        weights = torch.zeros(frames, device=device, dtype=dtype)
        weights[-1] = 1.0
        return weights
    if votes == "linear":
        weights = torch.linspace(0.0, 1.0, frames, device=device, dtype=dtype)
        return weights / weights.sum()
    return torch.full((frames,), 1 / frames, device=device, dtype=dtype)


def combined_logits(frame_logits: Tensor, votes: str) -> Tensor:
    """Logits of clips, whose softmax is the combination of the frames' probabilities.

    Parameters
    ----------
    frame_logits
        (N, T, K).
    votes
        ``"average"``: mean over frames; ``"linear"``: weighted mean, see `frame_weights`; ``"last"``: the last
        frame's; ``"max"``: each class's largest, which then no longer sum to one: their softmax divides by the sum.

    Returns
    -------
    Tensor
        (N, K) in float32 (float64 for float64).
    """
    # Under autocast the logits come in bfloat16, whose logarithms of probabilities would be rounded twice.
    logits = frame_logits if frame_logits.dtype == torch.float64 else frame_logits.float()
    if votes == "last":
        return logits[:, -1].log_softmax(-1)
    log_probabilities = logits.log_softmax(-1)
    if votes == "max":
        return log_probabilities.amax(1)
    weights = frame_weights(logits.shape[1], votes, logits.device, logits.dtype)
    # A weight of zero has the logarithm -inf, which logsumexp leaves out, gradient included.
    return (log_probabilities + weights.log()[:, None]).logsumexp(1)


def frame_loss(frame_logits: Tensor, labels: Tensor, votes: str) -> Tensor:
    """The published training loss: each frame's cross-entropy with the clip's label, weighted and averaged.

    Parameters
    ----------
    frame_logits
        (N, T, K).
    labels
        (N,) class numbers.
    votes
        See `frame_weights`: Ng et al. weight the frames linearly in the loss as well.

    Returns
    -------
    Tensor
        A number: the mean over clips.
    """
    frames = frame_logits.shape[1]
    losses = F.cross_entropy(frame_logits.flatten(0, 1), labels.repeat_interleave(frames), reduction="none")
    weights = frame_weights(frames, votes, losses.device, losses.dtype)
    return (losses.view(-1, frames) * weights).sum(1).mean()
