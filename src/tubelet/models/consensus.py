"""Segmental consensus: the scores of a video's snippets become the scores of the video (TSN, equations 1 to 3).

With f_k the class scores of snippet k out of K, before softmax, the video's scores are

========= ================================ =======================================================================
name      G                                learned
========= ================================ =======================================================================
average   (1/K) Σ f_k                      nothing; the papers' default
max       max over k, for each class       nothing
top_k     mean of the 𝒦 largest f_k,       nothing; 𝒦 = 1 is max, 𝒦 = K average
          for each class
weighted  Σ ω_k f_k                        K scalars ω, shared by the classes
attention Σ A_k f_k, A = softmax over k    ω_att, one number for each hidden unit
          of e_k = ω_att · R_k
========= ================================ =======================================================================

R_k is what the trunk's pooling gives for snippet k. Sources: Wang et al. 2016 (average, max, weighted) and 2019,
arXiv 1705.02953 (top_k, attention). Every module takes scores (N, K, classes) and hidden activations (N, K, D) and
gives (N, classes). All but weighted take any number of snippets, whatever they were trained with.
"""

from __future__ import annotations

from torch import Tensor, nn

from tubelet.errors import UsageError
from tubelet.models.options import positive_int, suggestion

KINDS = ("average", "max", "top_k", "weighted", "attention")


class Average(nn.Module):
    """The mean over snippets."""

    def forward(self, scores: Tensor, hidden: Tensor) -> Tensor:
        """(N, K, classes) → (N, classes); ``hidden`` is not looked at."""
        return scores.mean(1)


class Maximum(nn.Module):
    """The largest score of each class."""

    def forward(self, scores: Tensor, hidden: Tensor) -> Tensor:
        """(N, K, classes) → (N, classes); ``hidden`` is not looked at."""
        return scores.amax(1)


class TopK(nn.Module):
    """The mean of each class's largest scores, which snippets they may come from.

    Parameters
    ----------
    count
        How many (𝒦).
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(self, scores: Tensor, hidden: Tensor) -> Tensor:
        """(N, K, classes) → (N, classes); ``hidden`` is not looked at.

        Raises
        ------
        UsageError
            If there are fewer snippets than scores to average.
        """
        if scores.shape[1] < self.count:
            raise UsageError(
                f"top-{self.count} consensus needs at least {self.count} snippets",
                why=f"got {scores.shape[1]}",
                remedy="give more snippets, or build the network with a smaller top_k",
            )
        return scores.topk(self.count, dim=1).values.mean(1)

    def extra_repr(self) -> str:
        """Its number, for ``print(model)``."""
        return f"count={self.count}"


class Weighted(nn.Module):
    """A learned weight for each place in the video: the first snippet, the second, …

    Parameters
    ----------
    segments
        How many places.
    """

    def __init__(self, segments: int) -> None:
        super().__init__()
        self.segments = segments
        # A fully connected layer from snippets to one video, so that counts and starting weights know about it.
        self.weights = nn.Linear(segments, 1, bias=False)

    def forward(self, scores: Tensor, hidden: Tensor) -> Tensor:
        """(N, K, classes) → (N, classes); ``hidden`` is not looked at.

        Raises
        ------
        UsageError
            If the number of snippets is not the one that has weights.
        """
        if scores.shape[1] != self.segments:
            raise UsageError(
                f"weighted consensus takes {self.segments} snippets, not {scores.shape[1]}",
                why=f"it has learned one weight for each of {self.segments} segments, and no other place has one",
                remedy=f"give {self.segments} snippets of each video, or build the network with another consensus",
            )
        video: Tensor = self.weights(scores.transpose(1, 2))
        return video.squeeze(2)


class Attention(nn.Module):
    """Weights that depend on what a snippet shows.

    Parameters
    ----------
    units
        Hidden units of a snippet (D).
    """

    def __init__(self, units: int) -> None:
        super().__init__()
        self.attention = nn.Linear(units, 1, bias=False)

    def attend(self, hidden: Tensor) -> Tensor:
        """(N, K, D) → A (N, K), which sums to 1 over the snippets."""
        energies: Tensor = self.attention(hidden)
        return energies.squeeze(2).softmax(1)

    def forward(self, scores: Tensor, hidden: Tensor) -> Tensor:
        """(N, K, classes) and (N, K, D) → (N, classes)."""
        return (self.attend(hidden).unsqueeze(2) * scores).sum(1)


Consensus = Average | Maximum | TopK | Weighted | Attention


def make_consensus(kind: str, *, segments: int, units: int, top_k: int | None) -> Consensus:
    """The consensus of that name.

    Parameters
    ----------
    kind
        One of `KINDS`.
    segments
        Snippets of a video in training.
    units
        Hidden units of a snippet.
    top_k
        Scores that ``"top_k"`` averages; None for all other kinds.

    Raises
    ------
    UsageError
        If there is no such kind, or ``top_k`` is missing, superfluous or larger than ``segments``.
    """
    if kind not in KINDS:
        raise UsageError(f"there is no consensus {kind!r}", remedy=suggestion(str(kind), KINDS, "choose one of"))
    if kind != "top_k":
        if top_k is not None:
            raise UsageError(f"top_k={top_k!r} means nothing to consensus={kind!r}", remedy="set consensus='top_k'")
        if kind == "weighted":
            return Weighted(segments)
        return Attention(units) if kind == "attention" else Average() if kind == "average" else Maximum()
    if top_k is None:
        raise UsageError(
            "consensus='top_k' has to know how many scores it averages",
            remedy=f"set top_k to a number from 1 to {segments}, the segments",
        )
    count = positive_int("top_k", top_k)
    if count > segments:
        raise UsageError(f"top_k={count} is more than the {segments} segments", remedy="raise segments or lower top_k")
    return TopK(count)
