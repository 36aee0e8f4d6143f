"""The two ways from a video's trajectories to one vector, by the names that they have as layers of a table."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tubelet.baselines.idt.fisher import FisherEncoder, FisherSettings, Mixture, learn_mixtures
from tubelet.baselines.idt.tracks import Floats
from tubelet.baselines.idt.words import Codebooks, WordsSettings, learn_words
from tubelet.errors import UsageError

BAG_OF_WORDS = "bow"
FISHER = "fisher"

_LAYER = re.compile(rf"({BAG_OF_WORDS}|{FISHER})([1-9][0-9]*)?")
_PAPER_WORDS, _PAPER_GAUSSIANS = WordsSettings().words, FisherSettings().gaussians

Learned = dict[str, NDArray[Any]]
"""What one channel's words or mixture are, as arrays by name."""


@dataclass(frozen=True)
class Encoding:
    """How a video's trajectories become one vector.

    Attributes
    ----------
    settings
        Of words (C3D's and iDT's papers: 5,000 of each channel, 25,000 numbers) or of mixtures (256 Gaussians of each,
        109,056 numbers).
    """

    settings: WordsSettings | FisherSettings

    @classmethod
    def of(cls, layer: str | None) -> Encoding:
        """The encoding that a layer's name says: ``bow`` (where None is given), ``fisher``, ``bow1000``, ``fisher64``.

        Raises
        ------
        UsageError
            It says none.
        """
        match = _LAYER.fullmatch(BAG_OF_WORDS if layer is None else layer)
        if match is None:
            raise UsageError(
                f"trajectories cannot be encoded as {layer!r}",
                remedy=f"take {BAG_OF_WORDS} ({_PAPER_WORDS} words a channel), {FISHER} ({_PAPER_GAUSSIANS} Gaussians),"
                f" or fewer, such as {BAG_OF_WORDS}1000 and {FISHER}64",
            )
        kind, number = match.groups()
        if kind == BAG_OF_WORDS:
            return cls(WordsSettings() if number is None else WordsSettings(words=int(number)))
        return cls(FisherSettings() if number is None else FisherSettings(gaussians=int(number)))

    @property
    def kind(self) -> str:
        """``bow`` or ``fisher``."""
        return BAG_OF_WORDS if isinstance(self.settings, WordsSettings) else FISHER

    @property
    def layer(self) -> str:
        """The name, without a number where it is the papers'."""
        return self.kind if self._number == self._papers else f"{self.kind}{self._number}"

    @property
    def sample(self) -> int:
        """Trajectories of the training videos that are learned from, at most."""
        return self.settings.sample

    @property
    def words(self) -> str:
        """For people: ``5,000 words`` or ``256 Gaussians``."""
        return f"{self._number:,} {'words' if self.kind == BAG_OF_WORDS else 'Gaussians'}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"kind": self.kind, **asdict(self.settings)}

    def length(self, dims: Mapping[str, int]) -> int:
        """Numbers of a vector, given those of each channel."""
        settings = self.settings
        if isinstance(settings, WordsSettings):
            return settings.words * len(dims)
        return sum(2 * settings.gaussians * settings.components(size) for size in dims.values())

    def least(self, dims: Mapping[str, int]) -> int:
        """Trajectories that it takes at least: as many as words, or as Gaussians and as every channel's components."""
        settings = self.settings
        if isinstance(settings, WordsSettings):
            return settings.words
        return max(settings.least(size) for size in dims.values())

    def fewer(self, trajectories: int, dims: Mapping[str, int]) -> str | None:
        """A layer that so many trajectories are enough for: of the same kind, else words; None where there is none.

        Its number is a power of ten, at most half of the trajectories, or one.
        """
        number = 10 ** (len(str(max(1, trajectories // 2))) - 1)
        words = Encoding(WordsSettings(words=number))
        same = words if self.kind == BAG_OF_WORDS else Encoding(FisherSettings(gaussians=number))
        return next((each.layer for each in (same, words) if each.least(dims) <= trajectories), None)

    def learn(self, channel: str, values: Floats) -> Learned:
        """Words or a mixture of one channel from trajectories ``(n, D)`` of training videos.

        Raises
        ------
        UsageError
            There are fewer trajectories than words, Gaussians or components.
        """
        if isinstance(self.settings, WordsSettings):
            return {"words": learn_words({channel: values}, self.settings).words[channel]}
        return dict(vars(learn_mixtures({channel: values}, self.settings).mixtures[channel]))

    def encoder(self, learned: Mapping[str, Learned]) -> Callable[[Mapping[str, Floats]], Floats]:
        """What turns a video's channels ``(n, D)`` into its vector ``(length,)`` float32, by what was learned."""
        if self.kind == BAG_OF_WORDS:
            return Codebooks({name: np.asarray(arrays["words"]) for name, arrays in learned.items()}).histogram
        return FisherEncoder({name: Mixture(**arrays) for name, arrays in learned.items()}).encode

    @property
    def _number(self) -> int:
        settings = self.settings
        return settings.words if isinstance(settings, WordsSettings) else settings.gaussians

    @property
    def _papers(self) -> int:
        return _PAPER_WORDS if self.kind == BAG_OF_WORDS else _PAPER_GAUSSIANS


def learned_from(encoding: Mapping[str, Any]) -> str:
    """What `Encoding.to_dict` says, for people."""
    bag = encoding["kind"] == BAG_OF_WORDS
    what = f"{encoding['words']:,} words" if bag else f"{encoding['gaussians']:,} Gaussians"
    most = f"at most {encoding['sample']:,} trajectories of a fold's training videos"
    return f"{what} of each channel, learned from {most}"
